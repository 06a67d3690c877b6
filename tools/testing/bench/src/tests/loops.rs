// SPDX-License-Identifier: GPL-2.0

//! The measuring loops over a clock and an allocator whose costs are known.

use crate::{
    histogram::{Histogram, BUCKETS},
    measure::{clock_cost, sampled, timed, Ground, Step},
    statistics::Picos,
};
use std::cell::Cell;

/// A clock that costs something itself, as every clock does.
struct Bench {
    time: Cell<u64>,
    clock: u64,
    pauses: Cell<u32>,
    pause: u64,
    /// Pauses after which the run must end.
    patience: u32,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            time: Cell::new(1_000),
            clock: 30,
            pauses: Cell::new(0),
            pause: 100,
            patience: u32::MAX,
        }
    }

    fn pass(&self, ns: u64) {
        self.time.set(self.time.get() + ns);
    }
}

impl Ground for Bench {
    fn now(&self) -> u64 {
        let now = self.time.get();
        self.pass(self.clock);
        now
    }

    fn pause(&self) -> bool {
        self.pass(self.pause);
        self.pauses.set(self.pauses.get() + 1);
        self.pauses.get() < self.patience
    }
}

/// Mean time of an operation that costs `cost` and fails every `fail`-th time.
fn measured(cost: u64, fail: u64) -> (Picos, u64) {
    let bench = Bench::new();
    let mut calls = 0;
    let mut step = || {
        bench.pass(cost);
        calls += 1;
        fail == 0 || calls % fail != 0
    };
    let done = timed(&bench, &mut step, 10_000, 64);
    assert_eq!(done.ops, 10_000);
    (Picos::per_op(done.ns(), done.ops), done.failures)
}

#[test]
fn a_known_cost_comes_out_within_5_percent() {
    for cost in [100, 1_000, 50_000] {
        let (once, _) = measured(cost, 0);
        let (twice, _) = measured(2 * cost, 0);
        let expected = cost * 1_000;
        assert!(
            once.0 >= expected && once.0 <= expected * 105 / 100,
            "{cost}: {once}"
        );
        let ratio = twice.0 * 1_000 / once.0;
        assert!((1_900..=2_100).contains(&ratio), "{cost}: {ratio}");
    }
}

#[test]
fn every_tenth_call_fails() {
    assert_eq!(measured(100, 10).1, 1_000);
    assert_eq!(measured(100, 0).1, 0);
}

#[test]
fn the_cost_of_the_clock_is_taken_off() {
    let bench = Bench::new();
    let cost = clock_cost(&bench, &mut Histogram::new(vec![0; BUCKETS]));
    assert_eq!(cost, 30);
    let mut latencies = Histogram::new(vec![0; BUCKETS]);
    let mut calls = 0;
    let mut step = || {
        calls += 1;
        bench.pass(if calls % 500 == 0 { 9_000 } else { 50 });
        true
    };
    let done = sampled(&bench, &mut step, 10_000, 64, cost, &mut latencies);
    assert_eq!((done.ops, latencies.count()), (10_000, 10_000));
    assert_eq!(
        (latencies.at(5_000), latencies.at(9_900), latencies.max()),
        (50, 50, 9_000)
    );
    assert!(latencies.at(9_990) >= 8_700);
}

#[test]
fn a_loop_ends_when_it_is_told_to() {
    let bench = Bench {
        patience: 3,
        ..Bench::new()
    };
    let done = timed(&bench, &mut || true, 1_000_000, 10);
    assert_eq!(done.ops, 30);
}

#[test]
fn odd_numbers_of_operations() {
    for (ops, batch) in [(0, 64), (1, 64), (65, 64), (7, 0), (100, 1)] {
        let mut calls = 0;
        let done = timed(
            &Bench::new(),
            &mut || {
                calls += 1;
                true
            },
            ops,
            batch,
        );
        assert_eq!((done.ops, calls), (ops, ops));
    }
}

/// An operation of 500 ns, for which one has to wait 2,000 ns every tenth time.
struct Late<'a> {
    bench: &'a Bench,
    calls: u32,
}

impl Step for Late<'_> {
    fn wait<G: Ground>(&mut self, _: &G) -> u64 {
        self.calls += 1;
        let late = if self.calls % 10 == 0 { 2_000 } else { 0 };
        self.bench.pass(late);
        late
    }

    fn step(&mut self) -> bool {
        self.bench.pass(500);
        true
    }
}

#[test]
fn waiting_does_not_count() {
    let bench = Bench::new();
    let late = || Late {
        bench: &bench,
        calls: 0,
    };
    let done = timed(&bench, &mut late(), 6_400, 64);
    assert_eq!(done.waited, 640 * 2_000);
    // 500 ns, and a pause of 100 ns for 64 of them.
    assert_eq!(done.ns(), 6_400 * 500 + 100 * 100 + bench.clock);
    let mut histogram = Histogram::new(vec![0; BUCKETS]);
    let done = sampled(&bench, &mut late(), 1_000, 64, bench.clock, &mut histogram);
    assert_eq!((done.waited, histogram.max()), (100 * 2_000, 500));
}
