// SPDX-License-Identifier: GPL-2.0

//! What a stamp proves: which flush makes freed areas clean.
//!
//! A [`Stamp`] says since when areas wait; a [`Flushed`] says what a flush that has completed covered.
//! Together they prove that no TLB holds a translation of these areas any more. Nothing but
//! [`Epochs`] makes a `Flushed`, and only after it has called [`Env::flush`].
//!
//! # Invariants
//!
//! - Flush number n begins when `began` becomes n, and has completed when `done` is at
//!   least n. A stamp is the value of `began` after a full barrier after the last PTE was cleared; so
//!   a flush whose number is greater than the stamp began later, and once it is done, areas with that
//!   stamp are clean.
//! - A flush of ranges has no number: it cleans only the areas that its plan covers. The planner
//!   replaces their stamp by the plan's own number, which no other plan has.

use crate::{
    sys::{
        sync::{
            fence, AtomicU64,
            Ordering::{Acquire, Relaxed, Release, SeqCst},
        },
        Page,
    },
    va::{
        env::Env,
        flush::plan::{Plan, Planned},
    },
};

/// Tells the number of a plan from that of a flush.
const PLAN: u64 = 1 << 63;

/// Since when areas have waited for a flush, or which plan covers them.
#[derive(Debug, PartialEq, Eq)]
pub struct Stamp(u64);

impl Stamp {
    /// No flush cleans what has this stamp.
    pub const NEVER: Self = Self(u64::MAX);
}

/// The number of one plan.
#[derive(Debug, PartialEq, Eq)]
pub struct PlanNumber(u64);

impl PlanNumber {
    /// Notes in the stamp of some areas that this plan covers all of them.
    pub fn cover(&self, stamp: &mut Stamp) {
        stamp.0 = self.0;
    }
}

/// Proof of a flush that has completed.
#[derive(Debug, PartialEq, Eq)]
pub struct Flushed {
    /// All stamps below this are clean.
    through: u64,
    /// So is what this plan covers.
    plan: u64,
}

impl Flushed {
    /// Whether areas with this stamp are clean.
    #[inline]
    pub fn cleans(&self, stamp: &Stamp) -> bool {
        stamp.0 < self.through || stamp.0 == self.plan
    }
}

/// Counts flushes, so that one flush serves all areas that were waiting when it began.
pub struct Epochs {
    began: AtomicU64,
    done: AtomicU64,
    plans: AtomicU64,
}

impl Epochs {
    /// No flush yet.
    pub fn new() -> Self {
        Self {
            began: AtomicU64::new(0),
            done: AtomicU64::new(0),
            plans: AtomicU64::new(0),
        }
    }

    /// The stamp of areas whose PTEs are clear. Any context.
    pub fn stamp(&self) -> Stamp {
        // The cleared PTEs must be visible before this reads `began`. Otherwise a flush could begin, and
        // another CPU fill its TLB from the old PTE, and the areas would still count as flushed.
        fence(SeqCst);
        Stamp(self.began.load(Relaxed))
    }

    /// A number for a new plan. Any context.
    pub fn number_plan(&self) -> PlanNumber {
        // Never 0, which stands for no plan.
        PlanNumber(PLAN | self.plans.fetch_add(1, Relaxed).wrapping_add(1))
    }

    /// The proof of the flushes that have completed so far. Any context.
    pub fn flushed(&self) -> Flushed {
        Flushed {
            through: self.done.load(Acquire),
            plan: PLAN,
        }
    }

    /// Flushes all `pages` pages of the arena. Sleeps.
    pub fn flush_all(&self, env: &impl Env, pages: u32) -> Flushed {
        let number = self.began.fetch_add(1, SeqCst).wrapping_add(1);
        env.flush(Page::new(0), Page::new(pages));
        self.done.fetch_max(number, Release);
        Flushed {
            through: number,
            plan: PLAN,
        }
    }

    /// Carries out a plan. Sleeps.
    pub fn flush(&self, planned: Planned, env: &impl Env, pages: u32) -> Flushed {
        let (plan, PlanNumber(number)) = planned.into_parts();
        let flushed = match plan {
            Plan::Full => self.flush_all(env, pages),
            Plan::Runs(runs, count) => {
                for run in runs.iter().take(count) {
                    env.flush(run.start, run.end());
                }
                self.flushed()
            }
            Plan::None => self.flushed(),
        };
        Flushed {
            plan: number,
            ..flushed
        }
    }
}
