// SPDX-License-Identifier: GPL-2.0

//! The scenarios: one file each, over any side.

pub(super) mod bare;
pub(super) mod info_read;
pub(super) mod lazy_search;
pub(super) mod lookup;
pub(super) mod map;
pub(super) mod producer_consumer;
pub(super) mod purge;
pub(super) mod replay;
pub(super) mod test_vmalloc;
pub(super) mod va_only;

use super::{
    check::{self, Verdict},
    line::Spec,
    measure::Step,
    program::{Live, CHECKPOINTS},
    rng::Rng,
    side::{Held, Side},
};
use kernel::{prelude::*, sync::atomic::Atomic};

/// A scenario says by this what its areas consist of. The content check needs to know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stuff {
    /// Addresses.
    Addresses,
    /// Pages mapped by vmap().
    Mapped,
    /// Memory of vmalloc().
    Memory,
    /// Nothing to check.
    Nothing,
}

/// The result of a check.
pub(super) struct Checked {
    pub(super) verdict: Verdict,
    /// The areas that lived at each checkpoint of a program.
    pub(super) live: Option<[Live; CHECKPOINTS]>,
}

/// The surroundings of one worker.
pub(super) struct At<'a, S> {
    pub(super) spec: &'a Spec,
    pub(super) side: &'a S,
    /// The areas of `live=`.
    pub(super) live: &'a [Held],
    /// Counted from 0.
    pub(super) thread: u32,
    /// Set when all must end: a worker that waits for another looks at it.
    pub(super) stop: &'a Atomic<bool>,
}

/// A scenario over side `S`.
pub(super) trait Scenario<S: Side>: Send + Sync + Sized {
    const STUFF: Stuff;

    /// More areas of `live=`, for the scenario itself, beside those that stay.
    fn extra_live(spec: &Spec) -> u32 {
        let _ = spec;
        0
    }

    /// Operations between two pauses: about a millisecond or less, unless one operation takes
    /// longer.
    fn batch(spec: &Spec) -> u32 {
        let fit = 2_048u32.checked_div(spec.pages.max).unwrap_or(1);
        fit.clamp(1, 64)
    }

    /// Makes the state that all threads share, before the first run. The extra areas of `live` are
    /// mixed among the others; a scenario that wants them takes out every fifth.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; then everything made so far is freed.
    fn prepare(spec: &Spec, side: &S, live: &mut KVVec<Held>) -> Result<Self>;

    /// Makes one thread's operation, in that thread, before the clock starts. Dropping it, after the
    /// clock has stopped, frees what it holds.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn worker<'a>(&'a self, at: At<'a, S>) -> Result<impl Step + 'a>;

    /// The operations of a thread in a pass that asks for `ops`.
    fn ops(&self, thread: u32, ops: u64) -> u64 {
        let _ = thread;
        ops
    }

    /// Allocates many areas at once and checks each.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `EINTR`. A wrong area is no error but the answer.
    fn check(&self, spec: &Spec, side: &S) -> Result<Checked> {
        Ok(Checked {
            verdict: check::check::<S, Self>(spec, side)?,
            live: None,
        })
    }

    /// Called after all threads of a pass have ended: frees areas that a pass cut short left on their
    /// way between threads.
    fn after(&self, side: &S) {
        let _ = side;
    }
}

/// Random sizes and alignments, drawn before the clock starts.
pub(super) struct Shapes {
    /// Pages and alignment; a power of two of them.
    table: KVec<(u32, u32)>,
    next: usize,
}

impl Shapes {
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(spec: &Spec, thread: u32) -> Result<Shapes> {
        let fixed = spec.pages.is_one() && spec.align.is_one();
        let count = if fixed { 1 } else { 1024 };
        let mut rng = Rng::new(spec.seed, thread);
        let mut table = KVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            let (low, high) = (
                spec.align.min.trailing_zeros(),
                spec.align.max.trailing_zeros(),
            );
            let shape = (
                rng.within(spec.pages.min, spec.pages.max),
                1 << rng.within(low, high),
            );
            table.push(shape, GFP_KERNEL)?;
        }
        Ok(Shapes { table, next: 0 })
    }

    /// The next one, round and round.
    #[inline(always)]
    pub(super) fn next(&mut self) -> (u32, u32) {
        let shape = self.table.get(self.next).copied().unwrap_or((1, 1));
        self.next = (self.next + 1) & (self.table.len() - 1);
        shape
    }
}

/// Areas held during a measurement, and freed at its end.
pub(super) struct Hoard<'a, S: Side> {
    side: &'a S,
    areas: KVVec<Held>,
    free: fn(&S, Held),
}

impl<'a, S: Side> Hoard<'a, S> {
    pub(super) fn new(side: &'a S, free: fn(&S, Held)) -> Self {
        Hoard {
            side,
            areas: KVVec::new(),
            free,
        }
    }

    /// Takes an area that was just allocated.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if the allocation failed, or if there is no room to note the area; then it is freed.
    pub(super) fn add(&mut self, area: Option<Held>) -> Result {
        let area = area.ok_or(ENOMEM)?;
        if self.areas.push(area, GFP_KERNEL).is_err() {
            (self.free)(self.side, area);
            return Err(ENOMEM);
        }
        Ok(())
    }
}

impl<S: Side> Drop for Hoard<'_, S> {
    fn drop(&mut self) {
        for (i, area) in self.areas.iter().enumerate() {
            (self.free)(self.side, *area);
            if i % 64 == 0 {
                super::ground::resched();
            }
        }
    }
}
