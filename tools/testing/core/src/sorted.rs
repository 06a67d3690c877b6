// SPDX-License-Identifier: GPL-2.0

//! The tree of extents and, beside it, a plain sorted vector: every step does the same to both and
//! compares.

use crate::{
    choice::{Choice, Rng},
    collections::Vec,
    knobs,
    sys::{mem::Mode, Page},
    va::space::tree::{Extent, NodeId, Passed, Request, Tree},
};

/// The extent from page `start` up to `end`.
pub fn extent(start: u32, end: u32) -> Extent {
    Extent {
        start: Page::new(start),
        end: Page::new(end),
    }
}

/// The pages of the extents, and the kind of requests.
pub struct Ground {
    /// The first page.
    pub start: u32,
    /// Pages.
    pub pages: u32,
    /// The longest extent that a step adds.
    pub longest: u32,
    /// Alignments are powers of two up to this exponent.
    pub exp: u32,
}

/// Several.
pub const GROUNDS: [Ground; 4] = [
    // Crowded: extents touch, and each step has neighbours.
    Ground {
        start: 0,
        pages: 300,
        longest: 9,
        exp: 6,
    },
    Ground {
        start: 5,
        pages: 60_000,
        longest: 2_000,
        exp: 15,
    },
    // So that the capped maxima matter, and alignments that have none of their own.
    Ground {
        start: 1,
        pages: u32::MAX - 1,
        longest: 1 << 28,
        exp: 31,
    },
    // The end of the page numbers.
    Ground {
        start: u32::MAX - 500,
        pages: 500,
        longest: 20,
        exp: 31,
    },
];

/// The tree, and its oracle.
pub struct Sorted {
    /// The tree under test.
    pub tree: Tree,
    /// The same extents, in order.
    pub extents: Vec<Extent>,
    /// The number of the extent that [`Self::kept`] names.
    marked: Option<usize>,
    kept: NodeId,
}

impl Default for Sorted {
    fn default() -> Self {
        Self::new()
    }
}

impl Sorted {
    /// No extent, and room for as many as any test makes.
    pub fn new() -> Self {
        Self {
            tree: Tree::new(1_000, Mode::Sleep).unwrap(),
            extents: Vec::new(),
            marked: None,
            kept: NodeId::NONE,
        }
    }

    /// The node of the `i`-th extent.
    pub fn node(&self, i: usize) -> NodeId {
        let Some(extent) = self.extents.get(i) else {
            return NodeId::NONE;
        };
        self.tree.around(extent.start).0
    }

    fn reserve(&mut self) {
        if self.tree.count() == self.tree.nodes() {
            let chunk = Tree::prepare(Mode::Sleep).unwrap();
            assert!(self.tree.donate(chunk).is_none());
        }
    }

    /// Adds an extent that overlaps none.
    #[track_caller]
    pub fn insert(&mut self, start: u32, end: u32) {
        self.reserve();
        let extent = extent(start, end);
        let (floor, _) = self.tree.around(extent.start);
        let node = self.tree.insert(floor, extent).unwrap();
        assert_eq!(self.tree.get(node), Some(extent));
        let i = self.extents.partition_point(|e| e.start < extent.start);
        self.extents.insert(i, extent);
        self.marked = self.marked.map(|m| m + usize::from(m >= i));
    }

    /// Removes the `i`-th extent. The mark follows its extent, or moves on to the next one.
    #[track_caller]
    pub fn remove(&mut self, i: usize) {
        let next = self.tree.remove(self.node(i), &mut self.kept);
        self.extents.remove(i);
        assert_eq!(next, self.node(i), "the next extent is elsewhere");
        self.marked = self.marked.map(|m| m - usize::from(m > i));
        self.check_mark();
    }

    /// Cuts pages out of the middle of the `i`-th extent.
    #[track_caller]
    pub fn split(&mut self, i: usize, start: u32, end: u32) {
        self.reserve();
        let cut = extent(start, end);
        let behind = self.tree.split(self.node(i), cut.start, cut.end).unwrap();
        let whole = self.extents[i];
        self.extents[i].end = cut.start;
        let rest = Extent {
            start: cut.end,
            end: whole.end,
        };
        self.extents.insert(i + 1, rest);
        assert_eq!(behind, self.node(i + 1));
        self.marked = self.marked.map(|m| m + usize::from(m > i));
    }

    /// Moves one end of the `i`-th extent.
    pub fn stretch(&mut self, i: usize, start: Option<u32>, end: Option<u32>) {
        let node = self.node(i);
        if let Some(start) = start.map(Page::new) {
            self.tree.move_start(node, start);
            self.extents[i].start = start;
        }
        if let Some(end) = end.map(Page::new) {
            self.tree.move_end(node, end);
            self.extents[i].end = end;
        }
    }

    /// Marks the `i`-th extent.
    pub fn mark(&mut self, i: usize) {
        self.marked = Some(i);
        self.kept = self.node(i);
    }

    #[track_caller]
    fn check_mark(&self) {
        let kept = self.marked.map_or(NodeId::NONE, |m| self.node(m));
        assert_eq!(self.kept, kept, "the mark is elsewhere");
    }

    /// The same search in both, from the lowest extent on or from the `from`-th.
    #[track_caller]
    pub fn seek(&self, request: Request, from: Option<usize>) -> Option<Extent> {
        let mut passed = Passed::default();
        let found = match from {
            None => self.tree.seek(request, &mut passed),
            Some(i) => self.tree.seek_from(self.node(i), request, &mut passed),
        };
        let first = from.unwrap_or(0).min(self.extents.len());
        let rest = &self.extents[first..];
        let fits = |e: &Extent| {
            let align = 1u64 << request.exp;
            let start = u64::from(e.start.get()).next_multiple_of(align);
            start + u64::from(request.pages) <= u64::from(e.end.get())
        };
        let skipped = rest.iter().take_while(|e| !fits(e));
        let longest = skipped.clone().map(|e| e.pages()).max();
        let (pages, exp) = (request.pages, request.exp);
        let wanted = rest.get(skipped.count()).copied();
        assert_eq!(
            self.tree.get(found),
            wanted,
            "seek({pages}, {exp}, {from:?})"
        );
        assert_eq!(passed.longest, longest.unwrap_or(0), "what was passed");
        // Requests whose maxima are exact: to the root, down, and no step in vain.
        if pages < 1 << 16 && exp <= 18 {
            let height = 3 * (self.extents.len() as u32 + 1).ilog2() + 3;
            assert!(passed.visited <= height, "{} visited", passed.visited);
        }
        wanted
    }

    /// Compares all there is to compare.
    #[track_caller]
    pub fn check(&self) {
        self.tree.validate().unwrap();
        self.check_mark();
        assert_eq!(self.tree.count() as usize, self.extents.len());
        let longest = self.extents.iter().map(|e| e.pages()).max();
        assert_eq!(self.tree.longest(), longest.unwrap_or(0));
        let mut node = self.tree.first();
        for &extent in &self.extents {
            assert_eq!(self.tree.get(node), Some(extent));
            node = self.tree.next(node);
        }
        assert_eq!(node, NodeId::NONE);
    }

    /// The neighbours of a page, in both.
    #[track_caller]
    pub fn around(&self, page: u32) {
        let page = Page::new(page);
        let (floor, next) = self.tree.around(page);
        let behind = self.extents.partition_point(|e| e.start <= page);
        let before = behind.checked_sub(1).map(|i| self.extents[i]);
        assert_eq!(self.tree.get(floor), before);
        assert_eq!(self.tree.get(next), self.extents.get(behind).copied());
    }

    /// One random thing; `more` of 100 times it adds an extent.
    pub fn step(&mut self, choice: &mut impl Choice, ground: &Ground, more: u32) {
        let page = ground.start + choice.below(ground.pages);
        let i = self.extents.partition_point(|e| e.start.get() <= page);
        match choice.below(100) {
            n if n < more => self.add_at(i, page, choice, ground),
            n if n < 80 && i > 0 => self.remove(i - 1),
            n if n < 90 && i > 0 => self.change(i - 1, choice),
            n if n < 93 && i > 0 => self.mark(i - 1),
            n => {
                self.around(page);
                let longest = 1 + choice.below(ground.longest);
                let request = Request {
                    pages: 1 + choice.below(longest),
                    exp: choice.below(ground.exp + 1),
                };
                self.seek(request, (n % 2 == 0).then_some(i));
            }
        }
    }

    /// Adds an extent at `page`, or behind the one that holds it, as far as there is room.
    fn add_at(&mut self, i: usize, page: u32, choice: &mut impl Choice, ground: &Ground) {
        let behind = i.checked_sub(1).map_or(0, |i| self.extents[i].end.get());
        let start = page.max(behind);
        let limit = self
            .extents
            .get(i)
            .map_or(ground.start + ground.pages, |e| e.start.get());
        let pages = 1 + choice.below(ground.longest);
        let end = start.saturating_add(pages).min(limit);
        if start < end {
            self.insert(start, end);
        }
    }

    /// Shortens, lengthens or splits the `i`-th extent.
    fn change(&mut self, i: usize, choice: &mut impl Choice) {
        let (start, end) = (self.extents[i].start.get(), self.extents[i].end.get());
        let inside = start + choice.below(end - start);
        let before = i
            .checked_sub(1)
            .map_or(start, |i| self.extents[i].end.get());
        let behind = self.extents.get(i + 1).map_or(end, |e| e.start.get());
        match choice.below(5) {
            0 => self.stretch(i, Some(inside), None),
            1 => self.stretch(i, None, Some(inside + 1)),
            2 => self.stretch(i, Some(start - choice.below(start - before + 1)), None),
            3 => self.stretch(i, None, Some(end + choice.below(behind - end + 1))),
            _ if inside > start && inside + 1 < end => self.split(i, inside, inside + 1),
            _ => {}
        }
    }

    /// Removes all extents, from both ends by turns.
    pub fn finish(mut self) {
        while let Some(last) = self.extents.len().checked_sub(1) {
            self.remove(if last % 2 == 0 { 0 } else { last });
        }
        self.check();
    }
}

/// So many steps, and all invariants after each.
pub fn differential(seed: u64, ground: &Ground, steps: u32) {
    knobs::begin(seed);
    let mut rng = Rng::new(seed);
    let mut sorted = Sorted::new();
    for step in 0..steps {
        // Now the tree grows, now it shrinks.
        let more = if (step / 250) % 2 == 0 { 60 } else { 25 };
        sorted.step(&mut rng, ground, more);
        sorted.check();
    }
    sorted.finish();
}
