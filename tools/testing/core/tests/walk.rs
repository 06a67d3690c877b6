// SPDX-License-Identifier: GPL-2.0

//! The walk against the totals: each page is live, lazy, in stock or free.

#![cfg(not(loom))]

use core_tests::{
    env::IdleEnv,
    look,
    sys::{Mode, Page},
    va::{
        area::{
            link::{Number, Numbers},
            Id, Kind, Link, NO_ID,
        },
        Config, Freed, Manager, Purge, Request, Switch, GUARD,
    },
};

fn manager(lazy_max_pages: u32) -> Manager<IdleEnv> {
    manager_of(1 << 16, lazy_max_pages)
}

fn manager_of(pages: u32, lazy_max_pages: u32) -> Manager<IdleEnv> {
    let config = Config {
        pages,
        cpus: 2,
        shards: 2,
        lazy_max_pages,
        early_purges: 0,
        flush_ceiling: 33,
    };
    Manager::new(config, IdleEnv).unwrap()
}

fn alloc(manager: &Manager<IdleEnv>, pages: u32) -> Page {
    let request = Request {
        pages,
        align: 1,
        mode: Mode::Sleep,
        caller: 0x1000 + pages as usize,
    };
    let area = manager.alloc(request).unwrap();
    let start = area.start();
    manager.publish(area, 0, Kind::VaOnly);
    start
}

fn free(manager: &Manager<IdleEnv>, start: Page) {
    match manager.begin_free(start).unwrap() {
        Freed::Now(dying) => manager.finish_free(dying),
        Freed::Deferred(_) => panic!("nobody has pinned it"),
    }
}

/// Adds up a walk and compares it with all totals.
#[track_caller]
fn agree(manager: &Manager<IdleEnv>) {
    let (mut live, mut lazy, mut stock) = (0u64, 0u64, 0u64);
    let mut end = Page::new(0);
    manager.walk(end, &mut |seen| {
        assert!(seen.start >= end, "{seen:?} begins before {end:?}");
        end = seen.start.plus(seen.pages + GUARD);
        let gross = u64::from(seen.pages + GUARD);
        match (seen.live.is_some(), seen.lazy) {
            (true, false) => live += gross,
            (false, true) => lazy += gross,
            (false, false) => stock += gross,
            (true, true) => panic!("{seen:?}"),
        }
        true
    });
    let stats = manager.stats();
    assert_eq!(live, stats.bytes_live.0 + stats.bytes_guard.0);
    assert_eq!(lazy, stats.bytes_lazy.0);
    assert_eq!(stock, stats.bytes_stock.0);
    let all = live + lazy + stats.bytes_free.0;
    assert_eq!(all, u64::from(manager.pages()));
    let (info, _) = look(manager);
    assert_eq!(info.areas.lazy_gross, lazy);
    assert_eq!(info.areas.stock_gross, stock);
}

/// A few sizes, of which one is too large for magazines.
const SIZES: [u32; 5] = [1, 1, 3, 64, 300];

fn churn(manager: &Manager<IdleEnv>) {
    let mut held = Vec::new();
    let mut random = 1u64;
    for round in 0..6_000u32 {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
        let at = (random >> 33) as usize;
        if held.len() < 60 && at % 2 == 0 {
            held.push(alloc(manager, SIZES[at / 2 % SIZES.len()]));
        } else if !held.is_empty() {
            free(manager, held.swap_remove(at % held.len()));
        }
        match at % 400 {
            1 => manager.purge(Purge::Background),
            2 => manager.purge(Purge::Step),
            3 => manager.purge(Purge::Full),
            4 => manager.purge(Purge::Drain),
            5 => manager.flush_lazy(),
            6 => manager.set_switch(Switch::Magazines, false),
            7 | 8 => manager.set_switch(Switch::Magazines, true),
            9 => manager.drain_cpu(0),
            10 | 11 if held.len() > 2 => {
                // As interrupts do: in a list, until a task may sleep.
                for start in held.drain(..3) {
                    match manager.begin_free(start).unwrap() {
                        Freed::Now(dying) => manager.defer_free(dying),
                        Freed::Deferred(_) => panic!("nobody has pinned it"),
                    }
                }
                for dying in manager.take_deferred() {
                    manager.finish_free(dying);
                }
                agree(manager);
            }
            _ => {}
        }
        if round % 37 == 0 {
            agree(manager);
        }
    }
    held.drain(..).for_each(|start| free(manager, start));
    agree(manager);
    manager.purge(Purge::Full);
    agree(manager);
    assert_eq!(manager.stats().bytes_lazy.0, 0);
}

#[test]
fn walk_and_totals_agree() {
    churn(&manager(4_000));
}

#[test]
fn walk_and_totals_agree_when_each_free_flushes() {
    churn(&manager(0));
}

/// What an area is does not depend on where the walk begins or ends.
#[test]
fn walk_in_parts() {
    let manager = manager(4_000);
    let starts: Vec<Page> = (0..500).map(|i| alloc(&manager, SIZES[i % 5])).collect();
    starts
        .iter()
        .skip(1)
        .step_by(2)
        .for_each(|&at| free(&manager, at));
    let mut whole = Vec::new();
    manager.walk(Page::new(0), &mut |seen| {
        whole.push((seen.start, seen.pages, seen.lazy));
        true
    });
    for step in [1, 7, 64, 1000] {
        let mut parts = Vec::new();
        let mut from = Page::new(0);
        while from.get() < manager.pages() {
            let to = from.plus(step);
            let mut next = to;
            assert!(manager.walk_part(from, to, &mut |seen| {
                parts.push((seen.start, seen.pages, seen.lazy));
                next = next.max(seen.start.plus(seen.pages + GUARD));
                true
            }));
            from = next;
        }
        assert_eq!(parts, whole);
    }
}

#[test]
fn numbers_are_unique_while_lazy() {
    let numbers = Numbers::with_places(4).unwrap();
    let mut cursor = 0;
    let mut taken: Vec<Number> = (0..4)
        .map(|_| numbers.begin(&mut cursor).unwrap())
        .collect();
    assert_eq!(numbers.begin(&mut cursor), None, "all places are taken");
    for (i, number) in taken.iter().enumerate() {
        assert!(numbers.is_lazy(number.link()));
        assert!(!taken[..i].contains(number));
    }
    let second = taken[1].link();
    numbers.end(taken.remove(1));
    assert!(!numbers.is_lazy(second));
    let again = numbers.begin(&mut cursor).unwrap();
    assert_ne!(again.link(), second);
    assert!(numbers.is_lazy(again.link()) && !numbers.is_lazy(second));
    numbers.end(Number::NONE);
    assert!(taken.iter().all(|number| numbers.is_lazy(number.link())));
    assert!(!numbers.is_lazy(Link::CLEAN));
}

/// However often a place is used, fresh areas stay clean, and list links stay list links.
#[test]
fn numbers_wrap() {
    let numbers = Numbers::with_places(1 << 18).unwrap();
    for turn in 0..20_000u32 {
        // The same place each time.
        let mut cursor = u32::MAX;
        let number = numbers.begin(&mut cursor).unwrap();
        let link = number.link();
        assert!(
            link != Link::CLEAN && link != Link::END && link.id() == NO_ID,
            "turn {turn}: {link:x?}"
        );
        assert!(numbers.is_lazy(link) && !numbers.is_lazy(Link::CLEAN));
        numbers.end(number);
        assert!(!numbers.is_lazy(link));
    }
    let listed = Link::to(Id::from_word(7));
    assert!(numbers.is_lazy(listed) && listed.id() == Id::from_word(7));
}

/// /proc looks at 65,536 pages at a time: it shows an area just behind them, however much clean stock,
/// which it does not show, is before it.
#[test]
fn shown_behind_clean_stock() {
    let manager = manager_of(1 << 18, 1 << 17);
    let areas: Vec<Page> = (0..60_000).map(|_| alloc(&manager, 1)).collect();
    let first = Page::new(1 << 16);
    for &start in areas.iter().filter(|&&start| start < first) {
        free(&manager, start);
    }
    manager.purge(Purge::Full);
    let shown = manager.next_shown(Page::new(0)).unwrap();
    assert!(shown.live.is_some());
    assert_eq!(
        Some(shown.start),
        areas.into_iter().filter(|&start| start >= first).min()
    );
}
