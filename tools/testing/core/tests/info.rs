// SPDX-License-Identifier: GPL-2.0

//! What the arena looks like: the cached record, its generations, and sums under churn.

#![cfg(not(loom))]

use core_tests::{
    env::IdleEnv,
    look,
    model::free_space,
    sys::{
        sync::{interrupted_by, run_on_cpu},
        Mode, Page,
    },
    va::{
        area::Kind,
        count::callers::{is_unaware, unaware, OTHERS},
        info::{
            cache::{Cache, Info},
            record::Generations,
        },
        stats::Pages,
        Config, Freed, Manager, Purge, Request, Switch, Unpinned,
    },
};
use std::sync::{
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    OnceLock,
};

fn manager() -> Manager<IdleEnv> {
    let config = Config {
        pages: 1 << 14,
        cpus: 2,
        shards: 2,
        lazy_max_pages: 400,
        early_purges: 0,
        flush_ceiling: 33,
    };
    Manager::new(config, IdleEnv).unwrap()
}

fn alloc(manager: &Manager<IdleEnv>, pages: u32, caller: usize) -> Option<Page> {
    let request = Request {
        pages,
        align: 1,
        mode: Mode::Sleep,
        caller,
    };
    let area = manager.alloc(request).ok()?;
    let start = area.start();
    manager.publish(area, 0, Kind::VaOnly);
    Some(start)
}

fn free(manager: &Manager<IdleEnv>, start: Page) {
    match manager.begin_free(start).unwrap() {
        Freed::Now(dying) => manager.finish_free(dying),
        Freed::Deferred(_) => panic!("nobody has pinned it"),
    }
}

/// Stops the other threads, in whatever way this one ends.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn first_read_is_no_hit() {
    let manager = manager();
    let (fresh, cached) = look(&manager);
    assert!(!cached);
    let (again, cached) = look(&manager);
    assert!(cached);
    assert_eq!(fresh, again);
    assert!(manager.is_current(fresh.generations));
    let stats = manager.stats();
    assert_eq!((stats.info_hits, stats.info_misses), (2, 1));
}

#[test]
fn any_change_makes_the_record_stale() {
    let manager = manager();
    let mut held = Vec::new();
    let record = || {
        let (info, _) = look(&manager);
        assert!(manager.is_current(info.generations));
        info.generations
    };
    let seen = record();
    held.push(alloc(&manager, 3, 0x1000).unwrap());
    assert!(!manager.is_current(seen), "a new area");
    let seen = record();
    held.drain(..).for_each(|start| free(&manager, start));
    assert!(!manager.is_current(seen), "a free");
    let seen = record();
    manager.purge(Purge::Full);
    assert!(!manager.is_current(seen), "a purge");
    let seen = record();
    // From the stock: it changes nothing but counters.
    held.push(alloc(&manager, 3, 0x1000).unwrap());
    assert!(!manager.is_current(seen), "an allocation");
    held.drain(..).for_each(|start| free(&manager, start));
    let seen = record();
    manager.purge(Purge::Drain);
    assert!(!manager.is_current(seen), "a drain");
    let seen = record();
    assert!(manager.lookup(Page::new(0)).is_none());
    assert!(manager.is_current(seen), "a lookup changes nothing");
    manager.set_switch(Switch::InfoCache, false);
    assert!(!manager.is_current(seen), "switched off");
    assert!(!look(&manager).1);
}

/// A new record takes the unchanged parts of the old one, and nothing else.
#[test]
fn free_space_is_that_of_now() {
    let manager = manager();
    let mut last = look(&manager).0.space.free;
    // No magazine is for as many pages as these.
    for pages in [600, 1000, 2000] {
        alloc(&manager, pages, 0x1000).unwrap();
        let (info, cached) = look(&manager);
        assert!(!cached);
        assert_eq!(info.space.free, free_space(&manager.stats()));
        assert_ne!(info.space.free, last);
        last = info.space.free;
    }
    // From the stock, which leaves the extents alone.
    free(&manager, alloc(&manager, 1, 0x1000).unwrap());
    look(&manager);
    free(&manager, alloc(&manager, 1, 0x1000).unwrap());
    assert_eq!(look(&manager).0.space.free, free_space(&manager.stats()));
}

fn at(areas: u64, space: u64) -> Info {
    Info {
        generations: Generations { areas, space },
        ..Info::default()
    }
}

#[test]
fn generations_wrap() {
    let before = at(u64::MAX - 1, u64::MAX).generations;
    let after = at(3, 1).generations;
    assert!(after.fresher_than(before));
    assert!(!before.fresher_than(after));
    assert!(!after.fresher_than(after));
    // Neither is later in both parts: neither replaces the other.
    let mixed = at(4, 0).generations;
    assert!(!mixed.fresher_than(after) && !after.fresher_than(mixed));
}

#[test]
fn a_late_reader_stores_nothing() {
    for base in [0, u64::MAX - 2] {
        let cache = Cache::new().unwrap();
        let mut kept = Info::default();
        assert!(!cache.load(&mut kept));
        let [first, second] = [1, 4].map(|n| at(base.wrapping_add(n), 7));
        assert!(cache.store(&second));
        assert!(!cache.store(&first), "an older record came later");
        assert!(!cache.store(&second), "the same record again");
        assert!(cache.load(&mut kept));
        assert_eq!(kept, second);
    }
}

/// A task sees its own work in its next read, even if other tasks read at the same time and leave
/// records.
#[test]
fn own_changes_show() {
    let manager = manager();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        scope.spawn(|| {
            run_on_cpu(1);
            while !stop.load(SeqCst) {
                look(&manager);
            }
        });
        for done in 1..=100_000 {
            free(&manager, alloc(&manager, 1, 0x1000).unwrap());
            // The second read finds the record of the first reader, perhaps not ours.
            for _ in 0..2 {
                let totals = look(&manager).0.areas.totals;
                assert_eq!((totals.allocs, totals.frees), (done, done));
            }
        }
    });
}

#[test]
fn fragmentation_in_percent() {
    let mut info = Info::default();
    assert_eq!(info.fragmentation(), 0, "nothing is free");
    info.space.free.pages = 1000;
    info.space.free.largest = 1000;
    assert_eq!(info.fragmentation(), 0);
    info.space.free.largest = 999;
    assert_eq!(info.fragmentation(), 1);
    info.areas.stock_gross = 1000;
    assert_eq!(info.fragmentation(), 51);
    info.space.free.largest = 0;
    assert_eq!(info.fragmentation(), 100);
}

/// While two threads allocate on one CPU and free on the other, no sum is below the areas that live or
/// above those that can.
#[test]
fn sums_under_churn() {
    const HELD: usize = 200;
    let manager = manager();
    let stop = AtomicBool::new(false);
    let slots: Vec<AtomicU64> = (0..HELD).map(|_| AtomicU64::new(0)).collect();
    // These stay.
    let kept: Vec<Page> = (0..50)
        .filter_map(|i| alloc(&manager, 1 + i, 0x42))
        .collect();
    let kept_gross: u64 = (0..50).map(|i| 2 + i).sum();
    std::thread::scope(|scope| {
        for cpu in 0..2u32 {
            let (manager, stop, slots) = (&manager, &stop, &slots);
            scope.spawn(move || {
                run_on_cpu(cpu);
                let mut random = u64::from(cpu) + 1;
                while !stop.load(SeqCst) {
                    random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
                    let slot = &slots[(random >> 33) as usize % HELD];
                    let pages = 1 + (random >> 50) as u32 % 8;
                    let new = alloc(manager, pages, 0x1000 + pages as usize);
                    let new = new.map_or(0, |start| u64::from(start.get()) + 1);
                    let old = slot.swap(new, SeqCst);
                    if old != 0 {
                        free(manager, Page::new((old - 1) as u32));
                    }
                    if random >> 60 == 0 {
                        manager.purge(Purge::Background);
                    }
                }
            });
        }
        run_on_cpu(1);
        // A failed assertion must not leave the threads running.
        let _stop = StopOnDrop(&stop);
        for _ in 0..10_000 {
            let before = manager.stats().allocations;
            let (info, _) = look(&manager);
            let totals = info.areas.totals;
            // An area that came during the sums may have gone again unseen.
            let came = manager.stats().allocations - before;
            let most = kept_gross + (HELD as u64 + 2 + came) * 9;
            assert!(
                (50..=50 + HELD as u64 + 2 + came).contains(&totals.areas()),
                "{totals:?}"
            );
            assert!((kept_gross..=most).contains(&totals.gross()), "{totals:?}");
            assert!(totals.pages() <= totals.gross(), "{totals:?}");
            assert!(info.areas.lazy_gross <= (1 << 14) + came * 18, "{info:?}");
            assert!(info.areas.stock_gross <= (1 << 14) + came * 18, "{info:?}");
            assert!(
                info.areas.sizes.iter().all(|&n| n <= 300 + came),
                "{info:?}"
            );
            assert!(info.areas.top.iter().all(|top| top.totals.gross() <= most));
        }
    });
    for slot in &slots {
        match slot.load(SeqCst) {
            0 => {}
            start => free(&manager, Page::new((start - 1) as u32)),
        }
    }
    kept.iter().for_each(|&start| free(&manager, start));
    assert_eq!(look(&manager).0.areas.totals.areas(), 0);
}

/// Code goes, and other code comes to its address: that is another caller, with counts of its own.
#[test]
fn another_caller_at_the_same_address() {
    const HERE: usize = 0x1000;
    run_on_cpu(0);
    let manager = manager();
    let caller = |start: Page| manager.inspect(start).unwrap().caller;
    let leaked = alloc(&manager, 3, HERE).unwrap();
    let first = caller(leaked);
    // From stock, too, where a CPU knows the caller that it saw last.
    for _ in 0..10 {
        free(&manager, alloc(&manager, 3, HERE).unwrap());
    }
    assert_eq!(manager.caller(first), HERE);
    let mut kept = Vec::new();
    manager.retire_callers(|at| at == HERE, |id, at| kept.push((id, at)));
    assert_eq!(kept, [(first, HERE)]);
    assert_eq!(manager.caller(first), 0);
    manager.retire_callers(|at| at == HERE, |id, _| panic!("{id} went before"));

    let others: Vec<Page> = (0..10).map(|_| alloc(&manager, 3, HERE).unwrap()).collect();
    let other = others[0];
    let second = caller(other);
    assert!(others.iter().all(|&start| caller(start) == second));
    others[1..].iter().for_each(|&start| free(&manager, start));
    assert_ne!(first, second);
    assert_eq!(caller(leaked), first);
    assert_eq!(manager.caller(second), HERE);
    for (id, allocs) in [(first, 11), (second, 10)] {
        let mut callers = manager.callers();
        let counted = callers.find(|c| c.caller == id).unwrap().totals;
        let seen = (counted.allocs, counted.areas(), counted.pages());
        assert_eq!(seen, (allocs, 1, 3));
    }
    free(&manager, leaked);
    free(&manager, other);
    assert_eq!(manager.stats().areas, 0);
}

/// Callers without areas do not use up the numbers when their code goes, and are counted all the same.
#[test]
fn numbers_of_callers_that_left_nothing() {
    run_on_cpu(0);
    let manager = manager();
    for round in 0..5_000 {
        let here = 0x1000 + 8 * round;
        let start = alloc(&manager, 1, here).unwrap();
        assert_ne!(manager.inspect(start).unwrap().caller, OTHERS, "{round}");
        free(&manager, start);
        manager.retire_callers(|at| at == here, |id, _| panic!("{id} has no area"));
    }
    let stats = manager.stats();
    assert_eq!(
        (stats.allocations, stats.frees, stats.areas),
        (5_000, 5_000, 0)
    );
    let (info, _) = look(&manager);
    assert_eq!(info.areas.totals.allocs, 5_000);
}

/// A caller that asked another allocator has a number of its own beside the same code that asked us, also
/// when its code goes.
#[test]
fn unaware_callers_count_apart() {
    run_on_cpu(0);
    let manager = manager();
    let here = usize::MAX << 32 | 0x1234;
    assert!(!is_unaware(here) && is_unaware(unaware(here)) && !is_unaware(0x1234));
    let aware = alloc(&manager, 2, here).unwrap();
    let first = alloc(&manager, 3, unaware(here)).unwrap();
    let second = alloc(&manager, 3, unaware(here)).unwrap();
    let held = || -> Vec<_> {
        let held = manager.unaware_callers();
        held.map(|top| (top.caller, top.totals.areas(), top.totals.pages()))
            .collect()
    };
    let number = manager.inspect(first).unwrap().caller;
    assert_eq!(held(), [(number, 2, 6)]);
    assert_ne!(manager.inspect(aware).unwrap().caller, number);
    assert_eq!(
        manager.caller(number),
        here,
        "the mark is no part of the address"
    );
    assert!(manager.has_number(unaware(here)));
    free(&manager, first);
    assert_eq!(held(), [(number, 1, 3)]);
    manager.retire_callers(|at| at == here, |_, at| assert_eq!(at, here));
    assert_eq!(held(), [(number, 1, 3)]);
    assert_eq!(manager.caller(number), 0);
    free(&manager, second);
    free(&manager, aware);
    assert_eq!(held(), [(number, 0, 0)]);
}

/// The last caller that gets a number, and the first that does not.
#[test]
fn numbers_run_out() {
    run_on_cpu(0);
    let manager = manager();
    let refused = (0..100_000).find(|at| !manager.has_number(unaware(0x1000 + 8 * at)));
    let refused = unaware(0x1000 + 8 * refused.expect("numbers never run out"));
    let start = alloc(&manager, 1, refused).unwrap();
    assert_eq!(manager.inspect(start).unwrap().caller, OTHERS);
    assert_eq!(
        manager
            .unaware_callers()
            .map(|top| top.totals.areas())
            .sum::<u64>(),
        0
    );
    free(&manager, start);
}

/// An interrupt may come while a task changes something. No question that any context may ask waits for
/// that task.
#[test]
fn readers_may_interrupt() {
    static MANAGER: OnceLock<Manager<IdleEnv>> = OnceLock::new();
    static READS: AtomicU64 = AtomicU64::new(0);

    fn read() {
        let manager = MANAGER.get().unwrap();
        manager.glance();
        manager.stats();
        manager.callers().for_each(drop);
        for page in (0..manager.pages()).step_by(500).map(Page::new) {
            assert_eq!(
                manager.lookup(page),
                manager.locate(page).map(|(_, found)| found)
            );
            manager.inspect(page);
            if let Some((pin, _)) = manager.pin(page) {
                assert!(matches!(manager.unpin(pin), Ok(Unpinned::Live)));
            }
        }
        manager.walk(Page::new(0), &mut |_| true);
        READS.fetch_add(1, SeqCst);
    }

    let manager = MANAGER.get_or_init(manager);
    interrupted_by(read, || {
        for pages in [1, 1, 9, 2_000] {
            let areas = [(); 4].map(|()| alloc(manager, pages, 1).unwrap());
            areas.map(|start| free(manager, start));
            manager.purge(Purge::Drain);
        }
    });
    let reads = READS.load(SeqCst);
    assert!(reads > 100, "{reads} interrupts");
    let stats = manager.stats();
    assert_eq!((stats.areas, stats.bytes_live), (0, Pages(0)));
}
