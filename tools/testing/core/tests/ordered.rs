// SPDX-License-Identifier: GPL-2.0

//! Areas are dissolved in the order of their addresses, neighbours as one range.

#![cfg(not(loom))]

use core_tests::{
    choice::{Choice, Rng},
    sys::{Mode, Page},
    va::{
        area::{class::Class, index::Index, Descriptors, NO_ID},
        space::{
            range::{Range, GUARD},
            shards::{Shards, Vacant, STEP},
        },
        stock::{
            magazine::{CleanId, CleanRange},
            ordered::{Batch, Ordered},
        },
    },
};

const PAGES: u32 = 1 << 14;
const SHARDS: u32 = 4;
/// Pages of a shard.
const SHARD: u32 = PAGES / SHARDS;

/// An arena.
struct World {
    shards: Shards,
    descriptors: Descriptors,
    index: Index,
    ordered: Ordered,
}

impl World {
    fn new() -> Self {
        Self {
            shards: Shards::new(PAGES, SHARDS).unwrap(),
            descriptors: Descriptors::new(PAGES).unwrap(),
            index: Index::new(PAGES).unwrap(),
            ordered: Ordered::new(PAGES).unwrap(),
        }
    }

    /// An area of `pages` pages, at the lowest address.
    fn area(&self, pages: u32) -> (Range, CleanId) {
        let space = self
            .shards
            .take(pages + GUARD, 1, 0, Mode::Sleep)
            .expect("space");
        let Range { start, .. } = space.range();
        let id = self.descriptors.prepare(start, Mode::Sleep).unwrap();
        let descriptor = self.descriptors.get(id).unwrap();
        descriptor.shape(start, pages, Class::from(pages, 1));
        self.index.prepare(start, pages, Mode::Sleep).unwrap();
        self.index.set(start, pages, id);
        let pages = pages + GUARD;
        (Range { start, pages }, CleanId::made(id, space))
    }

    fn take(&mut self) -> Option<Batch> {
        self.ordered
            .take(&self.index, &self.descriptors, &self.shards)
    }

    /// Gives a batch back.
    fn give_back(&self, batch: Batch) {
        self.shards.give_back(batch.ranges());
    }

    /// Takes out everything. Returns the ranges, and the areas of each.
    fn take_all(&mut self) -> Vec<(Range, u32)> {
        let mut ranges = Vec::new();
        while let Some(batch) = self.take() {
            let of = |range: &CleanRange| (range.range(), range.areas());
            ranges.extend(batch.ranges().iter().map(of));
            self.give_back(batch);
        }
        ranges
    }

    /// Everything is free, and nobody finds an area.
    fn assert_empty(&self) {
        assert_eq!(self.shards.space().free.pages, u64::from(PAGES));
        assert_eq!(self.shards.space().free.extents, u64::from(SHARDS));
        assert!((0..PAGES).all(|page| self.index.get(Page::new(page)) == NO_ID));
    }
}

/// Puts values into a random order.
fn shuffle<T>(values: &mut [T], rng: &mut Rng) {
    for i in (1..values.len()).rev() {
        values.swap(i, rng.below(i as u32 + 1) as usize);
    }
}

#[test]
fn neighbours_go_back_together() {
    let mut world = World::new();
    let mut rng = Rng::new(1);
    let mut areas: Vec<_> = (0..2000).map(|_| world.area(1).1).collect();
    shuffle(&mut areas, &mut rng);
    for area in areas {
        world.ordered.put(area, &world.descriptors);
    }
    let before = world
        .shards
        .locks
        .load(std::sync::atomic::Ordering::Relaxed);
    let ranges = world.take_all();
    let locks = world
        .shards
        .locks
        .load(std::sync::atomic::Ordering::Relaxed)
        - before;
    assert!(ranges.len() < 10, "{ranges:?}");
    assert!(locks < 10, "{locks} locks");
    assert_eq!(ranges.iter().map(|(_, areas)| areas).sum::<u32>(), 2000);
    world.assert_empty();
}

/// Any areas, put in in any order, come out in the order of their addresses, and none is missed.
#[test]
fn areas_in_any_order() {
    for seed in 0..40 {
        let mut rng = Rng::new(seed);
        let mut world = World::new();
        for _ in 0..4 {
            let mut areas: Vec<_> = (0..400)
                .map(|_| {
                    // Now and then one that begins in one shard and ends in the next, or fills a window.
                    let most = if rng.below(50) == 0 { 1100 } else { 9 };
                    world.area(1 + rng.below(most))
                })
                .collect();
            shuffle(&mut areas, &mut rng);
            let kept = areas.split_off(250);
            let mut expected: Vec<Range> = areas.iter().map(|(range, _)| *range).collect();
            expected.sort_unstable_by_key(|range| range.start);
            for (_, area) in areas {
                world.ordered.put(area, &world.descriptors);
            }
            let mut parts = expected.iter();
            for (range, areas) in world.take_all() {
                let mut at = range.start;
                for part in parts.by_ref().take(areas as usize) {
                    assert_eq!(part.start, at, "seed {seed}");
                    at = part.end();
                }
                assert_eq!(range.end(), at);
                let shard_of = |page: Page| page.get() / SHARD;
                assert!(areas == 1 || shard_of(range.start) == shard_of(range.end().minus(1)));
            }
            assert_eq!(parts.next(), None, "seed {seed}");
            for (range, area) in &kept {
                assert_eq!(world.index.get(range.start), area.id());
            }
            for (_, area) in kept {
                world.ordered.put(area, &world.descriptors);
            }
            world.take_all();
            world.assert_empty();
        }
    }
}

/// One lock hold, and the time between two looks at the scheduler, have a bound.
#[test]
fn a_batch_has_a_bound() {
    let mut world = World::new();
    let areas: Vec<_> = (0..2000).map(|_| world.area(1).1).collect();
    let mut kept = Vec::new();
    for (i, area) in areas.into_iter().enumerate() {
        if i % 2 == 0 || i < 1100 {
            world.ordered.put(area, &world.descriptors);
        } else {
            kept.push(area);
        }
    }
    let mut sizes = Vec::new();
    while let Some(batch) = world.take() {
        sizes.push((batch.ranges().len(), batch.areas()));
        world.give_back(batch);
    }
    assert_eq!(sizes[..2], [(1, 512), (1, 512)]);
    assert!(
        sizes[2..].iter().all(|&(ranges, _)| ranges <= STEP),
        "{sizes:?}"
    );
    assert_eq!(kept.len(), 450);
}

/// What is put in between two batches comes next, if it is the lowest.
#[test]
fn an_area_between_two_batches() {
    let mut world = World::new();
    let mut areas: Vec<_> = (0..5000).map(|_| world.area(1).1).collect();
    for area in areas.split_off(4400) {
        world.ordered.put(area, &world.descriptors);
    }
    let batch = world.take().unwrap();
    world.give_back(batch);
    world.ordered.put(areas.swap_remove(0), &world.descriptors);
    let batch = world.take().unwrap();
    assert_eq!(batch.ranges()[0].range().start, Page::new(0));
    world.give_back(batch);
}
