// SPDX-License-Identifier: GPL-2.0

//! A log-linear histogram of latencies: fixed size, 3 % resolution, no allocation.
//!
//! Each power of two is cut into 32 equal steps (the idea of HdrHistogram, and of fio's
//! `io_u_plat`). Below 64 every value has a step of its own. Plain safe Rust without a kernel
//! type: the caller provides the memory for the counts.

use core::ops::DerefMut;

/// Steps of a power of two, as a power of two.
const STEP_BITS: u32 = 5;
const STEPS: usize = 1 << STEP_BITS;
/// Longest latency with a bucket of its own: 2^40 ns are 18 minutes.
const TOP_BITS: u32 = 40;
/// Number of counts of a histogram.
pub(crate) const BUCKETS: usize = (TOP_BITS - STEP_BITS + 1) as usize * STEPS;

/// The bucket of a value; the last one takes all larger values.
fn bucket(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    let shift = bits.saturating_sub(STEP_BITS + 1);
    // Shifted like this, a value is in the upper half of 2 x STEPS steps, so that
    // (shift, value >> shift) counts up without a gap.
    let bucket = shift as usize * STEPS + (value >> shift) as usize;
    bucket.min(BUCKETS - 1)
}

/// The largest value that falls into a bucket.
fn top(bucket: usize) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    let step = (bucket - shift * STEPS) as u64;
    ((step + 1) << shift) - 1
}

/// Counts of values, and the largest one exactly.
pub(crate) struct Histogram<B> {
    /// At least `BUCKETS` long; values without a bucket do not count.
    buckets: B,
    count: u64,
    max: u64,
}

impl<B: DerefMut<Target = [u32]>> Histogram<B> {
    /// An empty histogram over zeroed memory.
    pub(crate) fn new(buckets: B) -> Self {
        Histogram {
            buckets,
            count: 0,
            max: 0,
        }
    }

    pub(crate) fn add(&mut self, value: u64) {
        if let Some(n) = self.buckets.get_mut(bucket(value)) {
            *n = n.saturating_add(1);
        }
        self.count += 1;
        self.max = self.max.max(value);
    }

    /// Adds the counts of another histogram.
    pub(crate) fn merge(&mut self, other: &Histogram<B>) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets.iter()) {
            *mine = mine.saturating_add(*theirs);
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The value that `share` of 10,000 values do not exceed, up to the resolution; never
    /// more than the maximum.
    pub(crate) fn at(&self, share: u32) -> u64 {
        let rank = (self.count.saturating_mul(u64::from(share)))
            .div_ceil(10_000)
            .max(1);
        let mut seen = 0u64;
        for (i, n) in self.buckets.iter().enumerate() {
            seen += u64::from(*n);
            if seen >= rank {
                return top(i).min(self.max);
            }
        }
        self.max
    }
}
