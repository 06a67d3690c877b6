// SPDX-License-Identifier: GPL-2.0

//! What a request does that finds no space: as much as can help, and not more.

#![cfg(not(loom))]

use core_tests::{
    env::TestEnv,
    knobs::set_atomic,
    sys::{sync::run_on_cpu, Mode, Page},
    va::{area::Kind, AllocError, Area, Config, Freed, Manager, Purge, Request},
};
use std::{
    sync::{
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
        Arc, Weak,
    },
    thread,
};

const PAGES: u32 = 1 << 16;

fn two_cpus(lazy_max_pages: u32) -> Manager<TestEnv> {
    run_on_cpu(0);
    let config = Config {
        pages: PAGES,
        cpus: 2,
        shards: 1,
        lazy_max_pages,
        early_purges: 0,
        flush_ceiling: 33,
    };
    Manager::new(config, TestEnv::new(config.pages)).unwrap()
}

fn ask(
    manager: &Manager<TestEnv>,
    pages: u32,
    align: u32,
    mode: Mode,
) -> Result<Area<'_>, AllocError> {
    manager.alloc(Request {
        pages,
        align,
        mode,
        caller: 1,
    })
}

fn publish(manager: &Manager<TestEnv>, area: Area<'_>) -> Page {
    let start = area.start();
    manager.env().map(start, area.pages());
    manager.publish(area, 0, Kind::VaOnly);
    start
}

fn alloc(manager: &Manager<TestEnv>, pages: u32) -> Page {
    let area = ask(manager, pages, 1, Mode::Sleep).unwrap();
    publish(manager, area)
}

fn free(manager: &Manager<TestEnv>, start: Page) {
    let Ok(Freed::Now(dying)) = manager.begin_free(start) else {
        panic!("{start:?} is not live");
    };
    manager.env().clear(dying.start(), dying.pages());
    manager.finish_free(dying);
}

/// One area in front and one in the middle of the arena, others in stock and lazy around them. Returns
/// the two.
fn live_in_the_middle(manager: &Manager<TestEnv>) -> [Page; 2] {
    let first = alloc(manager, 2_000);
    let half = alloc(manager, PAGES / 2 - 2_010);
    let middle = alloc(manager, 2_000);
    free(manager, half);
    manager.purge(Purge::Drain);
    let around: Vec<Page> = (0..2_000).map(|_| alloc(manager, 1)).collect();
    around.iter().for_each(|&start| free(manager, start));
    manager.purge(Purge::Full);
    free(manager, alloc(manager, 3));
    [first, middle]
}

#[test]
fn a_purge_that_cannot_help_does_not_happen() {
    let manager = two_cpus(1_000);
    let live = live_in_the_middle(&manager);
    let before = manager.stats();
    assert!(before.bytes_stock.0 > 0 && before.bytes_lazy.0 > 0);
    for _ in 0..20 {
        // No gap is that large.
        let failed = ask(&manager, PAGES / 2, 1, Mode::Sleep).err();
        assert_eq!(failed, Some(AllocError::NoSpace));
        // The gaps are large enough, but not from such a page on.
        let failed = ask(&manager, PAGES / 4, PAGES / 4, Mode::Sleep).err();
        assert_eq!(failed, Some(AllocError::NoSpace));
    }
    let after = manager.stats();
    assert_eq!(after.flushes, before.flushes);
    assert_eq!(after.purges, before.purges);
    assert_eq!(after.bytes_stock, before.bytes_stock);
    // And where it can help, it does.
    let area = ask(&manager, PAGES / 4, 2, Mode::Sleep).unwrap();
    free(&manager, publish(&manager, area));
    live.into_iter().for_each(|start| free(&manager, start));
    free(&manager, alloc(&manager, PAGES - 1));
}

/// A report says what a drain would leave: the gaps between the areas.
#[test]
fn gaps_are_told() {
    let manager = two_cpus(1_000);
    let areas: Vec<Page> = (0..100).map(|_| alloc(&manager, 9)).collect();
    let all = manager.look();
    let taken = 100 * 10;
    assert_eq!(all.free, u64::from(PAGES) - taken);
    assert_eq!(all.largest, all.free);
    areas
        .iter()
        .step_by(2)
        .for_each(|&start| free(&manager, start));
    let gaps = manager.look();
    assert_eq!(gaps.free, all.free + taken / 2);
    assert!(gaps.largest >= all.largest && gaps.largest <= all.largest + 10);
    manager.purge(Purge::Drain);
    let drained = manager.glance();
    assert_eq!((drained.free, drained.largest), (gaps.free, gaps.largest));
}

/// What a task has and has not published yet is no gap: purges would find nothing there.
#[test]
fn an_area_without_pages_is_in_the_way() {
    let manager = two_cpus(1_000);
    let held = ask(&manager, PAGES / 2 - 1, 1, Mode::Sleep).unwrap();
    let before = manager.stats().purges;
    let failed = ask(&manager, PAGES / 2, 1, Mode::Sleep).err();
    assert_eq!(failed, Some(AllocError::NoSpace));
    assert_eq!(manager.stats().purges, before);
    // Out of stock, too.
    manager.abort(held, Mode::Sleep);
    free(&manager, alloc(&manager, 1));
    manager.purge(Purge::Full);
    let held = ask(&manager, 1, 1, Mode::Sleep).unwrap();
    let before = manager.stats().purges;
    let failed = ask(&manager, PAGES - 1, 1, Mode::Sleep).err();
    assert_eq!(failed, Some(AllocError::NoSpace));
    assert_eq!(manager.stats().purges, before);
    manager.abort(held, Mode::Sleep);
    free(&manager, alloc(&manager, PAGES - 1));
}

fn finish_deferred(manager: &Manager<TestEnv>) {
    for dying in manager.take_deferred() {
        manager.env().clear(dying.start(), dying.pages());
        manager.finish_free(dying);
    }
}

/// Runs `help` on the manager for requests that are short of space.
fn helper(
    manager: &Arc<Manager<TestEnv>>,
    help: impl Fn(&Manager<TestEnv>) -> bool + Send + 'static,
) -> Option<Box<dyn Fn() -> bool + Send>> {
    let manager: Weak<Manager<TestEnv>> = Arc::downgrade(manager);
    Some(Box::new(move || {
        manager.upgrade().is_some_and(|m| help(&m))
    }))
}

#[test]
fn deferred_frees_are_finished_first() {
    let manager = Arc::new(two_cpus(1_000));
    *manager.env().worker.lock().unwrap() = helper(&manager, |manager| {
        finish_deferred(manager);
        true
    });
    for round in 0..100 {
        let area = ask(&manager, PAGES / 2 + 1_000, 1, Mode::Sleep);
        let start = publish(&manager, area.unwrap_or_else(|e| panic!("{round}: {e:?}")));
        match manager.begin_free(start) {
            Ok(Freed::Now(dying)) => manager.defer_free(dying),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn others_are_asked_once() {
    let manager = Arc::new(two_cpus(1_000));
    let kept = alloc(&manager, PAGES / 2);
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    *manager.env().others.lock().unwrap() = helper(&manager, move |manager| {
        if count.fetch_add(1, SeqCst) == 1 {
            free(manager, kept);
        }
        true
    });
    let ask = |pages, mode| ask(&manager, pages, 1, mode).map(|area| publish(&manager, area));
    assert_eq!(ask(PAGES - 1, Mode::Sleep), Err(AllocError::NoSpace));
    assert_eq!(asked.load(SeqCst), 1);
    // Not by a request that must not sleep, nor by one that never fits.
    assert_eq!(ask(PAGES - 1, Mode::NoWait), Err(AllocError::NoSpace));
    assert_eq!(ask(PAGES, Mode::Sleep), Err(AllocError::NoSpace));
    assert_eq!(asked.load(SeqCst), 1);
    assert!(ask(PAGES - 1, Mode::Sleep).is_ok());
    assert_eq!(asked.load(SeqCst), 2);
}

/// A request that must not sleep dissolves a few magazines, and has the worker do the rest.
#[test]
fn atomic_requests_have_a_budget() {
    let manager = two_cpus(u32::MAX);
    let areas: Vec<Page> = (0..8_000).map(|_| alloc(&manager, 1)).collect();
    areas.iter().for_each(|&start| free(&manager, start));
    manager.purge(Purge::Full);
    let before = manager.stats().bytes_stock.0;
    assert!(before > 2 * 8 * 120 * 3, "{before} pages of stock");
    manager.env().purge_kicked.store(false, SeqCst);
    set_atomic(true);
    let failed = ask(&manager, PAGES - 1, 1, Mode::NoWait).err();
    assert_eq!(failed, Some(AllocError::NoSpace));
    let dissolved = before - manager.stats().bytes_stock.0;
    assert!(dissolved > 0 && dissolved <= 8 * 120 * 2, "{dissolved}");
    assert!(manager.env().purge_kicked.load(SeqCst), "the worker sleeps");
    set_atomic(false);
    manager.purge_due();
    set_atomic(true);
    let area = ask(&manager, PAGES - 1, 1, Mode::NoWait).unwrap();
    set_atomic(false);
    publish(&manager, area);
    // What the worker cannot help either leaves the stock alone.
    let drains = manager.stats().purges;
    assert!(ask(&manager, 1, 1, Mode::NoWait).is_err());
    manager.purge_due();
    assert_eq!(manager.stats().purges, drains);
}

/// A request that must not sleep finds the space that its own CPU keeps for other sizes.
#[test]
fn atomic_requests_use_what_their_cpu_keeps() {
    const REST: u32 = 64;
    let filled = || {
        let manager = two_cpus(u32::MAX);
        alloc(&manager, PAGES - REST - 1);
        manager
    };
    let ask = |manager: &Manager<TestEnv>| {
        set_atomic(true);
        let area = ask(manager, REST / 4, 1, Mode::NoWait);
        set_atomic(false);
        publish(manager, area.unwrap())
    };
    // In a clean magazine: the areas that are made along with some.
    let manager = filled();
    while manager.stats().bytes_stock.0 < 28 {
        alloc(&manager, 1);
    }
    let before = manager.stats();
    ask(&manager);
    let after = manager.stats();
    assert!(after.bytes_stock.0 < before.bytes_stock.0);
    assert_eq!(
        (after.purges, after.flushes),
        (before.purges, before.flushes)
    );
    // Outside of magazines: areas of rare sizes that came home from a purge.
    let manager = filled();
    let areas: Vec<Page> = (1..=9).map(|pages| alloc(&manager, pages)).collect();
    areas.iter().for_each(|&start| free(&manager, start));
    manager.purge(Purge::Full);
    alloc(&manager, 1);
    ask(&manager);
}

/// It finds that, too, if the CPU has used up its magazines of many other sizes.
#[test]
fn empty_magazines_are_not_in_the_way() {
    let manager = two_cpus(u32::MAX);
    // The second of each size comes with one for the stock, which is the third.
    for pages in 1..=20 {
        for _ in 0..3 {
            alloc(&manager, pages);
        }
    }
    assert_eq!(manager.stats().bytes_stock.0, 0);
    // The fourth comes with two.
    for _ in 0..4 {
        alloc(&manager, 40);
    }
    assert_eq!(manager.stats().bytes_stock.0, 2 * 41);
    alloc(&manager, manager.glance().largest as u32 - 1);
    let before = manager.stats();
    set_atomic(true);
    let area = ask(&manager, 81, 1, Mode::NoWait);
    set_atomic(false);
    publish(&manager, area.expect("this CPU has the space"));
    assert_eq!(manager.stats().purges, before.purges);
}

/// A request that must not sleep does not wait for a purge when it gives its area back, either.
#[test]
fn atomic_requests_do_not_purge_when_they_give_up() {
    for pages in [9, 2_000] {
        let manager = two_cpus(100);
        let areas: Vec<Page> = (0..20).map(|_| alloc(&manager, pages)).collect();
        let held: Vec<_> = (0..8)
            .map(|_| ask(&manager, pages, 1, Mode::NoWait).unwrap())
            .collect();
        for start in areas {
            let Ok(Freed::Now(dying)) = manager.begin_free(start) else {
                panic!("{start:?} is not live");
            };
            manager.env().clear(start, pages);
            set_atomic(true);
            manager.finish_free(dying);
            set_atomic(false);
        }
        let before = manager.stats();
        for area in held {
            manager.abort(area, Mode::NoWait);
        }
        let after = manager.stats();
        assert_eq!(after.backpressure_steps, before.backpressure_steps);
        assert_eq!(after.purges, before.purges);
    }
    // Not even where each free flushes.
    let manager = two_cpus(0);
    let area = ask(&manager, 9, 1, Mode::NoWait).unwrap();
    manager.abort(area, Mode::NoWait);
    assert_eq!(manager.stats().flushes, 0);
}

/// The sum of lazy pages is exact, whoever purges while others free: it does not drift.
#[test]
fn lazy_pages_do_not_drift() {
    let manager = Arc::new(two_cpus(2_000));
    let stop = Arc::new(AtomicBool::new(false));
    let purger = {
        let (manager, stop) = (manager.clone(), stop.clone());
        thread::spawn(move || {
            run_on_cpu(1);
            while !stop.load(SeqCst) {
                manager.purge(Purge::Full);
            }
        })
    };
    let freeing = [0, 1].map(|cpu| {
        let manager = manager.clone();
        thread::spawn(move || {
            run_on_cpu(cpu);
            for i in 0..20_000 {
                // Loose areas, and magazines that are handed on.
                free(
                    &manager,
                    alloc(&manager, if i % 2 == 0 { 1_500 } else { 200 }),
                );
            }
        })
    });
    freeing
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    stop.store(true, SeqCst);
    purger.join().unwrap();
    manager.purge(Purge::Drain);
    assert_eq!(manager.reclaimable(), 0);
    assert_eq!(manager.stats().bytes_lazy.0, 0);
}

/// A request that would rather begin at some multiple takes any other place as well, and counts as a failure only if
/// there is none.
#[test]
fn a_wish_is_no_failure() {
    const WINDOW: u32 = 512;
    let manager = two_cpus(100);
    let ask = || {
        let request = Request {
            pages: WINDOW,
            align: 1,
            mode: Mode::Sleep,
            caller: 1,
        };
        manager.alloc_best(request, WINDOW)
    };
    let starts: Vec<Page> = (0..PAGES / WINDOW)
        .map(|_| {
            publish(
                &manager,
                self::ask(&manager, 1, WINDOW, Mode::Sleep).unwrap(),
            )
        })
        .collect();
    assert!(ask().is_err());
    assert_eq!(manager.stats().failures, 1);
    // Without its guard page it would fit into the window.
    free(&manager, starts[5]);
    let anywhere = publish(&manager, ask().unwrap());
    assert!(anywhere > starts[4] && anywhere < starts[5]);
    // Now it does.
    free(&manager, starts[9]);
    free(&manager, starts[10]);
    assert_eq!(publish(&manager, ask().unwrap()), starts[9]);
    assert_eq!(manager.stats().failures, 1);
    assert!(ask().is_err());
    assert_eq!(manager.stats().failures, 2);
}
