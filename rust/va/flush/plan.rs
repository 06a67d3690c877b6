// SPDX-License-Identifier: GPL-2.0

//! What to flush: a few ranges, or everything. A pure function of the freed ranges.
//!
//! # Invariants
//!
//! - [`Planner::cover`] puts the number of its plan on a stamp only after it has added all ranges of the
//!   areas that have the stamp. So a flush of the plan makes them clean.

use crate::{
    sys::Page,
    va::{
        flush::epochs::{Epochs, Flushed, PlanNumber, Stamp},
        sort::sort_by_key,
        space::range::{Range, GUARD},
    },
};

/// Most ranges of one plan. More are never cheaper than one full flush.
pub const RUNS_MAX: usize = 4;
/// Most areas that a planner looks at. With more it chooses a full flush.
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

/// A plan that [`Epochs::flush`] carries out.
#[derive(Debug)]
pub struct Planned {
    plan: Plan,
    number: PlanNumber,
}

impl Planned {
    /// What it flushes.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What it flushes, and its number.
    pub fn into_parts(self) -> (Plan, PlanNumber) {
        (self.plan, self.number)
    }
}

/// Gathers the ranges that a purge must flush.
pub struct Planner {
    ranges: [Range; AREAS_MAX],
    len: usize,
    /// Least pages of all that was added by [`Self::cover`].
    pages: u32,
    /// Most pages that are worth a flush of their own.
    ceiling: u32,
    full: bool,
    number: PlanNumber,
    /// The proof of earlier flushes.
    before: Flushed,
}

impl Planner {
    /// Nothing yet. A flush of a single page costs about `ceiling`-th of a full flush (the kernel itself flushes
    /// everything beyond its ceiling).
    #[inline(always)]
    pub fn new(epochs: &Epochs, ceiling: u32) -> Self {
        Self {
            ranges: [Range::default(); AREAS_MAX],
            len: 0,
            pages: 0,
            ceiling,
            full: false,
            number: epochs.number_plan(),
            before: epochs.flushed(),
        }
    }

    /// Adds areas that have `stamp`, unless an earlier flush has cleaned them. They have `pages` pages or more:
    /// nobody looks at areas that are too many to be flushed one by one.
    pub fn cover(&mut self, stamp: &mut Stamp, pages: u32, ranges: impl Iterator<Item = Range>) {
        if self.before.cleans(stamp) {
            return;
        }
        self.pages = self.pages.saturating_add(pages);
        self.full |= self.pages > self.ceiling;
        // A full flush follows then, and cleans every stamp that is older.
        if self.full {
            return;
        }
        for range in ranges {
            self.add(range.start, range.pages);
            if self.full {
                return;
            }
        }
        self.number.cover(stamp);
    }

    /// Adds the range of an area.
    pub fn add(&mut self, start: Page, pages: u32) {
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

    /// The cheapest flush of all that was added. Each call interrupts every CPU; so a plan of runs is worth it
    /// only for few runs of few pages.
    #[inline(always)]
    pub fn plan(mut self) -> Planned {
        let plan = self.choose();
        Planned {
            plan,
            number: self.number,
        }
    }

    fn choose(&mut self) -> Plan {
        if self.full {
            return Plan::Full;
        }
        let Some(ranges) = self.ranges.get_mut(..self.len) else {
            return Plan::Full;
        };
        sort_by_key(ranges, |r| r.start);
        let mut runs = [Range::default(); RUNS_MAX];
        let mut count = 0usize;
        let mut pages = 0u32;
        for range in ranges.iter() {
            let last = count.checked_sub(1).and_then(|i| runs.get_mut(i));
            match last {
                // The guard page between two neighbours has no PTE: to flush it is free.
                Some(run) if range.start <= run.end().plus(GUARD) => {
                    let end = run.end().max(range.end());
                    pages = pages.saturating_add(end.since(run.end()));
                    run.pages = end.since(run.start);
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
            _ if pages > self.ceiling => Plan::Full,
            _ => Plan::Runs(runs, count),
        }
    }
}
