// SPDX-License-Identifier: GPL-2.0

//! Bookkeeping of areas that came and went goes back when memory is short; and nobody notices but the kernel, however
//! many look at these areas meanwhile.

#![cfg(not(loom))]

use core_tests::{
    choice::{Choice, Rng},
    env::IdleEnv,
    sys::{
        sync::{free_unread, run_on_cpu, Limbo, Reading},
        Mode, Page,
    },
    va::{
        area::{
            descriptors::{Descriptors, CHUNK_PAGES},
            Kind,
        },
        space::range::Range,
        Area, Config, FreeError, Freed, Manager, Purge, Request, Unpinned,
    },
};
use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
};

fn manager(pages: u32) -> Manager<IdleEnv> {
    let config = Config {
        pages,
        cpus: 2,
        shards: 4,
        lazy_max_pages: 8192,
        early_purges: 0,
        flush_ceiling: 33,
    };
    run_on_cpu(0);
    Manager::new(config, IdleEnv).unwrap()
}

fn try_alloc(manager: &Manager<IdleEnv>, pages: u32) -> Option<Area<'_>> {
    let request = Request {
        pages,
        align: 1,
        mode: Mode::Sleep,
        caller: 0x1000,
    };
    manager.alloc(request).ok()
}

fn alloc(manager: &Manager<IdleEnv>, pages: u32) -> Page {
    let area = try_alloc(manager, pages).unwrap();
    let start = area.start();
    manager.publish(area, 7, Kind::VaOnly);
    start
}

fn free(manager: &Manager<IdleEnv>, start: Page) {
    match manager.begin_free(start) {
        Ok(Freed::Now(dying)) => manager.finish_free(dying),
        other => panic!("{start:?}: {other:?}"),
    }
}

/// Trims as the worker and the shrinker do under pressure, until nothing is left to give.
fn trim(manager: &Manager<IdleEnv>) {
    manager.purge(Purge::Drain);
    while manager.trim(usize::MAX) > 0 {
        manager.finish_trim();
    }
}

#[test]
fn little_is_left_of_many_areas() {
    let manager = manager(1 << 20);
    let before = manager.bookkeeping();
    let starts: Vec<_> = (0..300_000).map(|_| alloc(&manager, 1)).collect();
    let peak = manager.bookkeeping();
    assert!(peak > before + 300_000 * 64, "{peak} bytes of {before}");
    // All of it is in use.
    assert_eq!(manager.trim(usize::MAX), 0);
    for &start in &starts {
        free(&manager, start);
    }
    trim(&manager);
    let left = manager.bookkeeping();
    assert!(left * 10 <= peak, "{left} of {peak} bytes are left");
    assert!(manager.trimmable() <= left);
    for &start in &starts {
        assert!(manager.lookup(start).is_none());
        assert_eq!(manager.begin_free(start).err(), Some(FreeError::NoArea));
    }
    manager.walk(Page::new(0), &mut |seen| panic!("{seen:?}"));
    // As before.
    let again: Vec<_> = (0..300_000).map(|_| alloc(&manager, 1)).collect();
    assert!(again.iter().all(|&start| manager.lookup(start).is_some()));
    assert!(manager.bookkeeping() <= peak + peak / 100);
    for start in again {
        free(&manager, start);
    }
}

/// Large areas begin elsewhere each time, and leave descriptors behind even while others live.
#[test]
fn little_is_left_of_large_areas_beside_others() {
    let mut rng = Rng::new(3);
    let manager = manager(1 << 22);
    let mut areas = Vec::new();
    let mut peak = 0;
    for _ in 0..60_000 {
        if areas.len() < 100 {
            areas.push(alloc(&manager, 1 + rng.below(20_000)));
        } else {
            free(&manager, areas.swap_remove(rng.below(100) as usize));
        }
        peak = peak.max(manager.bookkeeping());
    }
    trim(&manager);
    let beside = manager.bookkeeping();
    assert!(beside * 10 <= peak, "{beside} of {peak} bytes are left");
    for &start in &areas {
        assert_eq!(manager.lookup(start).unwrap().start, start);
    }
    areas.into_iter().for_each(|start| free(&manager, start));
    trim(&manager);
    let left = manager.bookkeeping();
    println!("{peak} bytes, {beside} beside 100 areas, {left} after them");
    assert!(left * 10 <= peak, "{left} of {peak} bytes are left");
}

/// No more than was asked for, but for the rest of a window; and nothing for nothing.
#[test]
fn a_trim_takes_what_was_asked_for() {
    const WINDOW: usize = 18 << 10;
    let manager = manager(1 << 18);
    let starts: Vec<_> = (0..50_000).map(|_| alloc(&manager, 1)).collect();
    starts.into_iter().for_each(|start| free(&manager, start));
    manager.purge(Purge::Drain);
    let mut sum = manager.bookkeeping();
    assert_eq!(manager.trim(0), 0);
    for asked in [1, 4 << 10, 100 << 10] {
        let taken = manager.trim(asked);
        assert!(
            (asked..asked + WINDOW).contains(&taken),
            "{taken} of {asked}"
        );
        sum -= taken;
        assert_eq!(manager.bookkeeping(), sum);
        manager.finish_trim();
    }
    assert!(manager.trimmable() > 0);
    trim(&manager);
    // All windows were looked at.
    assert_eq!((manager.trim(usize::MAX), manager.trimmable()), (0, 0));
    // One area is no reason to look at all of them again.
    free(&manager, alloc(&manager, 1));
    manager.purge(Purge::Drain);
    assert!(manager.trimmable() < WINDOW);
    // A large one is: it may have been all that kept others' bookkeeping.
    free(&manager, alloc(&manager, 1_000));
    manager.purge(Purge::Drain);
    assert_eq!(manager.trimmable(), manager.bookkeeping());
}

/// A trim leaves to the worker what it has no room for.
#[test]
fn the_worker_frees_what_found_no_room() {
    let manager = manager(1 << 18);
    let starts: Vec<_> = (0..100_000).map(|_| alloc(&manager, 1)).collect();
    starts.into_iter().for_each(|start| free(&manager, start));
    manager.purge(Purge::Drain);
    let before = manager.bookkeeping();
    manager.trim(usize::MAX);
    let between = manager.bookkeeping();
    manager.finish_trim();
    let left = manager.bookkeeping();
    assert!(
        left < between && between < before,
        "{before} {between} {left}"
    );
    assert!(left * 10 <= before);
}

/// A handle of an area that is gone is worth nothing, also when others have lived at its place.
#[test]
fn an_old_pin_is_refused() {
    let manager = manager(1 << 12);
    let mut old = Vec::new();
    for _ in 0..20 {
        let start = alloc(&manager, 1);
        let (ticket, _) = manager.locate(start).unwrap();
        let (pin, _) = manager.pin(start).unwrap();
        let raw = pin.into_raw();
        let unpin = || manager.unpin(core_tests::va::Pin::from_raw(raw));
        assert!(matches!(unpin(), Ok(Unpinned::Live)));
        // The new area must not be mistaken for one of these.
        for &(raw, ticket) in &old {
            let (other, _) = manager.pin(start).unwrap();
            assert!(manager.unpin(core_tests::va::Pin::from_raw(raw)).is_err());
            assert!(manager.is_gone(ticket) && !manager.is_last(ticket) && !manager.note(ticket));
            assert!(manager.unpin(other).is_ok());
        }
        old.push((raw, ticket));
        free(&manager, start);
        trim(&manager);
        assert_eq!(manager.stats().descriptors, 0);
        assert!(unpin().is_err() && manager.is_gone(ticket) && !manager.note(ticket));
    }
}

/// A reader keeps what it has found.
#[test]
fn a_reader_is_waited_for() {
    let descriptors = Descriptors::new(1024).unwrap();
    let start = Page::new(2 * CHUNK_PAGES);
    let id = descriptors.prepare(start, Mode::Sleep).unwrap();
    descriptors.get(id).unwrap().shape(start, 3, None);
    let freed = AtomicBool::new(false);
    thread::scope(|scope| {
        let reading = Reading::begin();
        let found = descriptors.look(id, &reading).unwrap();
        let mut limbo = Limbo::new(10, Mode::Sleep).unwrap();
        let all = Range {
            start: Page::new(0),
            pages: 1024,
        };
        assert!(descriptors.give_up(all, |_| true, &mut limbo) > 0);
        assert!(descriptors.look(id, &reading).is_none() && !descriptors.any(all));
        let freer = scope.spawn(|| {
            let mut limbo = limbo;
            free_unread(&mut limbo, &mut Limbo::<u8>::new(1, Mode::Sleep).unwrap());
            freed.store(true, SeqCst);
        });
        for _ in 0..100 {
            thread::yield_now();
            assert!(!freed.load(SeqCst), "freed in a reader's hands");
            assert_eq!(found.range(), Some((start, 3)));
        }
        drop(reading);
        freer.join().unwrap();
    });
    assert!(freed.load(SeqCst));
}

/// Readers look everywhere while all bookkeeping comes and goes under them.
#[test]
fn readers_beside_trims() {
    const PAGES: u32 = 1 << 13;
    let manager = manager(PAGES);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (manager, stop) = (&manager, &stop);
        for seed in 0..3 {
            scope.spawn(move || {
                let mut rng = Rng::new(seed);
                run_on_cpu(seed as u32 % 2);
                while !stop.load(SeqCst) {
                    let page = Page::new(rng.below(PAGES));
                    if let Some(found) = manager.lookup(page) {
                        assert!(page >= found.start && page < found.start.plus(found.pages));
                    }
                    if let Some((pin, found)) = manager.pin(page) {
                        let seen = manager.inspect(page).unwrap();
                        assert_eq!((seen.start, seen.pages), (found.start, found.pages));
                        if let Unpinned::Last(dying) = manager.unpin(pin).unwrap() {
                            manager.finish_free(dying);
                        }
                    }
                    // Nobody has such an area.
                    assert!(manager.begin_free(Page::new(PAGES - 1)).is_err());
                    if rng.percent(2) {
                        let mut end = Page::new(0);
                        manager.walk(Page::new(0), &mut |seen| {
                            assert!(seen.start >= end && seen.pages > 0);
                            end = seen.start.plus(seen.pages);
                            true
                        });
                    }
                }
            });
        }
        scope.spawn(move || {
            while !stop.load(SeqCst) {
                manager.purge(Purge::Drain);
                manager.trim(usize::MAX);
                manager.finish_trim();
            }
        });
        let mut rng = Rng::new(9);
        let mut areas = Vec::new();
        for _ in 0..30_000 {
            let area = match areas.len() {
                0..50 => try_alloc(manager, 1 + rng.below(100)),
                _ => None,
            };
            match area {
                Some(area) => {
                    areas.push(area.start());
                    manager.publish(area, 7, Kind::VaOnly);
                }
                None => {
                    let start = areas.swap_remove(rng.below(areas.len() as u32) as usize);
                    match manager.begin_free(start) {
                        Ok(Freed::Now(dying)) => manager.finish_free(dying),
                        // The last unpin finishes it.
                        Ok(Freed::Deferred(_)) => {}
                        Err(e) => panic!("{start:?}: {e:?}"),
                    }
                }
            }
        }
        areas.into_iter().for_each(|start| {
            if let Ok(Freed::Now(dying)) = manager.begin_free(start) {
                manager.finish_free(dying);
            }
        });
        stop.store(true, SeqCst);
    });
    trim(&manager);
    assert_eq!(manager.stats().areas, 0);
    assert_eq!(manager.stats().descriptors, 0);
}
