// SPDX-License-Identifier: GPL-2.0

//! The memory that a CPU takes, as the kernel's allocator rounds it up.

#![cfg(not(loom))]

use core_tests::{
    env::IdleEnv,
    sys::{sync::run_on_cpu, Mode},
    va::{area::Kind, Config, Freed, Manager, Purge, Request},
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    ops::RangeInclusive,
    sync::atomic::{AtomicIsize, Ordering::SeqCst},
};

static BYTES: AtomicIsize = AtomicIsize::new(0);

struct Counting;

/// What `kmalloc()` takes for that: a cache of objects of its size, or whole pages of a power of two.
fn rounded(size: usize) -> isize {
    let power = size.next_power_of_two().max(8);
    let between = power / 4 * 3;
    let small = matches!(between, 96 | 192) && size <= between;
    (if small { between } else { power }) as isize
}

// SAFETY: It only counts what `System` does.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(rounded(layout.size()), SeqCst);
        // SAFETY: As of this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.fetch_sub(rounded(layout.size()), SeqCst);
        // SAFETY: As of this function.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn made() -> Manager<IdleEnv> {
    let config = Config {
        pages: 1 << 20,
        cpus: 3,
        shards: 3,
        lazy_max_pages: 16_000,
        early_purges: 0,
        flush_ceiling: 33,
    };
    Manager::new(config, IdleEnv).unwrap()
}

/// Bytes but for those that belong to areas, whichever CPU has them.
fn bytes(manager: &Manager<IdleEnv>) -> isize {
    let stats = manager.stats();
    let areas = stats.descriptor_bytes + stats.index_bytes + stats.extent_bytes;
    BYTES.load(SeqCst) - areas as isize
}

/// Bytes that a CPU takes which uses these sizes, eight areas of each at a time.
fn taken(manager: &Manager<IdleEnv>, cpu: u32, sizes: RangeInclusive<u32>) -> isize {
    let before = bytes(manager);
    run_on_cpu(cpu);
    for _ in 0..20 {
        let areas: Vec<_> = (0..8)
            .flat_map(|_| sizes.clone())
            .map(|pages| {
                let area = manager.alloc(Request {
                    pages,
                    align: 1,
                    mode: Mode::Sleep,
                    caller: 1,
                });
                let area = area.unwrap();
                let start = area.start();
                manager.publish(area, 0, Kind::VaOnly);
                start
            })
            .collect();
        for start in areas {
            match manager.begin_free(start).unwrap() {
                Freed::Now(dying) => manager.finish_free(dying),
                Freed::Deferred(_) => panic!("nobody has pinned it"),
            }
        }
        manager.purge(Purge::Full);
    }
    bytes(manager) - before
}

/// The manager takes some 68 KiB: 32 KiB for the near classes, 32 KiB for the counters of callers, and magazines.
const BOUND: isize = 70 << 10;

/// One test alone: the count is of the whole process.
#[test]
fn a_cpu_takes_memory_for_what_it_uses() {
    let manager = made();
    taken(&manager, 0, 1..=20);
    let usual = taken(&manager, 1, 1..=20);
    assert!((32 << 10..BOUND).contains(&usual), "{usual} bytes");
    // Sizes that are seldom asked for: two pieces of classes, and more magazines, since fewer such areas fill one.
    let seldom = taken(&manager, 2, 251..=270);
    assert!(seldom < BOUND + 4 * 4096, "{seldom} bytes");
}
