// SPDX-License-Identifier: GPL-2.0

//! What a flush plan must do.

use crate::{
    choice::{Choice, Rng},
    collections::Vec,
    knobs,
    sys::Page,
    va::{
        flush::{
            epochs::Epochs,
            plan::{Plan, Planner, AREAS_MAX, RUNS_MAX},
        },
        GUARD,
    },
};

/// Whether there are too many areas, runs or pages for anything but a full flush.
fn must_be_full(areas: &[(u32, u32)], ceiling: u32) -> bool {
    let mut sorted: Vec<(u32, u32)> = Vec::new();
    for &area in areas.iter().filter(|a| a.1 > 0) {
        let i = sorted.partition_point(|other| *other < area);
        sorted.insert(i, area);
    }
    let mut pages = 0u64;
    let mut runs = 0;
    let mut behind: Option<u32> = None;
    for &(start, count) in &sorted {
        let end = start.saturating_add(count);
        match behind {
            Some(last) if start <= last.saturating_add(GUARD) => {
                pages += u64::from(end.max(last) - last);
                behind = Some(end.max(last));
            }
            _ => {
                runs += 1;
                pages += u64::from(count);
                behind = Some(end);
            }
        }
    }
    sorted.len() > AREAS_MAX || runs > RUNS_MAX || pages > u64::from(ceiling)
}

/// Plans a flush of these areas, start and pages, and checks that it covers them, and that it is a full
/// one only if it must be.
pub fn check_plan(areas: &[(u32, u32)], ceiling: u32) -> Plan {
    let mut planner = Planner::new(&Epochs::new(), ceiling);
    for &(start, pages) in areas {
        planner.add(Page::new(start), pages);
    }
    let (plan, _) = planner.plan().into_parts();
    let wanted = |&&(_, pages): &&(u32, u32)| pages > 0;
    match &plan {
        Plan::None => assert_eq!(areas.iter().filter(wanted).count(), 0),
        Plan::Full => assert!(must_be_full(areas, ceiling), "a full flush without need"),
        Plan::Runs(runs, count) => {
            let runs = &runs[..*count];
            assert!(!runs.is_empty() && runs.len() <= RUNS_MAX);
            let ends: Vec<_> = runs.iter().map(|r| r.start.plus(r.pages)).collect();
            assert!(runs.iter().all(|r| r.pages > 0));
            assert!(runs
                .iter()
                .skip(1)
                .zip(&ends)
                .all(|(r, &end)| r.start > end));
            for &(start, pages) in areas.iter().filter(wanted) {
                let start = Page::new(start);
                let end = start.plus(pages);
                let held = runs
                    .iter()
                    .zip(&ends)
                    .any(|(r, &e)| r.start <= start && end <= e);
                assert!(held, "{start:?} is not flushed by {runs:?}");
            }
            // It flushes no page without need, except guard pages.
            let flushed: u64 = runs.iter().map(|r| u64::from(r.pages)).sum();
            let asked: u64 = areas.iter().map(|a| u64::from(a.1 + GUARD)).sum();
            assert!(flushed <= asked);
        }
    }
    plan
}

/// Plans of a few areas each, of all densities.
pub fn at_random(seed: u64, plans: u32) {
    knobs::begin(seed);
    let mut rng = Rng::new(seed);
    for _ in 0..plans {
        let span = 1 << rng.below(12);
        let areas: Vec<_> = (0..rng.below(12))
            .map(|_| (rng.below(span), rng.below(8)))
            .collect();
        let ceiling = rng.below(80);
        check_plan(&areas, ceiling);
    }
}
