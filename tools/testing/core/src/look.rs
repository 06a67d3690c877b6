// SPDX-License-Identifier: GPL-2.0

//! Reads the arena's picture.

use crate::va::{info::cache::Info, Env, Manager};

/// Asks the manager for the state of the arena; also returns whether the cache had it.
pub fn look<E: Env>(manager: &Manager<E>) -> (Info, bool) {
    let mut info = Info::default();
    let cached = manager.info(&mut info);
    (info, cached)
}
