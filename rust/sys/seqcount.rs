// SPDX-License-Identifier: GPL-2.0

//! Words that one writes and everybody reads, all of one moment, without a lock: a sequence counter
//! split in two, so that neither side needs to know odd from even.
//!
//! # Invariants
//!
//! - As many changes have ended as began, unless one is going on. Only whoever may write changes
//!   either.

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

    /// Runs `change`, which stores the words. One at a time: the caller holds a lock.
    pub fn write(&self, change: impl FnOnce()) {
        let number = self.began.load(Relaxed).wrapping_add(1);
        self.began.store(number, Relaxed);
        // Pairs with the fence in `read`: who reads a word of this change also sees it begun.
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
