// SPDX-License-Identifier: GPL-2.0

//! Steps that a test can leave out or delay on purpose, to see other tests fail without them, or pass all
//! the same.
//!
//! Only builds with `FAULTS=y` have this file, and the places that ask it. A new fault is a name here,
//! a `#[cfg(faults)]` where the step is, a file in rust/face/files/debugfs.rs, and its test in
//! tools/testing/selftests/vmapcache/faults.sh.

use crate::sys::sync::{AtomicU32, Ordering::Relaxed};

/// A step that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Any flush of the TLB.
    NoFlush,
    /// Waiting for another task's purge.
    NoWait,
    /// Purges before space has run out.
    NoPurge,
    /// Leaves no step out, but gives each range back to the extents twice.
    GiveTwice,
    /// Leaves no step out: the worker sleeps before it takes the areas whose frees it must finish.
    LateWorker,
    /// Leaves no step out: the worker sleeps after that, and then finishes their frees.
    SlowWorker,
}

/// A bit for each.
static ON: AtomicU32 = AtomicU32::new(0);

impl Fault {
    fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Whether the step is left out. Any context.
    pub fn on(self) -> bool {
        ON.load(Relaxed) & self.bit() != 0
    }

    /// Leaves the step out, or does it again. Any context.
    pub fn set(self, on: bool) {
        if on {
            ON.fetch_or(self.bit(), Relaxed);
        } else {
            ON.fetch_and(!self.bit(), Relaxed);
        }
    }
}
