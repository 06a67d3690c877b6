// SPDX-License-Identifier: GPL-2.0

//! Why something failed: one type for allocations, one for frees, one for pins. The face decides on the
//! messages and on the numbers for callers ([`rust/face/failure.rs`](../face/failure.rs)).

use crate::sys::NoMemory;

/// Why there is no area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocError {
    /// A request for no pages, or an alignment that is no power of two.
    Invalid,
    /// The arena has no free extent for it, not even after a purge.
    NoSpace,
    /// No memory to keep track of it.
    NoMemory,
}

impl From<NoMemory> for AllocError {
    fn from(_: NoMemory) -> Self {
        Self::NoMemory
    }
}

/// Why nothing was freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// Not a page of the arena.
    Foreign,
    /// No area there.
    NoArea,
    /// Inside an area, but not its start.
    Inner,
    /// Freed already.
    DoubleFree,
}

/// The pin was given back already, or never taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPin;
