// SPDX-License-Identifier: GPL-2.0

//! What the arena looks like: a record that one reader keeps for the next.

pub mod cache;
pub mod record;
