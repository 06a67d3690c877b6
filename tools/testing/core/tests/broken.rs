// SPDX-License-Identifier: GPL-2.0

//! What cannot happen is made to happen: each kind ends a test.

#![cfg(not(loom))]

use core_tests::{
    sys::{Mode, Page},
    va::{
        area::{index::Index, Descriptors, Id},
        flush::list::{List, Stack},
        space::{
            range::Range,
            shards::{Shards, Vacant},
            tree::{Extent, NodeId, Tree},
        },
    },
};

const PAGES: u32 = 4096;

/// A range of which somebody says what he cannot know.
struct Claimed(Range);

impl Vacant for Claimed {
    fn range(&self) -> Range {
        self.0
    }
}

/// Four shards, the first of which gave `pages` pages away.
fn shards(pages: u32) -> (Shards, Range) {
    let shards = Shards::new(PAGES, 4).unwrap();
    let taken = shards.take(pages, 1, 0, Mode::Sleep).unwrap().range();
    (shards, taken)
}

#[test]
#[should_panic(expected = "that is free")]
fn range_given_back_twice() {
    let (shards, range) = shards(4);
    shards.give_back(&[Claimed(range)]);
    shards.give_back(&[Claimed(range)]);
}

#[test]
#[should_panic(expected = "that is free")]
fn range_longer_than_what_was_taken() {
    let (shards, range) = shards(4);
    shards.give_back(&[Claimed(Range { pages: 5, ..range })]);
}

#[test]
#[should_panic(expected = "not in the arena")]
fn range_that_ends_behind_the_arena() {
    let shards = Shards::new(PAGES, 4).unwrap();
    let start = Page::new(PAGES / 4 * 3);
    let pages = PAGES / 4;
    let taken = shards.take(pages, 1, 3, Mode::Sleep).unwrap().range();
    assert_eq!(taken.start, start);
    shards.give_back(&[Claimed(Range {
        start,
        pages: pages + 1,
    })]);
}

#[test]
#[should_panic(expected = "more pieces back")]
fn area_given_back_in_two_pieces() {
    let (shards, Range { start, .. }) = shards(4);
    let half = |start| Claimed(Range { start, pages: 2 });
    shards.give_back(&[half(start), half(start.plus(2))]);
}

/// The name of a node in a tree that has two chunks, for one that has one.
fn node_of_another_tree() -> (Tree, NodeId) {
    let mut other = Tree::new(2, Mode::Sleep).unwrap();
    let mut last = NodeId::NONE;
    for chunk in 0..2 {
        assert!(other.donate(Tree::prepare(Mode::Sleep).unwrap()).is_none());
        for i in 0..other.nodes() / (chunk + 1) {
            let start = Page::new((chunk * 64 + i) * 10);
            let extent = Extent {
                start,
                end: start.plus(5),
            };
            last = other.insert(last, extent).unwrap();
        }
    }
    let mut tree = Tree::new(2, Mode::Sleep).unwrap();
    assert!(tree.donate(Tree::prepare(Mode::Sleep).unwrap()).is_none());
    assert!(tree.get(NodeId::NONE).is_none());
    (tree, last)
}

#[test]
#[should_panic(expected = "a node that it does not have")]
fn node_that_is_asked_for() {
    let (tree, node) = node_of_another_tree();
    tree.get(node);
}

#[test]
#[should_panic(expected = "to change a node that it does not have")]
fn node_that_is_changed() {
    let (mut tree, node) = node_of_another_tree();
    tree.move_end(node, Page::new(7));
}

/// The name of an area whose descriptor nobody has made.
fn an_id() -> Id {
    Id::of(Page::new(3))
}

#[test]
#[should_panic(expected = "not prepared for")]
fn index_without_words() {
    let index = Index::new(PAGES).unwrap();
    index.set(Page::new(3), 4, an_id());
}

#[test]
#[should_panic(expected = "told of pages that are not in the arena")]
fn index_of_a_smaller_arena() {
    let index = Index::new(PAGES).unwrap();
    index.set(Page::new(2 * PAGES), 4, an_id());
}

#[test]
#[should_panic(expected = "asked for pages that are not in the arena")]
fn index_prepared_for_a_larger_arena() {
    let index = Index::new(PAGES).unwrap();
    let _ = index.prepare(Page::new(2 * PAGES), 4, Mode::Sleep);
}

#[test]
#[should_panic(expected = "behind the end of the arena")]
fn area_beyond_the_arena() {
    let descriptors = Descriptors::new(64).unwrap();
    for page in 0..64 {
        let id = descriptors.prepare(Page::new(page), Mode::Sleep).unwrap();
        assert!(descriptors.held(id).is_some());
    }
    let _ = descriptors.prepare(Page::new(64), Mode::Sleep);
}

#[test]
#[should_panic(expected = "no descriptor")]
fn descriptor_that_was_never_made() {
    Descriptors::new(640).unwrap().held(an_id());
}

#[test]
#[should_panic(expected = "no descriptor")]
fn list_of_what_is_no_area() {
    let descriptors = Descriptors::new(640).unwrap();
    let mut list = List::default();
    assert_eq!(list.pop(&descriptors), None);
    list.push(&descriptors, an_id());
}

#[test]
#[should_panic(expected = "no descriptor")]
fn stack_of_what_is_no_area() {
    Stack::new().push(&Descriptors::new(640).unwrap(), an_id());
}
