// SPDX-License-Identifier: GPL-2.0

//! The whole manager against a model in plain lists.

#![cfg(not(loom))]

use core_tests::{
    choice::{Bytes, Choice, Rng},
    env::{TestEnv, TICK},
    knobs::set_atomic,
    model::{manager, run, Model},
    sys::{
        mem::{fail_from_nth, fail_nth, fail_nth_left, without_reclaim, NoMemory},
        sync::run_on_cpu,
        Mode, Page,
    },
    va::{
        area::{
            class::{Class, CLASSES},
            Kind,
        },
        env::Purged,
        stats::Pages,
        Config, Freed, Manager, Pin, Purge, Request, Switch, Unpinned, GUARD,
    },
};
use proptest::prelude::*;
use std::sync::atomic::Ordering::SeqCst;

#[test]
fn random_operations() {
    for seed in 0..60 {
        run(seed, 4_000, false);
    }
}

#[test]
fn random_operations_while_memory_fails() {
    for seed in 1_000..1_060 {
        run(seed, 4_000, true);
    }
}

/// If any allocation of the set-up fails, there is no manager, but an error.
#[test]
fn no_memory_at_the_start() {
    let config = Config {
        pages: 1 << 12,
        cpus: 2,
        shards: 2,
        lazy_max_pages: 100,
        early_purges: 0,
        flush_ceiling: 33,
    };
    let mut nth = 0;
    loop {
        nth += 1;
        fail_nth(nth);
        let made = Manager::new(config, TestEnv::new(config.pages)).err();
        fail_nth(0);
        if made.is_none() {
            break;
        }
        assert_eq!(made, Some(NoMemory));
    }
    assert!(nth > 20, "only {nth}");
}

/// A CPU costs no memory until it allocates. If there is none for its stock then, it does without, and
/// gets one at a later request.
#[test]
fn a_cpu_gets_its_stock_when_it_allocates() {
    const MANY: u64 = 1 << 40;
    let made = |cpus| {
        let config = Config {
            pages: 1 << 14,
            cpus,
            shards: 2,
            lazy_max_pages: 100,
            early_purges: 0,
            flush_ceiling: 33,
        };
        fail_nth(MANY);
        let manager = Manager::new(config, TestEnv::new(config.pages)).unwrap();
        let allocations = MANY - fail_nth_left();
        fail_nth(0);
        (manager, allocations)
    };
    assert_eq!(made(2).1, made(200).1, "allocations for 2 and for 200 CPUs");

    run_on_cpu(3);
    for nth in 1..=8 {
        let (manager, _) = made(4);
        fail_nth(nth);
        let start = alloc(&manager, 1);
        assert_eq!(
            fail_nth_left(),
            0,
            "the {nth}th allocation is not for the stock"
        );
        fail_nth(0);
        assert_eq!(manager.stats().areas, 1);
        assert_eq!(manager.stats().bytes_stock, Pages(0));
        // More than asked for, in batches: these go into the stock.
        for _ in 0..4 {
            alloc(&manager, 1);
        }
        assert!(
            manager.stats().bytes_stock != Pages(0),
            "none after the {nth}th failed"
        );
        free(&manager, start);
        assert_eq!(manager.stats().areas, 4);
    }
    run_on_cpu(0);
}

/// A free gives a CPU its stock, too, as does a request that must not reclaim memory. But neither waits for
/// the memory: reclaim may need what the caller holds, such as a lock.
#[test]
fn a_stock_is_worth_no_wait() {
    let manager = two_cpus(8_000);
    let request = Request {
        pages: 1,
        align: 1,
        mode: Mode::Gentle,
        caller: 1,
    };
    run_on_cpu(1);
    for _ in 0..4 {
        let area = without_reclaim(|| manager.alloc(request)).unwrap();
        manager.publish(area, 0, Kind::VaOnly);
    }
    assert!(manager.stats().bytes_stock != Pages(0), "no stock");

    // An area of a CPU that this one frees.
    let start = alloc(&manager, 1);
    run_on_cpu(0);
    fail_nth(1 << 40);
    without_reclaim(|| free(&manager, start));
    let before = fail_nth_left();
    assert!(before < (1 << 40) - 1, "no stock");
    // It takes no memory again.
    let start = alloc(&manager, 1);
    without_reclaim(|| free(&manager, start));
    fail_nth(0);
}

fn alloc(manager: &Manager<TestEnv>, pages: u32) -> Page {
    alloc_aligned(manager, pages, 1)
}

fn alloc_aligned(manager: &Manager<TestEnv>, pages: u32, align: u32) -> Page {
    let request = Request {
        pages,
        align,
        mode: Mode::Sleep,
        caller: 1,
    };
    let area = manager.alloc(request).unwrap();
    let start = area.start();
    manager.publish(area, 0, Kind::VaOnly);
    start
}

fn free(manager: &Manager<TestEnv>, start: Page) {
    match manager.begin_free(start).unwrap() {
        Freed::Now(dying) => manager.finish_free(dying),
        Freed::Deferred(_) => panic!("nobody has pinned it"),
    }
}

/// An area has one name, whichever of its pages it was found by: so it comes back as what it was.
#[test]
fn found_by_its_second_page() {
    run_on_cpu(0);
    let manager = two_cpus(8_000);
    let mut live: Vec<_> = (0..4).map(|_| alloc(&manager, 2)).collect();
    let even = live.iter().position(|page| page.get() % 2 == 0).unwrap();
    let start = live.swap_remove(even);
    let second = start.plus(1);
    let (seen, _) = manager.identify(second).unwrap();
    assert_eq!(seen, manager.identify(start).unwrap().0);
    assert_eq!(seen, manager.locate(second).unwrap().0);
    let (pin, _) = manager.pin(second).unwrap();
    assert!(matches!(manager.begin_free(start), Ok(Freed::Deferred(_))));
    // Its holder may have made the pin up.
    let other = Pin::from_raw(pin.into_raw() + 1);
    let Ok(Unpinned::Last(dying)) = manager.unpin(other) else {
        panic!("there is one pin");
    };
    assert_eq!((dying.start(), dying.pages()), (start, 2));
    manager.finish_free(dying);
    manager.purge(Purge::Full);
    let again: Vec<_> = (0..40).map(|_| alloc(&manager, 2)).collect();
    assert!(again.contains(&start) && !again.contains(&second));
    for start in again {
        free(&manager, start);
    }
}

fn two_cpus(lazy_max_pages: u32) -> Manager<TestEnv> {
    two_cpus_of(1 << 18, lazy_max_pages)
}

fn two_cpus_of(pages: u32, lazy_max_pages: u32) -> Manager<TestEnv> {
    some_cpus_of(2, pages, lazy_max_pages)
}

fn some_cpus_of(cpus: u32, pages: u32, lazy_max_pages: u32) -> Manager<TestEnv> {
    let config = Config {
        pages,
        cpus,
        shards: 2,
        lazy_max_pages,
        early_purges: 0,
        flush_ceiling: 33,
    };
    Manager::new(config, TestEnv::new(config.pages)).unwrap()
}

/// An allocation out of the stock, and a free of an area that nobody has pinned, may take a shortcut. It does
/// what the usual way does, or changes nothing.
#[test]
fn shortcuts() {
    run_on_cpu(0);
    let manager = two_cpus(8_000);
    let class = Class::from(3, 1).unwrap();
    assert_eq!(Class::near(2, 0), Some(class));
    let take = |caller| manager.alloc_stocked(class, caller, 7, Kind::Vmap);
    // The third is the first that comes from the stock.
    let mut live: Vec<Page> = (0..4).map(|_| alloc(&manager, 3)).collect();
    live.drain(..2).for_each(|start| free(&manager, start));
    assert_eq!(take(2), None, "that is another caller");
    live.push(take(1).expect("the stock has an area"));
    assert_eq!(manager.lookup(live[2]).map(|found| found.pages), Some(3));
    let (_, seen) = manager.identify(live[2]).unwrap();
    assert_eq!((seen.payload, seen.kind, seen.cpu), (7, Kind::Vmap, 0));
    assert_eq!(manager.caller(seen.caller), 1);
    let stats = manager.stats();
    assert_eq!((stats.areas, stats.bytes_live), (3, Pages(9)));

    let inside = live[2].plus(1);
    assert!(manager.begin_free_plain(inside).is_none());
    let (pin, _) = manager.pin(live[2]).unwrap();
    assert!(manager.begin_free_plain(live[2]).is_none());
    assert!(matches!(manager.unpin(pin), Ok(Unpinned::Live)));
    let (ticket, _) = manager.identify(live[2]).unwrap();
    assert!(manager.note(ticket));
    assert!(manager.begin_free_plain(live[2]).is_none());
    free(&manager, live[2]);
    assert!(manager.begin_free_plain(live[2]).is_none());

    let dying = manager.begin_free_plain(live[0]).expect("it is live");
    assert_eq!(manager.lookup(live[0]), None);
    assert!(dying.take_note().is_none());
    manager.finish_free(dying);
    // The free ended a life, as each free does.
    let (ticket, _) = manager.identify(live[1]).unwrap();
    let dying = manager.begin_free_plain(live[1]).expect("it is live");
    assert!(!manager.note(ticket));
    manager.finish_free(dying);
    let stats = manager.stats();
    assert_eq!((stats.allocations, stats.frees), (5, 5));
}

/// Purged areas do not count against the limit any more: no task has to help.
#[test]
fn the_limit_is_of_what_is_lazy() {
    run_on_cpu(0);
    let manager = two_cpus(8_000);
    for _ in 0..20 {
        let areas: Vec<Page> = (0..900).map(|_| alloc(&manager, 9)).collect();
        areas.iter().for_each(|&start| free(&manager, start));
        assert_eq!(manager.stats().backpressure_steps, 0);
        manager.purge(Purge::Full);
    }
    // Beyond four times the limit, tasks that free help, and not much earlier.
    let areas: Vec<Page> = (0..3_000).map(|_| alloc(&manager, 9)).collect();
    areas.iter().for_each(|&start| free(&manager, start));
    assert_eq!(manager.stats().backpressure_steps, 0);
    let areas: Vec<Page> = (0..900).map(|_| alloc(&manager, 9)).collect();
    areas.iter().for_each(|&start| free(&manager, start));
    assert!(manager.stats().backpressure_steps > 0);
}

/// A flush for all that is lazy is left out if nothing has become lazy since the last one: not after an
/// allocation, but after each free on either CPU, in a magazine or loose, and after an abort.
#[test]
fn nothing_is_flushed_twice() {
    run_on_cpu(0);
    let manager = two_cpus(8_000);
    let flushes = || {
        manager.flush_lazy();
        manager.stats().flushes
    };
    assert_eq!(flushes(), 0);
    let areas = [1, 1, 3_000].map(|pages| alloc(&manager, pages));
    assert_eq!(flushes(), 0);
    for (done, start) in (1..).zip(areas) {
        run_on_cpu(done as u32 % 2);
        free(&manager, start);
        assert_eq!(flushes(), done);
        alloc(&manager, 1);
        assert_eq!(flushes(), done);
    }
    let request = Request {
        pages: 2,
        align: 1,
        mode: Mode::Sleep,
        caller: 1,
    };
    manager.abort(manager.alloc(request).unwrap(), Mode::Sleep);
    assert_eq!(flushes(), 4);
    // A full flush of a purge serves as well.
    for start in [40; 3].map(|pages| alloc(&manager, pages)) {
        free(&manager, start);
    }
    manager.purge(Purge::Full);
    assert_eq!(manager.stats().flushes_full, 5);
    assert_eq!(flushes(), 5);
}

/// Each purge says what it has done: the areas that it made clean, in magazines and loose ones, their pages
/// with guard pages, the flushes that it took, and what is left.
#[test]
fn a_purge_says_what_it_has_done() {
    run_on_cpu(0);
    let manager = two_cpus(8_000);
    let last = || *manager.env().purges.lock().unwrap().last().unwrap();
    let purge = |how| {
        manager.purge(how);
        last()
    };
    assert_eq!(purge(Purge::Full), (c"full", Purged::default()));

    let areas: Vec<Page> = [1, 1, 40, 3_000].map(|pages| alloc(&manager, pages)).into();
    areas.iter().for_each(|&start| free(&manager, start));
    // What a CPU still fills, no other purge takes; the loose one it does.
    let (how, step) = purge(Purge::Step);
    assert_eq!((how, step.areas, step.pages), (c"step", 1, 3_001));
    let (how, full) = purge(Purge::Full);
    assert_eq!((how, full.areas, full.pages), (c"full", 3, 2 + 2 + 41));
    assert!(step.flushes > 0 && full.flushes > 0);
    assert_eq!(manager.stats().flushes, step.flushes + full.flushes);
    assert_eq!((step.left, full.left), (0, 0));

    // One that an earlier flush spares its own: the CPU has handed the area on before that.
    free(&manager, alloc(&manager, 7));
    manager.drain_cpu(0);
    manager.flush_all();
    let (_, spared) = purge(Purge::Full);
    assert_eq!((spared.areas, spared.pages, spared.flushes), (1, 8, 0));

    // What a step leaves, it counts: more magazines than it takes.
    manager.set_lazy_max(30_000);
    let areas: Vec<Page> = (0..40_000).map(|_| alloc(&manager, 1)).collect();
    areas.iter().for_each(|&start| free(&manager, start));
    let handed_on = manager.lazy_pages();
    let (_, step) = purge(Purge::Step);
    assert!(step.areas > 20_000 && step.left > 0, "{step:?}");
    assert_eq!(step.left, handed_on - step.pages);
    assert_eq!(purge(Purge::Background).0, c"background");
    assert_eq!(purge(Purge::Drain).0, c"drain");
    let purges = manager.env().purges.lock().unwrap();
    let areas: u64 = purges.iter().map(|(_, purged)| purged.areas).sum();
    assert_eq!(areas, manager.stats().flushed_areas);
    assert_eq!(purges.len() as u64, manager.stats().purges);
}

/// A single page takes the 64 bytes of its descriptor, a large area a chunk of 1 KiB at most; and whoever
/// comes later at the same addresses takes nothing.
#[test]
fn descriptors_are_made_once() {
    run_on_cpu(0);
    let manager = two_cpus(8_000);
    let bytes = || manager.stats().descriptor_bytes;
    let all = |pages: u32, areas: u32| {
        let before = bytes();
        let starts: Vec<Page> = (0..areas).map(|_| alloc(&manager, pages)).collect();
        let made = bytes() - before;
        starts.iter().for_each(|&start| free(&manager, start));
        manager.purge(Purge::Drain);
        made
    };
    // Beside them, up to 16 areas are made for the stock.
    let small = all(1, 1_000);
    assert!((64_000..64 * 1_032).contains(&small), "{small}");
    let large = all(63, 100);
    assert!((50 << 10..117 << 10).contains(&large), "{large}");
    for (pages, areas) in [(1, 1_000), (63, 100), (2, 600)] {
        assert_eq!(all(pages, areas), 0, "for {areas} areas of {pages} pages");
    }
}

/// The first purges come at an eighth, a quarter and half of the limit, unless somebody sets it.
#[test]
fn first_purges_come_early() {
    run_on_cpu(0);
    let manager = |early_purges| {
        let config = Config {
            pages: 1 << 20,
            cpus: 1,
            shards: 1,
            lazy_max_pages: 16_000,
            early_purges,
            flush_ceiling: 33,
        };
        Manager::new(config, TestEnv::new(config.pages)).unwrap()
    };
    // Lazy pages at each purge. A full magazine has 240.
    let purges = |manager: &Manager<TestEnv>| -> Vec<u64> {
        let mut at = Vec::new();
        while at.len() < 5 {
            free(manager, alloc(manager, 1));
            if manager.env().purge_kicked.swap(false, SeqCst) {
                at.push(manager.lazy_pages().div_ceil(240) * 240);
                manager.purge_due();
                assert_eq!(manager.lazy_pages(), 0);
            }
        }
        at
    };
    let full = 16_080;
    assert_eq!(purges(&manager(3)), [2_160, 4_080, 8_160, full, full]);
    assert_eq!(purges(&manager(0)), [full; 5]);
    let set = manager(3);
    set.set_lazy_max(16_000);
    assert_eq!(purges(&set), [full; 5]);
}

/// A small area at a large alignment counts with its span: otherwise the arena would be used up long
/// before the limit.
#[test]
fn alignment_counts_against_the_limit() {
    for align in [256, 512] {
        run_on_cpu(0);
        let manager = two_cpus(8_000);
        for _ in 0..4_000 {
            free(&manager, alloc_aligned(&manager, 1, align));
        }
        let stats = manager.stats();
        assert!(stats.backpressure_steps > 0);
        assert_eq!(stats.purge_retries, 0, "out of space at {align}");
        manager.purge(Purge::Full);
        assert_eq!(manager.stats().bytes_lazy.0, 0);
    }
}

/// So do areas of rare sizes, which share a magazine.
#[test]
fn rare_sizes_count_against_the_limit() {
    run_on_cpu(0);
    let manager = two_cpus(8_000);
    for align in [1, 2, 4, 8] {
        for pages in 1..=256 {
            free(&manager, alloc_aligned(&manager, pages, align));
        }
    }
    assert!(manager.stats().backpressure_steps > 0);
}

/// A CPU hands on what it frees of rare sizes when that is its share of the limit, or as much as a
/// magazine may keep from others.
#[test]
fn mixed_magazines_have_a_bound() {
    const PAGES: u32 = 1 << 16;
    run_on_cpu(0);
    // Limits of lazy pages, and of what one CPU keeps to itself: its share of the limit, or a magazine.
    // Many CPUs together no more than an eighth of the arena.
    let many = PAGES / 8 / 64;
    for (cpus, limit, own) in [
        (2, 100, 50),
        (2, PAGES / 4, PAGES / 64),
        (64, PAGES / 32, many),
    ] {
        let manager = some_cpus_of(cpus, PAGES, limit);
        for pages in (1..=60).chain(1..=60) {
            free(&manager, alloc(&manager, pages));
            let kept = manager.stats().bytes_lazy.0 - manager.lazy_pages();
            assert!(kept <= u64::from(own), "{kept} pages of {own}");
        }
    }
}

/// A full depot gives up classes that nobody asks for any more, to make room for those in use: otherwise
/// allocations would go to the extents each time.
#[test]
fn stock_out_of_use_makes_room() {
    run_on_cpu(0);
    let manager = two_cpus(8_000);
    let turn = |pages: u32, count: u32| {
        let areas: Vec<Page> = (0..count).map(|_| alloc(&manager, pages)).collect();
        areas.iter().for_each(|&start| free(&manager, start));
        manager.purge(Purge::Full);
        manager.stats().extent_searches
    };
    for pages in [1, 3] {
        turn(pages, 20_000);
    }
    let at_first = turn(8, 2_000);
    let warm = (0..10).fold(0, |_, _| turn(8, 2_000));
    let made = turn(8, 2_000) - warm;
    assert_eq!(made, 0, "{} of 2,000 before", at_first);
    // Even if one class needs more than there is room for, the depot keeps its limit.
    turn(8, 20_000);
    assert!(manager.stats().bytes_stock.0 <= (1 << 16) + (1 << 15) + 1024);
}

/// Magazines go into the depot several at a time, and yet no more of them than it has room for.
#[test]
fn the_depot_keeps_its_limit_to_the_magazine() {
    const PAGES: u32 = 1 << 18;
    run_on_cpu(0);
    for pages in [1, 8, 33, 64] {
        let manager = two_cpus_of(PAGES, PAGES);
        let count = PAGES / 2 / (pages + GUARD);
        let areas: Vec<Page> = (0..count).map(|_| alloc(&manager, pages)).collect();
        // Some fill the depot, the others meet it nearly full.
        for some in areas.chunks(areas.len().div_ceil(3)) {
            some.iter().for_each(|&start| free(&manager, start));
            manager.purge(Purge::Full);
        }
        // A quarter of the arena and the magazine that goes beyond it; the CPU has two more.
        let stock = manager.stats().bytes_stock.0;
        let bounds = u64::from(PAGES / 4 - PAGES / 256)..=u64::from(PAGES / 4 + 3 * PAGES / 256);
        assert!(
            bounds.contains(&stock),
            "{stock} pages in areas of {pages}: not in {bounds:?}"
        );
    }
}

/// Areas of sizes that are rare come back to the CPU that freed them, without a lock for each.
#[test]
fn rare_sizes_come_home() {
    run_on_cpu(0);
    let manager = two_cpus(8_000);
    let all = |manager: &Manager<TestEnv>| -> Vec<Page> {
        (1..=60).map(|pages| alloc(manager, pages)).collect()
    };
    let first = all(&manager);
    first.iter().for_each(|&start| free(&manager, start));
    manager.purge(Purge::Full);
    let before = manager.stats();
    let mut again = all(&manager);
    let after = manager.stats();
    assert_eq!(after.extent_searches, before.extent_searches);
    let locks = after.shared_locks - before.shared_locks;
    assert!(locks <= 5, "{locks} locks for 60 areas");
    let (mut first, fresh) = (first, again.clone());
    first.sort_unstable();
    again.sort_unstable();
    assert_eq!(first, again);

    // They do not pile up at a CPU that only frees: the other one finds them.
    for round in 0..20 {
        run_on_cpu(1);
        let areas = if round == 0 {
            fresh.clone()
        } else {
            all(&manager)
        };
        run_on_cpu(0);
        areas.iter().for_each(|&start| free(&manager, start));
        manager.purge(Purge::Full);
    }
    let made = manager.stats().extent_searches;
    run_on_cpu(1);
    for _ in 0..10 {
        let areas = all(&manager);
        run_on_cpu(0);
        areas.iter().for_each(|&start| free(&manager, start));
        manager.purge(Purge::Full);
        run_on_cpu(1);
    }
    assert_eq!(
        manager.stats().extent_searches,
        made,
        "what it frees is lost to others"
    );
}

/// Locks taken for 1,000 pairs, in the long run, of the pages and alignments that `size` says, on one of
/// `cpus` CPUs.
fn locks(cpus: u32, size: impl Fn(&mut Rng) -> (u32, u32)) -> u64 {
    run_on_cpu(0);
    let manager = some_cpus_of(cpus, 1 << 21, 16_000);
    let mut rng = Rng::new(7);
    let mut turn = |pairs: u32| {
        let before = manager.stats().shared_locks;
        for _ in 0..pairs {
            let (pages, align) = size(&mut rng);
            let start = alloc_aligned(&manager, pages, align);
            free(&manager, start);
            if manager.env().purge_kicked.swap(false, SeqCst) {
                manager.purge_due();
            }
        }
        manager.stats().shared_locks - before
    };
    turn(50_000);
    turn(20_000) / 20
}

#[test]
fn one_size_needs_few_locks() {
    let locks = locks(2, |_| (1, 1));
    assert!(locks < 20, "{locks}");
}

/// CPUs that take turns with many sizes and alignments, in an arena that has 128 MiB for each: some three areas of each
/// class, where the CPU has two and what is lazy. They keep these, and need no lock for them.
#[test]
fn many_sizes_of_many_cpus_in_a_small_arena() {
    const CPUS: u32 = 8;
    const PAGES: u32 = CPUS << 15;
    let manager = some_cpus_of(CPUS, PAGES, PAGES / 32);
    let mut rng = Rng::new(7);
    let mut turn = |rounds: u32| {
        let before = manager.stats().shared_locks;
        for cpu in (0..rounds).flat_map(|_| 0..CPUS) {
            run_on_cpu(cpu);
            let start = alloc_aligned(&manager, 1 + rng.below(64), 1 << rng.below(5));
            free(&manager, start);
            if manager.env().purge_kicked.swap(false, SeqCst) {
                manager.purge_due();
            }
        }
        (manager.stats().shared_locks - before) * 1_000 / u64::from(rounds * CPUS)
    };
    turn(20_000);
    let locks = turn(5_000);
    run_on_cpu(0);
    assert!(locks < 40, "{locks} for 1,000 pairs");
}

/// Many sizes and alignments, each seldom: hardly a lock for any of them.
#[test]
fn many_sizes_need_few_locks() {
    for cpus in [2, 200] {
        let locks = locks(cpus, |rng| (1 + rng.below(64), 1 << rng.below(5)));
        assert!(locks < 100, "{locks} with {cpus} CPUs");
    }
}

/// A CPU that has no room for a class, and cannot get it, frees its areas all the same, and loses none of the others.
#[test]
fn a_cpu_without_room_for_a_class() {
    const PAGES: u32 = 300;
    let manager = two_cpus(8_000);
    for round in 0..4 {
        run_on_cpu(0);
        let far: Vec<Page> = (0..4).map(|_| alloc(&manager, PAGES)).collect();
        run_on_cpu(1);
        // One by one, into the mixed magazine.
        (1..=5).for_each(|pages| free(&manager, alloc(&manager, pages)));
        for &start in &far {
            if round % 2 == 0 {
                set_atomic(true);
                free(&manager, start);
                set_atomic(false);
            } else {
                fail_from_nth(1);
                free(&manager, start);
                fail_nth(0);
            }
        }
        manager.purge(Purge::Full);
        run_on_cpu(0);
        // Those that went into CPU 0's stock, and others.
        let again: Vec<Page> = (0..8).map(|_| alloc(&manager, PAGES)).collect();
        again.iter().for_each(|&start| free(&manager, start));
        free(&manager, alloc(&manager, (1 << 18) - 1));
    }
    // With memory it keeps them.
    run_on_cpu(1);
    free(&manager, alloc(&manager, PAGES));
    manager.purge(Purge::Full);
    free(&manager, alloc(&manager, 1));
    assert!(manager.stats().bytes_stock.0 > PAGES.into());
}

/// A CPU that keeps as much as it may gives up sizes that are out of use, for those in use.
#[test]
fn kept_areas_out_of_use_make_room() {
    run_on_cpu(0);
    let manager = two_cpus(8_000);
    let round = |sizes: std::ops::RangeInclusive<u32>, align: u32, times: u32| {
        let all = (0..times).flat_map(|_| sizes.clone());
        let areas: Vec<Page> = all
            .map(|pages| alloc_aligned(&manager, pages, align))
            .collect();
        areas.iter().for_each(|&start| free(&manager, start));
        manager.purge(Purge::Full);
    };
    // As much as there is room for.
    for align in [1, 2, 4, 8, 16, 32] {
        round(33..=64, align, 25);
        // All that waits at home comes back in the search for it.
        round(1..=1, 1, 1);
    }
    assert!(manager.stats().bytes_stock.0 > 200_000);
    for _ in 0..60 {
        round(2..=32, 1, 3);
    }
    let before = manager.stats().shared_locks;
    round(2..=32, 1, 3);
    let locks = manager.stats().shared_locks - before;
    assert!(locks < 20, "{locks} locks for 93 areas");
}

/// What a CPU keeps of rare sizes leaves a part of the arena free, whatever came home to it.
#[test]
fn kept_areas_have_a_bound() {
    const PAGES: u32 = 1 << 18;
    run_on_cpu(0);
    let manager = two_cpus_of(PAGES, 8_000);
    // In each turn other classes than before, so that nobody takes what was kept earlier; and of each so few that it stays rare.
    for align in [1, 2, 4, 8, 16, 32, 64] {
        let all = (0..16).flat_map(|_| 17..=64);
        let areas: Vec<Page> = all
            .map(|pages| alloc_aligned(&manager, pages, align))
            .collect();
        areas.iter().for_each(|&start| free(&manager, start));
        manager.purge(Purge::Full);
        // All that waits at home comes back in the search for it.
        free(&manager, alloc_aligned(&manager, 1, 16));
        // A fifth is free, but for what was opened last.
        let stock = manager.stats().bytes_stock.0;
        let most = PAGES - PAGES / 5 + PAGES / 64;
        assert!(stock <= most.into(), "{stock} pages, not {most}");
    }
    assert!(
        manager.stats().bytes_stock.0 > u64::from(PAGES / 2),
        "{}",
        manager.stats().bytes_stock.0
    );
}

/// The areas in a CPU's clean magazines count against its bound, and those that it has taken out do not. So one of many
/// CPUs keeps its magazines while it allocates a few sizes in turn, however long. A drain gives the depot's promise
/// back.
#[test]
fn magazines_in_use_stay() {
    run_on_cpu(0);
    let manager = some_cpus_of(64, 1 << 21, 16_000);
    let turn = |rounds: u32| {
        let before = manager.stats().shared_locks;
        for _ in 0..rounds {
            for pages in 1..=8 {
                free(&manager, alloc(&manager, pages));
            }
            if manager.env().purge_kicked.swap(false, SeqCst) {
                manager.purge_due();
            }
        }
        (manager.stats().shared_locks - before) * 1_000 / u64::from(8 * rounds)
    };
    turn(20_000);
    let locks = turn(10_000);
    assert!(locks < 120, "{locks} for 1,000 pairs");
    // Eight full magazines.
    let promised = manager.promised();
    assert!((1..8_000).contains(&promised), "{promised} pages");
    manager.purge(Purge::Drain);
    assert_eq!(manager.promised(), 0);
}

/// A request for the whole arena gets the kept areas and mixed magazines of rare sizes, too.
#[test]
fn all_comes_back_from_rare_sizes() {
    run_on_cpu(0);
    let manager = two_cpus(8_000);
    for round in 0..6 {
        run_on_cpu(round % 2);
        for _ in 0..3 {
            let areas: Vec<Page> = (1..=60).map(|pages| alloc(&manager, pages)).collect();
            areas.iter().for_each(|&start| free(&manager, start));
            manager.purge(Purge::Full);
        }
        if round == 3 {
            // One that is alive meanwhile, and a CPU that goes.
            let kept = alloc(&manager, 7);
            manager.drain_cpu(0);
            free(&manager, kept);
        }
        let whole = alloc(&manager, (1 << 18) - 1);
        free(&manager, whole);
        manager.purge(Purge::Full);
    }
}

/// Other CPUs get the kept areas of a CPU that went, without a search.
#[test]
fn kept_areas_of_a_cpu_that_went() {
    run_on_cpu(0);
    let manager = two_cpus(8_000);
    let mut first: Vec<Page> = (1..=60).map(|pages| alloc(&manager, pages)).collect();
    first.iter().for_each(|&start| free(&manager, start));
    manager.purge(Purge::Full);
    // Takes them all into its stock.
    let one = alloc(&manager, 1);
    manager.drain_cpu(0);
    manager.purge(Purge::Full);
    run_on_cpu(1);
    let mut again: Vec<Page> = (2..=60).map(|pages| alloc(&manager, pages)).collect();
    again.push(one);
    first.sort_unstable();
    again.sort_unstable();
    assert_eq!(first, again);
}

/// A drain gives neighbours back together, in whatever order they were freed.
#[test]
fn a_drain_joins_neighbours_first() {
    run_on_cpu(0);
    let manager = two_cpus(8_000);
    let mut areas: Vec<Page> = (0..4_000).map(|_| alloc(&manager, 1)).collect();
    for i in 0..areas.len() {
        areas.swap(i, (i * 7_919 + 13) % 4_000);
    }
    areas.iter().for_each(|&start| free(&manager, start));
    let before = manager.stats().shared_locks;
    manager.purge(Purge::Drain);
    let locks = manager.stats().shared_locks - before;
    assert!(locks < 50, "{locks}");
    assert_eq!(manager.glance().free, u64::from(manager.pages()));
}

/// The manager times how long it holds a lock to give areas back.
#[test]
fn the_longest_hold_is_told() {
    run_on_cpu(0);
    let manager = two_cpus(8_000);
    let areas: Vec<Page> = (0..200).map(|_| alloc(&manager, 3)).collect();
    areas.iter().for_each(|&start| free(&manager, start));
    assert_eq!(manager.stats().hold_max_ns, 0);
    manager.purge(Purge::Drain);
    assert_eq!(manager.stats().hold_max_ns, TICK);
}

/// No two sizes or alignments share a class, and each class is of one.
#[test]
fn classes() {
    let mut seen = [false; CLASSES];
    for pages in 0..2_000 {
        for exponent in 0..14 {
            let class = Class::from(pages, 1 << exponent);
            let kept =
                pages > 0 && (pages <= 256 && exponent <= 9 || pages <= 1_024 && exponent == 0);
            assert_eq!(class.is_some(), kept, "{pages} at {exponent}");
            if let Some(class) = class {
                assert_eq!(class.pages(), pages);
                assert_eq!(class.span(), (pages + 1).next_multiple_of(1 << exponent));
                assert_eq!(Class::at(class.index()), Some(class));
                assert_eq!(Class::from_bits(Class::bits(Some(class))), Some(class));
                let slot = &mut seen[class.index()];
                assert!(!*slot, "{pages} at {exponent} shares {class:?}");
                *slot = true;
            }
        }
    }
    assert!(seen.iter().all(|seen| *seen));
    assert_eq!((Class::from(3, 3), Class::from(3, 0)), (None, None));
    assert_eq!((Class::at(CLASSES), Class::from_bits(0)), (None, None));
}

/// A CPU gets back the areas that it freed: another one's cache has nothing of them.
#[test]
fn areas_come_home() {
    run_on_cpu(0);
    let manager = two_cpus(8_000);
    let mut homes = [Vec::new(), Vec::new()];
    for _ in 0..4 {
        for cpu in 0..2 {
            run_on_cpu(cpu);
            homes[cpu as usize].extend((0..120).map(|_| alloc(&manager, 1)));
        }
    }
    for part in 0..4 {
        for cpu in 0..2 {
            run_on_cpu(cpu);
            homes[cpu as usize][part * 120..][..120]
                .iter()
                .for_each(|&start| free(&manager, start));
        }
    }
    manager.purge(Purge::Full);
    for cpu in 0..2 {
        run_on_cpu(cpu);
        let home = &homes[cpu as usize];
        let strangers = (0..360)
            .filter(|_| !home.contains(&alloc(&manager, 1)))
            .count();
        assert!(strangers <= 30, "{strangers} of 360 on CPU {cpu}");
    }
}

/// Other CPUs get the stock of a CPU that no longer runs.
#[test]
fn stock_of_a_cpu_that_went() {
    let manager = two_cpus(8_000);
    run_on_cpu(1);
    let areas: Vec<Page> = (0..40).map(|_| alloc(&manager, 1)).collect();
    areas.iter().for_each(|&start| free(&manager, start));
    run_on_cpu(0);
    manager.purge(Purge::Background);
    assert_eq!(manager.stats().bytes_lazy.0, 80, "CPU 1 keeps it");
    manager.drain_cpu(1);
    manager.purge(Purge::Background);
    assert_eq!(manager.stats().bytes_lazy.0, 0);

    run_on_cpu(1);
    alloc(&manager, 1);
    run_on_cpu(0);
    manager.drain_cpu(1);
    let searches = manager.stats().extent_searches;
    for _ in 0..30 {
        alloc(&manager, 1);
    }
    assert_eq!(
        manager.stats().extent_searches,
        searches,
        "made anew, not taken over"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn sequences_of_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600), inject: bool) {
        let mut bytes = Bytes(&bytes);
        let manager = manager(&mut bytes);
        let mut model = Model::new(&manager, inject);
        while !bytes.is_empty() {
            model.step(&mut bytes);
        }
        model.finish();
    }
}

#[test]
fn each_switch_is_its_own() {
    let manager = two_cpus(8_000);
    for (nth, &switch) in Switch::ALL.iter().enumerate() {
        assert_eq!(Switch::named(switch.key()), Some(switch));
        manager.set_switch(switch, false);
        for (other, &is) in Switch::ALL.iter().enumerate() {
            assert_eq!(
                manager.switch(is),
                other > nth,
                "{is:?} after {switch:?} was turned"
            );
        }
    }
    for &switch in Switch::ALL {
        manager.set_switch(switch, true);
        assert!(manager.switch(switch));
    }
    assert_eq!(Switch::named("magazine"), None);
}
