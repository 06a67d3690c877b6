// SPDX-License-Identifier: GPL-2.0

//! The loops that measure: time over many operations, and the latency of each one.
//!
//! The caller provides the clock and the pause between batches of operations, so that host tests
//! drive the same loops. Plain safe Rust without a kernel type.

use super::histogram::Histogram;
use core::ops::DerefMut;

/// One operation of a scenario on one side.
pub(crate) trait Step {
    /// Waits until the next one can be done. Returns for how many nanoseconds: they do not count.
    #[inline(always)]
    fn wait<G: Ground>(&mut self, ground: &G) -> u64 {
        let _ = ground;
        0
    }

    /// Does it. False if the allocator failed.
    fn step(&mut self) -> bool;
}

impl<F: FnMut() -> bool> Step for F {
    #[inline(always)]
    fn step(&mut self) -> bool {
        self()
    }
}

/// What the loops need from the ground below them.
pub(crate) trait Ground {
    /// Nanoseconds since any moment. They may differ between CPUs, so a thread stays on one.
    fn now(&self) -> u64;
    /// The loop calls this between two batches, so that other tasks run. If it returns false, the loop
    /// ends early.
    fn pause(&self) -> bool;
}

/// The result of a loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) ops: u64,
    pub(crate) failures: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Nanoseconds in between that do not count.
    pub(crate) waited: u64,
}

impl Done {
    pub(crate) fn ns(&self) -> u64 {
        let all = self.end.saturating_sub(self.start);
        all.saturating_sub(self.waited)
    }
}

/// Runs `ops` operations, with a pause after each `batch`, and measures the time of all.
#[inline(always)]
pub(crate) fn timed<G: Ground, S: Step>(ground: &G, step: &mut S, ops: u64, batch: u32) -> Done {
    let mut done = Done::default();
    let mut failures = 0u64;
    done.start = ground.now();
    while done.ops < ops {
        let n = u64::from(batch.max(1)).min(ops - done.ops);
        for _ in 0..n {
            done.waited += step.wait(ground);
            failures += u64::from(!step.step());
        }
        done.ops += n;
        if !ground.pause() {
            break;
        }
    }
    done.end = ground.now();
    done.failures = failures;
    done
}

/// Runs `ops` operations, each between two readings of the clock. Subtracts `clock_cost` from each
/// latency.
#[inline(always)]
pub(crate) fn sampled<G: Ground, S: Step, B: DerefMut<Target = [u32]>>(
    ground: &G,
    step: &mut S,
    ops: u64,
    batch: u32,
    clock_cost: u64,
    histogram: &mut Histogram<B>,
) -> Done {
    let mut done = Done {
        start: ground.now(),
        ..Done::default()
    };
    while done.ops < ops {
        let n = u64::from(batch.max(1)).min(ops - done.ops);
        for _ in 0..n {
            done.waited += step.wait(ground);
            let before = ground.now();
            let ok = step.step();
            let after = ground.now();
            histogram.add(after.saturating_sub(before).saturating_sub(clock_cost));
            done.failures += u64::from(!ok);
        }
        done.ops += n;
        if !ground.pause() {
            break;
        }
    }
    done.end = ground.now();
    done
}

/// The time between two readings of the clock, one right after the other: the median of many, so
/// that an interrupt in between does not count.
pub(crate) fn clock_cost<G, B>(ground: &G, scratch: &mut Histogram<B>) -> u64
where
    G: Ground,
    B: DerefMut<Target = [u32]>,
{
    for _ in 0..2_000 {
        let before = ground.now();
        let after = ground.now();
        scratch.add(after.saturating_sub(before));
    }
    scratch.at(5_000)
}
