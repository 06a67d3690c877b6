// SPDX-License-Identifier: GPL-2.0

//! The extents against a plain linear first fit: same addresses, always.

#![cfg(not(loom))]

use core_tests::{
    choice::{Choice, Rng},
    pair::{differential, iter_from, CacheUse, Pair, MIXES},
    sys::{mem::Mode, Page},
    va::space::extents::{Extents, Refused},
};

/// 16 seeds, 1,152,000 operations, a third of them each with the cache on, off, and switched.
fn seeds(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        for (m, mix) in MIXES.iter().enumerate() {
            for cache in [CacheUse::On, CacheUse::Off, CacheUse::Toggled] {
                differential(seed * 31 + m as u64, mix, 6_000, cache);
            }
        }
    }
}

#[test]
fn same_as_linear_first_fit_seeds_0_to_7() {
    seeds(0..8);
}

#[test]
fn same_as_linear_first_fit_seeds_8_to_15() {
    seeds(8..16);
}

#[test]
fn nothing_is_asked_for() {
    let mut pair = Pair::new(0, 100);
    assert_eq!(pair.extents.alloc(0, 1, &mut 0), None);
    assert_eq!(pair.extents.alloc(1, 0, &mut 0), None);
    assert_eq!(pair.extents.alloc(1, 3, &mut 0), None);
    assert!(!pair.extents.take_at(Page::new(5), 0));
    assert_eq!(pair.extents.free(Page::new(5), 0), Err(Refused::Outside));
    pair.check();
}

#[test]
fn a_shard_of_nothing() {
    let mut pair = Pair::new(7, 0);
    assert_eq!(pair.alloc(1, 1), None);
    assert!(!pair.extents.take_at(Page::new(7), 1));
    assert_eq!(pair.extents.free(Page::new(7), 1), Err(Refused::Outside));
    pair.check();
}

#[test]
fn the_whole_shard() {
    for cached in [true, false] {
        let mut pair = Pair::new(0, 1 << 20);
        pair.extents.set_cache(cached);
        assert_eq!(pair.alloc((1 << 20) + 1, 1), None);
        // Twice: the traces of the first run must not mislead the second one.
        for _ in 0..2 {
            assert_eq!(pair.alloc(1 << 20, 1 << 20), Some(0));
            assert_eq!(pair.extents.largest(), 0);
            assert_eq!(pair.alloc(1, 1), None);
            pair.check();
            pair.free(0);
            pair.check();
        }
    }
}

/// Alignments of 16 KiB, 32 KiB, 2 MiB, 1 GiB and of the whole arena of 4 GiB.
#[test]
fn alignments_above_a_page() {
    const ARENA: u32 = 1 << 20;
    for cached in [true, false] {
        for align in [0x4, 0x8, 0x200, 0x4_0000, ARENA] {
            let mut pair = Pair::new(0, ARENA);
            pair.extents.set_cache(cached);
            // Page 0 is taken: the first multiple is not where the extent begins.
            assert_eq!(pair.alloc(1, 1), Some(0));
            let second = (align < ARENA).then_some(align);
            assert_eq!(pair.alloc(2, align), second);
            // Between the two there is room for smaller ones still.
            assert_eq!(pair.alloc(1, 2), Some(2));
            assert_eq!(pair.alloc(1, 1), Some(1));
            pair.check();
            pair.free(0);
            assert_eq!(pair.alloc(1, align), Some(0));
            pair.check();
        }
    }
}

/// Alignments beyond those that have maxima of their own.
#[test]
fn alignments_above_1_gib() {
    for cached in [true, false] {
        let mut pair = Pair::new(1, u32::MAX - 1);
        pair.extents.set_cache(cached);
        for start in [1 << 30, 2 << 30, 3 << 30] {
            assert_eq!(pair.alloc(1 << 20, 1 << 30), Some(start));
        }
        assert_eq!(pair.alloc(1 << 20, 1 << 30), None);
        assert_eq!(pair.alloc(1 << 20, 1 << 31), None);
        pair.free(2 << 30);
        assert_eq!(pair.alloc(1 << 20, 1 << 31), Some(2 << 30));
        pair.check();
    }
}

/// The end of the page numbers: nothing wraps to 0.
#[test]
fn the_last_page() {
    for cached in [true, false] {
        let mut pair = Pair::new(u32::MAX - 100, 100);
        pair.extents.set_cache(cached);
        assert_eq!(pair.alloc(4, 256), None);
        assert_eq!(pair.alloc(4, 1 << 31), None);
        assert_eq!(pair.alloc(u32::MAX, 1), None);
        assert_eq!(pair.alloc(2, 32), Some(u32::MAX - 95));
        assert_eq!(pair.alloc(100, 1), None);
        let last = Page::new(u32::MAX - 1);
        for pages in [2, u32::MAX] {
            assert!(!pair.extents.take_at(last, pages));
            assert_eq!(pair.extents.free(last, pages), Err(Refused::Outside));
        }
        assert!(pair.extents.take_at(last, 1) && pair.oracle.take_at(last.get(), 1));
        pair.check();
        // More pages than there are numbers.
        let extents = Extents::new(Page::new(u32::MAX - 10), 100, Mode::Sleep).unwrap();
        assert_eq!(extents.free_pages(), 10);
        assert_eq!(
            Extents::new(Page::new(u32::MAX), 100, Mode::Sleep)
                .unwrap()
                .largest(),
            0
        );
    }
}

/// Freed behind the cache: the next request of the same size goes there.
#[test]
fn freed_behind_the_cache() {
    let mut pair = Pair::new(0, 1_000);
    for i in 0..10 {
        assert_eq!(pair.alloc(10, 1), Some(i * 10));
    }
    pair.free(30);
    pair.check();
    assert_eq!(pair.alloc(10, 1), Some(30));
    assert_eq!(pair.alloc(10, 1), Some(100));
    // Two that are too short alone, but not together; the second joins them, then a third comes
    // before both.
    for start in [50, 40, 10] {
        pair.free(start);
        pair.check();
    }
    assert_eq!(pair.alloc(20, 1), Some(40));
    assert_eq!(pair.alloc(10, 1), Some(10));
    assert_eq!(pair.alloc(10, 1), Some(110));
    pair.check();
}

/// A range freed behind the cache that is too short for it, and then a request for that size.
#[test]
fn smaller_than_the_hole() {
    let mut pair = Pair::new(0, 1_000);
    let small: Vec<_> = (0..5).map(|_| pair.alloc(3, 1).unwrap()).collect();
    pair.alloc(50, 1);
    pair.free(small[1]);
    assert_eq!(pair.alloc(50, 1), Some(65));
    assert_eq!(pair.alloc(4, 1), Some(115));
    assert_eq!(pair.alloc(3, 1), Some(small[1]));
    pair.free(small[3]);
    assert_eq!(pair.alloc(4, 1), Some(119));
    assert_eq!(pair.alloc(2, 1), Some(small[3]));
    pair.check();
}

/// A smaller size than the one for which the cache stayed where it was.
#[test]
fn smaller_size() {
    let mut pair = Pair::new(0, 1_000);
    let first = pair.alloc(5, 1).unwrap();
    pair.alloc(1, 1);
    pair.free(first);
    assert_eq!(pair.alloc(20, 1), Some(6));
    for size in [10, 6] {
        // Fits nowhere before, although it is smaller.
        assert!(pair.alloc(size, 1) > Some(6));
    }
    assert_eq!(pair.alloc(5, 1), Some(0));
    pair.check();
}

/// A smaller alignment than the one for which the cache stayed where it was.
#[test]
fn smaller_alignment() {
    for align in [0x4, 0x8, 0x200, 0x4_0000] {
        let mut pair = Pair::new(1, 1 << 20);
        assert_eq!(pair.alloc(3, align), Some(align));
        assert!(pair.alloc(3, align) > Some(align));
        // Both fit in front, the second one only because it need not be aligned at all.
        if align > 4 {
            assert_eq!(pair.alloc(3, align / 2), Some(align / 2));
        }
        assert_eq!(pair.alloc(3, 1), Some(1));
        pair.check();
    }
}

/// The guard page is part of the request: the search passes over an extent that is too short only by
/// it, and the cache knows.
#[test]
fn guard_page() {
    const GUARD: u32 = 1;
    let mut pair = Pair::new(0, 1_000);
    assert_eq!(pair.alloc(4, 1), Some(0));
    assert_eq!(pair.alloc(1 + GUARD, 1), Some(4));
    pair.free(0);
    // 4 pages are free in front: enough for 3 and a guard, not for 4 and a guard.
    assert_eq!(pair.alloc(4 + GUARD, 1), Some(6));
    assert_eq!(pair.alloc(3 + GUARD, 1), Some(0));
    pair.check();
}

/// A free never needs a node if the caller kept the reserve: every second piece goes back first.
#[test]
fn freeing_needs_no_memory() {
    let mut pair = Pair::new(0, 30_000);
    while pair.alloc(1, 1).is_some() {}
    // Each second piece, then the rest, in an order that merges on both sides at last.
    let mut order: Vec<u32> = (0..30_000).step_by(2).collect();
    order.extend((1..30_000).step_by(2));
    for start in order {
        pair.extents.free(Page::new(start), 1).unwrap();
    }
    pair.extents.validate().unwrap();
    assert_eq!(pair.extents.count(), 1);
    // And the bound is not far from the need: 15,000 extents at the worst.
    assert!(pair.extents.spare() < 15_200);
}

/// Without a node nothing changes.
#[test]
fn no_node() {
    let mut extents = Extents::new(Page::new(0), 1_000, Mode::Sleep).unwrap();
    let mut start = Page::new(1);
    while extents.spare() > 0 {
        assert!(extents.take_at(start, 1));
        start = start.plus(2);
    }
    let before: Vec<_> = iter_from(&extents, 0).collect();
    assert!(!extents.take_at(Page::new(501), 1));
    assert_eq!(extents.alloc(2, 512, &mut 0), None);
    extents.validate().unwrap();
    assert!(iter_from(&extents, 0).eq(before));
    assert!(extents.take_at(Page::new(500), 500));
    assert_eq!(extents.free(Page::new(700), 1), Err(Refused::NoNode));
    extents.validate().unwrap();
    assert!(extents
        .donate(Extents::prepare(Mode::Sleep).unwrap())
        .is_none());
    assert_eq!(extents.free(Page::new(700), 1), Ok(()));
    extents.validate().unwrap();
}

/// `n` lazy areas at 16 KiB alignment: each leaves a hole that the next cannot use. Returns extents visited by each of the next few requests.
fn visited_behind(n: u32, cached: bool) -> Vec<u32> {
    let mut extents = Extents::new(Page::new(0), 1 << 22, Mode::Sleep).unwrap();
    for pieces in 0..n {
        while !extents.covers(pieces) {
            extents.donate(Extents::prepare(Mode::Sleep).unwrap());
        }
        extents.alloc(2, 4, &mut 0).unwrap();
    }
    extents.set_cache(cached);
    let mut visited = Vec::new();
    for pieces in n..n + 10 {
        while !extents.covers(pieces) {
            extents.donate(Extents::prepare(Mode::Sleep).unwrap());
        }
        let mut count = 0;
        assert_eq!(extents.alloc(2, 4, &mut count), Some(Page::new(4 * pieces)));
        visited.push(count);
    }
    extents.validate().unwrap();
    visited
}

/// The regression that the free-area cache cures.
#[test]
fn visited_with_and_without_the_cache() {
    for n in [100, 1_000, 10_000, 100_000] {
        let with = visited_behind(n, true);
        // The first one has no cache yet, and the tree alone to go by.
        assert!(with[0] <= 2 * (n.ilog2() + 1), "{n}: {with:?}");
        assert!(with[1..].iter().all(|&v| v <= 4), "{n}: {with:?}");
        let without = visited_behind(n, false);
        assert!(without.iter().all(|&v| v >= n), "{n}: {without:?}");
    }
}

/// No worst case: even if the cache is useless, any search looks at O(log n) extents.
#[test]
fn visited_when_the_cache_is_of_no_use() {
    const HOLES: u32 = 50_000;
    let mut rng = Rng::new(4);
    let mut extents = Extents::new(Page::new(0), HOLES * 16 + 64, Mode::Sleep).unwrap();
    for pieces in 0..HOLES {
        while !extents.covers(pieces) {
            extents.donate(Extents::prepare(Mode::Sleep).unwrap());
        }
        // Holes of 1 to 14 pages at all offsets.
        let start = pieces * 16 + rng.below(8);
        assert!(extents.take_at(Page::new(start), 1 + rng.below(8)));
    }
    let mut most = 0;
    for _ in 0..20_000 {
        // Big and small, aligned and not, by turns: each one resets the cache.
        let (pages, align) = (1 + rng.below(15), 1 << rng.below(6));
        extents.set_cache(true);
        let mut visited = 0;
        if let Some(start) = extents.alloc(pages, align, &mut visited) {
            extents.free(start, pages).unwrap();
        }
        most = most.max(visited);
    }
    assert!(most <= 2 * (HOLES.ilog2() + 1), "{most}");
    extents.validate().unwrap();
}
