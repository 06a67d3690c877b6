// SPDX-License-Identifier: GPL-2.0

//! Every plan flushes what it must.

#![cfg(not(loom))]

use core_tests::{
    flushes::{at_random, check_plan},
    va::flush::plan::{Plan, AREAS_MAX, RUNS_MAX},
};
use proptest::prelude::*;

#[test]
fn neighbours_are_one_run() {
    let plan = check_plan(&[(10, 1), (14, 1), (12, 1)], 100);
    assert!(matches!(plan, Plan::Runs(runs, 1) if (runs[0].start.get(), runs[0].pages) == (10, 5)));
}

#[test]
fn too_much_is_a_full_flush() {
    assert_eq!(check_plan(&[(0, 34)], 33), Plan::Full);
    assert!(matches!(check_plan(&[(0, 33)], 33), Plan::Runs(_, 1)));
    let apart: Vec<_> = (0..=RUNS_MAX as u32).map(|i| (i * 10, 1)).collect();
    assert!(matches!(
        check_plan(&apart[..RUNS_MAX], 33),
        Plan::Runs(_, RUNS_MAX)
    ));
    assert_eq!(check_plan(&apart, 33), Plan::Full);
    let many: Vec<_> = (0..=AREAS_MAX as u32).map(|i| (i * 2, 1)).collect();
    assert!(matches!(
        check_plan(&many[..AREAS_MAX], 1_000),
        Plan::Runs(_, 1)
    ));
    assert_eq!(check_plan(&many, 1_000), Plan::Full);
}

#[test]
fn nothing_is_no_flush() {
    assert_eq!(check_plan(&[], 33), Plan::None);
    assert_eq!(check_plan(&[(5, 0)], 33), Plan::None);
}

#[test]
fn many_at_random() {
    at_random(1, 200_000);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn anywhere(
        areas in proptest::collection::vec((any::<u32>(), 0u32..1 << 20), 0..80),
        ceiling: u32,
    ) {
        check_plan(&areas, ceiling);
    }
}
