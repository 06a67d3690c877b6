// SPDX-License-Identifier: GPL-2.0

//! Median, minimum and maximum of a few runs, in picoseconds.
//!
//! The kernel has no floating point. So a time per operation is a whole number of picoseconds, shown
//! in nanoseconds with two decimals. Plain safe Rust without a kernel type.

use core::fmt;

/// A time per operation. Shown in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Picos(pub(crate) u64);

impl Picos {
    /// `ns` nanoseconds divided by `ops` operations; zero of no operation.
    pub(crate) fn per_op(ns: u64, ops: u64) -> Picos {
        // Saturates after half a year.
        Picos(ns.saturating_mul(1_000).checked_div(ops).unwrap_or(0))
    }
}

impl fmt::Display for Picos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Two decimals, rounded: no run repeats to within 10 ps.
        let hundredths = self.0 / 10 + u64::from(self.0 % 10 >= 5);
        write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

/// The summary of one side's runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) median: Picos,
    pub(crate) min: Picos,
    pub(crate) max: Picos,
}

/// Sorts `runs` and sums them up; all zero if there are none. The median of an even number
/// of runs is the mean of the middle two.
pub(crate) fn summary(runs: &mut [Picos]) -> Summary {
    sort(runs);
    let at = |i: usize| runs.get(i).copied().unwrap_or_default();
    let (low, high) = (at(runs.len().saturating_sub(1) / 2), at(runs.len() / 2));
    Summary {
        median: Picos(low.0 + (high.0.max(low.0) - low.0) / 2),
        min: at(0),
        max: at(runs.len().saturating_sub(1)),
    }
}

/// Sorts values, by a heap (Williams, 1964). The slice's own sort brings kilobytes of code and a panic into
/// the module.
pub(crate) fn sort<T: Ord>(values: &mut [T]) {
    for root in (0..values.len() / 2).rev() {
        sift(values, root);
    }
    for end in (1..values.len()).rev() {
        values.swap(0, end);
        if let Some(heap) = values.get_mut(..end) {
            sift(heap, 0);
        }
    }
}

/// Moves a value down, until none below it in the heap is larger.
fn sift<T: Ord>(heap: &mut [T], mut root: usize) {
    loop {
        let left = 2 * root + 1;
        let larger = match (heap.get(left), heap.get(left + 1)) {
            (None, _) => return,
            (Some(a), Some(b)) if a < b => left + 1,
            _ => left,
        };
        if heap.get(root) >= heap.get(larger) {
            return;
        }
        heap.swap(root, larger);
        root = larger;
    }
}
