// SPDX-License-Identifier: GPL-2.0

//! Reads the arena's picture.

use crate::va::{info::cache::Info, Env, Manager};

/// What the arena looks like, and whether that came from the cache.
pub fn look<E: Env>(manager: &Manager<E>) -> (Info, bool) {
    let mut info = Info::default();
    let cached = manager.info(&mut info);
    (info, cached)
}
