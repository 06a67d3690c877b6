// SPDX-License-Identifier: GPL-2.0

//! Free space: which pages of the arena nobody has.

pub mod extents;
pub mod range;
pub mod shards;
pub mod tree;
