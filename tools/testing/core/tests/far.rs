// SPDX-License-Identifier: GPL-2.0

//! Areas of classes for which a CPU has no room until it is asked, and empty magazines that nobody needs.

#![cfg(not(loom))]

use core_tests::{
    choice::{Choice, Rng},
    env::TestEnv,
    knobs::set_atomic,
    sys::{
        mem::{fail_from_nth, fail_nth},
        sync::run_on_cpu,
        Mode, Page,
    },
    va::{area::Kind, stats::Pages, Config, Freed, Manager, Purge, Request},
};

fn two_cpus(pages: u32, lazy_max_pages: u32) -> Manager<TestEnv> {
    let config = Config {
        pages,
        cpus: 2,
        shards: 2,
        lazy_max_pages,
        early_purges: 0,
        flush_ceiling: 33,
    };
    Manager::new(config, TestEnv::new(pages)).unwrap()
}

fn alloc(manager: &Manager<TestEnv>, pages: u32, align: u32, mode: Mode) -> Option<(Page, u32)> {
    let request = Request {
        pages,
        align,
        mode,
        caller: 1,
    };
    let area = manager.alloc(request).ok()?;
    let start = area.start();
    assert_eq!((area.pages(), start.get() % align), (pages, 0));
    manager.env().map(start, pages);
    manager.publish(area, 0, Kind::VaOnly);
    Some((start, pages))
}

fn free(manager: &Manager<TestEnv>, (start, pages): (Page, u32)) {
    let Ok(Freed::Now(dying)) = manager.begin_free(start) else {
        panic!("it is live, and nobody has pinned it");
    };
    assert_eq!((dying.start(), dying.pages()), (start, pages));
    manager.env().clear(start, pages);
    manager.finish_free(dying);
}

/// Pages and alignment, often where a class is the last that is usual, or the first that is not.
fn size(rng: &mut Rng) -> (u32, u32) {
    let pages = match rng.below(4) {
        0 => 1 + rng.below(5),
        1 => 125 + rng.below(8),
        2 => 250 + rng.below(12),
        _ => [1, 128, 129, 256, 257, 300, 300, 1024][rng.below(8) as usize],
    };
    let align = match rng.below(3) {
        0 => 1 << rng.below(10),
        1 => 128 << rng.below(3),
        _ => 1,
    };
    (pages, align)
}

/// In any context, with memory and without, no area is lost, none overlaps another, and at the end the arena is whole.
#[test]
fn far_classes_on_two_cpus() {
    for seed in 0..20 {
        let rng = &mut Rng::new(seed + 77);
        let total = 1 << (13 + seed % 4);
        let manager = two_cpus(total, total / 32);
        let mut live = Vec::new();
        for _ in 0..4_000 {
            run_on_cpu(rng.below(2));
            match rng.below(100) {
                0..48 => {
                    let (pages, align) = size(rng);
                    let mode = [Mode::Sleep, Mode::Gentle, Mode::NoWait][rng.below(3) as usize];
                    if rng.below(8) == 0 {
                        fail_from_nth(1 + u64::from(rng.below(6)));
                    }
                    set_atomic(mode == Mode::NoWait);
                    live.extend(alloc(&manager, pages, align, mode));
                }
                48..96 if !live.is_empty() => {
                    let area = live.swap_remove(rng.below(live.len() as u32) as usize);
                    if rng.below(6) == 0 {
                        fail_from_nth(1);
                    }
                    set_atomic(rng.below(4) == 0);
                    free(&manager, area);
                }
                96 | 97 => {
                    manager.purge(
                        [Purge::Background, Purge::Step, Purge::Full][rng.below(3) as usize],
                    );
                }
                98 => manager.drain_cpu(rng.below(2)),
                99 => {
                    manager.purge(Purge::Drain);
                    manager.trim(1 << 20);
                    manager.finish_trim();
                }
                _ => {}
            }
            set_atomic(false);
            fail_nth(0);
        }
        live.into_iter().for_each(|area| free(&manager, area));
        manager.purge(Purge::Drain);
        assert_eq!(manager.stats().bytes_stock, Pages(0));
        assert_eq!((manager.promised(), manager.lazy_pages()), (0, 0));
        let all = alloc(&manager, total - 1, 1, Mode::Sleep).expect("all is free");
        free(&manager, all);
    }
    run_on_cpu(0);
}

/// Bytes of empty magazines that nobody uses.
fn spares(manager: &Manager<TestEnv>) -> usize {
    manager.shrink()
}

/// A CPU that makes one area after the other needs one empty magazine, not one for each batch.
#[test]
fn growing_leaves_no_magazines() {
    run_on_cpu(0);
    let manager = two_cpus(1 << 20, 16_000);
    for _ in 0..20_000 {
        alloc(&manager, 1, 1, Mode::Sleep).unwrap();
    }
    let left = spares(&manager);
    assert!(left < 32 << 10, "{left} bytes");
}

/// A free on a CPU that has no room for the class, and cannot get it, makes no magazine for it.
#[test]
fn frees_without_room_leave_no_magazines() {
    run_on_cpu(0);
    let manager = two_cpus(1 << 22, 1 << 19);
    let areas: Vec<_> = (0..4_000)
        .map(|_| alloc(&manager, 300, 1, Mode::Sleep).unwrap())
        .collect();
    run_on_cpu(1);
    let one = alloc(&manager, 1, 1, Mode::Sleep).unwrap();
    free(&manager, one);
    spares(&manager);
    set_atomic(true);
    areas.into_iter().for_each(|area| free(&manager, area));
    set_atomic(false);
    let left = spares(&manager);
    assert!(left < 32 << 10, "{left} bytes");
    run_on_cpu(0);
}
