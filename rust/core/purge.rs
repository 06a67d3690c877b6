// SPDX-License-Identifier: GPL-2.0

//! Lazy purge: many frees, one TLB flush.
//!
//! A freed area waits in a *batch* (a CPU's lazy magazine, or a CPU's loose list for areas that
//! magazines do not keep) until a flush that began after its PTEs were cleared has completed. A
//! purge takes the batches of all CPUs, flushes once, and hands the areas back in bounded steps.
//!
//! Nobody counts purges in progress and nobody spins for them (the discussion of 2016 on replacing
//! the purge lock by an atomic counter shows where that ends: the second task that runs out of space
//! finds an empty list and fails, while the first still holds everything). Batches are spliced out,
//! purges are serial, and who waited for one looks again before it fails.
//!
//! # Invariants
//!
//! - *Epochs*: flush number n begins when `began` becomes n, and has completed when `done` is at
//!   least n. A batch is stamped with `began` after a full barrier after its last PTE was cleared; so
//!   a flush whose number is greater than the stamp began later, and once it is done, the batch is
//!   clean.

use super::{
    area::{Descriptors, Id, NO_ID},
    sync::{
        fence, AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release, SeqCst},
    },
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

/// A list of areas, linked by their descriptors, to which anybody may push at any time and which is
/// taken as a whole. There is no pop, hence no ABA.
pub struct Stack {
    head: AtomicU32,
}

impl Stack {
    /// Empty.
    pub fn new() -> Self {
        Self {
            head: AtomicU32::new(NO_ID),
        }
    }

    /// Puts an area in front. Any context. True if the list was empty.
    pub fn push(&self, descriptors: &Descriptors, id: Id) -> bool {
        let Some(descriptor) = descriptors.get(id) else {
            return false;
        };
        let mut head = self.head.load(Relaxed);
        loop {
            descriptor.set_next(head);
            match self.head.compare_exchange(head, id, Release, Relaxed) {
                Ok(_) => return head == NO_ID,
                Err(now) => head = now,
            }
        }
    }

    /// Takes the whole list. Any context.
    pub fn take(&self) -> List {
        // Spares the exchange where there is nothing, which is the rule.
        if self.head.load(Relaxed) == NO_ID {
            return List(NO_ID);
        }
        List(self.head.swap(NO_ID, Acquire))
    }
}

/// Areas linked by their descriptors, all held by one owner.
pub struct List(Id);

impl Default for List {
    fn default() -> Self {
        Self(NO_ID)
    }
}

impl List {
    /// Puts an area in front.
    pub fn push(&mut self, descriptors: &Descriptors, id: Id) {
        if let Some(descriptor) = descriptors.get(id) {
            descriptor.set_next(self.0);
            self.0 = id;
        }
    }

    /// Takes the first area out.
    pub fn pop(&mut self, descriptors: &Descriptors) -> Option<Id> {
        let id = self.0;
        self.0 = descriptors.get(id)?.next();
        Some(id)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0 == NO_ID
    }

    /// The areas, first to last, left in place.
    pub fn iter<'a>(&self, descriptors: &'a Descriptors) -> impl Iterator<Item = Id> + 'a {
        let mut at = self.0;
        ::core::iter::from_fn(move || {
            let id = at;
            at = descriptors.get(id)?.next();
            Some(id)
        })
    }
}

/// A range of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// First page.
    pub start: u32,
    /// Pages; never 0 in a plan.
    pub pages: u32,
}

impl Range {
    fn end(&self) -> u32 {
        self.start.saturating_add(self.pages)
    }
}

/// Ranges that one plan holds at most. More are never cheaper than one full flush.
pub const RUNS_MAX: usize = 4;
/// Areas looked at before a full flush is chosen unseen.
pub const AREAS_MAX: usize = 64;

/// What to flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing.
    None,
    /// These ranges, ascending and apart.
    Runs([Range; RUNS_MAX], usize),
    /// Everything, by one call.
    Full,
}

/// Gathers what a purge has to flush.
pub struct Planner {
    ranges: [Range; AREAS_MAX],
    len: usize,
    full: bool,
}

impl Planner {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            ranges: [Range::default(); AREAS_MAX],
            len: 0,
            full: false,
        }
    }

    /// Whether adding more still matters.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Adds the range of an area.
    pub fn add(&mut self, start: u32, pages: u32) {
        if pages == 0 {
            return;
        }
        match self.ranges.get_mut(self.len) {
            Some(slot) => {
                *slot = Range { start, pages };
                self.len += 1;
            }
            None => self.full = true,
        }
    }

    /// The cheapest flush of all that was added. A flush of single pages costs about `ceiling`-th of
    /// a full flush per page (the kernel itself flushes everything beyond its ceiling), and each
    /// call interrupts every CPU; so a plan of runs is worth it only for few runs of few pages.
    pub fn plan(mut self, ceiling: u32) -> Plan {
        if self.full {
            return Plan::Full;
        }
        let Some(ranges) = self.ranges.get_mut(..self.len) else {
            return Plan::Full;
        };
        ranges.sort_unstable_by_key(|r| r.start);
        let mut runs = [Range::default(); RUNS_MAX];
        let mut count = 0usize;
        let mut pages = 0u32;
        for range in ranges.iter() {
            let last = count.checked_sub(1).and_then(|i| runs.get_mut(i));
            match last {
                // The guard page between two neighbours has no PTE: to flush it is free.
                Some(run) if range.start <= run.end().saturating_add(super::GUARD) => {
                    let end = run.end().max(range.end());
                    pages = pages.saturating_add(end - run.end());
                    run.pages = end - run.start;
                }
                _ => {
                    let Some(slot) = runs.get_mut(count) else {
                        return Plan::Full;
                    };
                    *slot = *range;
                    count += 1;
                    pages = pages.saturating_add(range.pages);
                }
            }
        }
        match count {
            0 => Plan::None,
            _ if pages > ceiling => Plan::Full,
            _ => Plan::Runs(runs, count),
        }
    }
}
