// SPDX-License-Identifier: GPL-2.0

//! What the arena looks like: what one reader leaves for the next.

pub mod cache;
pub mod record;
