// SPDX-License-Identifier: GPL-2.0

//! What a stamp proves: which flush makes a batch clean.
//!
//! # Invariants
//!
//! - Flush number n begins when `began` becomes n, and has completed when `done` is at
//!   least n. A batch is stamped with `began` after a full barrier after its last PTE was cleared; so
//!   a flush whose number is greater than the stamp began later, and once it is done, the batch is
//!   clean.

use crate::sys::sync::{
    fence, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};

/// Counts flushes, so that one flush serves everybody who was waiting when it began.
pub struct Epochs {
    began: AtomicU64,
    done: AtomicU64,
}

impl Epochs {
    /// No flush yet.
    pub fn new() -> Self {
        Self {
            began: AtomicU64::new(0),
            done: AtomicU64::new(0),
        }
    }

    /// The stamp of a batch whose PTEs are clear. Any context.
    pub fn stamp(&self) -> u64 {
        // The cleared PTEs must be visible before `began` is read: else a flush could begin, and
        // another CPU fill its TLB from the old PTE, and the batch would still count as flushed.
        fence(SeqCst);
        self.began.load(Relaxed)
    }

    /// A flush begins: its number.
    pub fn begin(&self) -> u64 {
        self.began.fetch_add(1, SeqCst).wrapping_add(1)
    }

    /// Flush `number` has completed.
    pub fn end(&self, number: u64) {
        self.done.fetch_max(number, Release);
    }

    /// Whether what has this stamp is clean.
    #[inline]
    pub fn is_clean(&self, stamp: u64) -> bool {
        self.done.load(Acquire) > stamp
    }
}
