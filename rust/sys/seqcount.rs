// SPDX-License-Identifier: GPL-2.0

//! Words that one task writes and everybody reads, all of one moment, without a lock: a sequence
//! counter split in two, so that neither side needs to tell odd from even.
//!
//! # Invariants
//!
//! - As many changes have ended as have begun, except during a change. Only the writer changes the two
//!   counts.

use crate::sys::sync::{
    fence, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Counts the changes of some words, which are atomic themselves and kept elsewhere.
pub struct SeqCount {
    began: AtomicU64,
    ended: AtomicU64,
}

impl SeqCount {
    /// No change yet.
    pub fn new() -> Self {
        Self {
            began: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }

    /// Changes so far.
    pub fn count(&self) -> u64 {
        self.ended.load(Acquire)
    }

    /// Runs `change`, which stores the words. The caller holds a lock, so there is one writer at a time.
    pub fn write(&self, change: impl FnOnce()) {
        let number = self.began.load(Relaxed).wrapping_add(1);
        self.began.store(number, Relaxed);
        // Pairs with the fence in `read`: a reader of a word of this change also sees that it has begun.
        fence(Release);
        change();
        self.ended.store(number, Release);
    }

    /// Runs `look`, which loads the words; `None` if they changed meanwhile. Any context; nothing is
    /// written.
    pub fn read<R>(&self, look: impl FnOnce() -> R) -> Option<R> {
        let ended = self.ended.load(Acquire);
        let seen = look();
        fence(Acquire);
        (self.began.load(Relaxed) == ended).then_some(seen)
    }
}
