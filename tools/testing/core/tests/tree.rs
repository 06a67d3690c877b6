// SPDX-License-Identifier: GPL-2.0

//! The tree of extents against a plain sorted vector: same extents, same neighbours, same finds.

#![cfg(not(loom))]

use core_tests::{
    choice::{Bytes, Choice, Rng},
    sorted::{differential, extent, Sorted, GROUNDS},
    sys::{mem::Mode, Page},
    va::space::tree::{NodeId, Passed, Request, Tree, CHUNK},
};
use proptest::prelude::*;

/// 4 kinds of ground, 12 seeds: 72,000 steps, and all invariants after each.
#[test]
fn same_as_a_sorted_vector() {
    for (g, ground) in GROUNDS.iter().enumerate() {
        for seed in 0..12 {
            differential(seed * 31 + g as u64, ground, 1_500);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_sequence(ground in 0..GROUNDS.len(), bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut bytes = Bytes(&bytes);
        let mut sorted = Sorted::new();
        while !bytes.is_empty() {
            sorted.step(&mut bytes, &GROUNDS[ground], 50);
            sorted.check();
        }
        sorted.finish();
    }
}

#[test]
fn an_empty_tree() {
    let mut sorted = Sorted::new();
    sorted.check();
    sorted.around(0);
    sorted.around(u32::MAX);
    assert_eq!(sorted.seek(Request { pages: 1, exp: 0 }, None), None);
    assert_eq!(sorted.seek(Request { pages: 1, exp: 0 }, Some(0)), None);
    let mut kept = NodeId::NONE;
    assert_eq!(sorted.tree.remove(NodeId::NONE, &mut kept), NodeId::NONE);
    assert!(sorted
        .tree
        .split(NodeId::NONE, Page::new(1), Page::new(2))
        .is_none());
    sorted.check();
}

/// Ascending, descending, and from both ends to the middle: each order rotates elsewhere.
#[test]
fn every_order_stays_balanced() {
    const MANY: u32 = 1_000;
    let orders: [Vec<u32>; 3] = [
        (0..MANY).collect(),
        (0..MANY).rev().collect(),
        (0..MANY)
            .map(|i| if i % 2 == 0 { i / 2 } else { MANY - 1 - i / 2 })
            .collect(),
    ];
    for order in &orders {
        let mut sorted = Sorted::new();
        for &i in order {
            sorted.insert(i * 10, i * 10 + 1 + i % 9);
            sorted.check();
        }
        for exp in 0..14 {
            sorted.seek(Request { pages: 9, exp }, None);
        }
        sorted.finish();
    }
}

/// The mark follows its extent to another node, and goes to the next one when its own is removed.
#[test]
fn the_mark_follows() {
    for marked in 0..31 {
        for removed in 0..31 {
            let mut sorted = Sorted::new();
            for i in 0..31 {
                sorted.insert(i * 10, i * 10 + 5);
            }
            sorted.mark(marked);
            sorted.remove(removed);
            sorted.check();
        }
    }
}

/// A search from any extent on climbs out of its subtree, and never looks back.
#[test]
fn seek_from_each() {
    let mut sorted = Sorted::new();
    for i in 0..100 {
        sorted.insert(i * 16, i * 16 + 1 + (i * 7) % 13);
    }
    for from in 0..100 {
        for pages in 1..14 {
            for exp in 0..6 {
                sorted.seek(Request { pages, exp }, Some(from));
            }
        }
    }
}

/// More pages, and larger alignments, than the maxima tell apart.
#[test]
fn beyond_the_maxima() {
    let mut sorted = Sorted::new();
    // Each begins one page behind a multiple of 1 GiB and just misses the next.
    for i in 0..8u32 {
        sorted.insert((i << 28) + 1, (i << 28) + (1 << 28) - 1);
    }
    sorted.insert(9 << 28, (9 << 28) + 70_000);
    sorted.insert((9 << 28) + 80_000, (9 << 28) + 200_000);
    for pages in [65_534, 65_535, 65_536, 70_000, 70_001, 1 << 27] {
        for exp in [0, 17, 18, 19, 27, 28, 31] {
            sorted.seek(Request { pages, exp }, None);
        }
    }
    let at = |pages, exp| {
        let found = sorted.seek(Request { pages, exp }, None)?;
        Some(found.start.get())
    };
    assert_eq!(at(70_000, 28), Some(9 << 28));
    assert_eq!(at(70_001, 28), None);
    assert_eq!(at(1, 31), None);
}

/// Without a node nothing changes. With one, removed nodes are used again.
#[test]
fn no_node() {
    let mut tree = Tree::new(1, Mode::Sleep).unwrap();
    let nth = |i: u32| extent(i * 10, i * 10 + 5);
    assert_eq!(tree.insert(NodeId::NONE, nth(0)), None);
    assert!(!tree.is_full());
    assert!(tree.donate(Tree::prepare(Mode::Sleep).unwrap()).is_none());
    assert!(tree.is_full());
    assert!(tree.donate(Tree::prepare(Mode::Sleep).unwrap()).is_some());
    let mut last = NodeId::NONE;
    for i in 0..CHUNK {
        last = tree.insert(last, nth(i)).unwrap();
    }
    assert_eq!(tree.insert(last, nth(CHUNK)), None);
    let middle = Page::new(CHUNK * 10 - 8);
    assert_eq!(tree.split(last, middle, middle.plus(1)), None);
    assert_eq!(tree.get(last), Some(nth(CHUNK - 1)));
    tree.validate().unwrap();
    for _ in 0..3 {
        tree.remove(tree.first(), &mut last);
    }
    for i in CHUNK..CHUNK + 3 {
        last = tree.insert(last, nth(i)).unwrap();
    }
    assert_eq!(tree.insert(last, nth(CHUNK + 3)), None);
    assert_eq!((tree.count(), tree.nodes()), (CHUNK, CHUNK));
    tree.validate().unwrap();
}

/// O(log n) for any request: extents of all sizes at all offsets.
#[test]
fn visited_is_logarithmic() {
    const MANY: u32 = 50_000;
    let mut rng = Rng::new(4);
    let mut tree = Tree::new((MANY / CHUNK + 1) as usize, Mode::Sleep).unwrap();
    let mut last = NodeId::NONE;
    for i in 0..MANY {
        if tree.count() == tree.nodes() {
            tree.donate(Tree::prepare(Mode::Sleep).unwrap());
        }
        let start = i * 16 + rng.below(8);
        let end = start + 1 + rng.below(8);
        last = tree.insert(last, extent(start, end)).unwrap();
    }
    for _ in 0..20_000 {
        let (pages, exp) = (1 + rng.below(9), rng.below(16));
        let mut passed = Passed::default();
        tree.seek(Request { pages, exp }, &mut passed);
        assert!(
            passed.visited <= 2 * (MANY.ilog2() + 1),
            "{}",
            passed.visited
        );
    }
}
