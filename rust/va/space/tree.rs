// SPDX-License-Identifier: GPL-2.0

//! A balanced tree of extents, in address order.
//!
//! Each node knows the most that its subtree can serve, at every alignment. A search for the lowest
//! extent that can hold a request follows these maxima and is O(log n).
//!
//! The tree has no policy: [`super::extents`] decides which extents exist and where a search starts.
//! It also keeps extents apart; the tree trusts its caller in that.
//!
//! # Units
//!
//! Positions are [`Page`]s, lengths are pages as `u32`. An alignment is a power of two, `1 << exp`
//! pages, and holds for the position.
//!
//! # Memory and context
//!
//! Nodes are in chunks. [`Tree::prepare`] makes a chunk, [`Tree::donate`] takes it in, and
//! [`Tree::give_up`] gives it out again; nothing else in this file allocates or frees, and nothing sleeps or blocks. Any context may call the rest.
//!
//! # Invariants
//!
//! Between any two calls:
//!
//! - The extents ascend.
//! - The tree is an AVL tree: the subtrees of a node differ in height by at most 1.
//! - `longest` and `aligned` of a node are those of its whole subtree.
//! - Each node that was ever used is in the tree or in the list of unused nodes.

use crate::sys::{
    broken,
    mem::{Mode, NoMemory, Table},
    Page,
};

/// Nodes of one chunk: one page of memory.
pub const CHUNK: u32 = 64;

/// Alignments of up to `1 << EXPS` pages (1 GiB) have maxima of their own.
///
/// A search for a larger alignment looks at the extents that serve this one. Each of them holds a
/// boundary of its own, so that there is at most one per GiB of the shard.
const EXPS: usize = 18;

/// The largest value of [`Node::aligned`]. A search for more pages looks at all extents that serve
/// this many: at most four per GiB of the shard.
const CAP: u32 = u16::MAX as u32;

/// A set of maxima, one bit each: bit 0 is [`Node::longest`], bit `k` is that of `1 << k` pages in
/// [`Node::aligned`].
type Maxima = u32;

const ALL: Maxima = (1 << (EXPS + 1)) - 1;

/// One extent: some pages without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first page.
    pub start: Page,
    /// The page behind the last one.
    pub end: Page,
}

impl Extent {
    /// Its pages.
    #[inline]
    pub fn pages(self) -> u32 {
        self.end.since(self.start)
    }

    /// Its pages from its first multiple of `1 << exp` on.
    #[inline]
    pub fn usable(self, exp: u32) -> u32 {
        let mask = mask(exp);
        let aligned = Page::new(self.start.get().wrapping_add(mask) & !mask);
        if aligned < self.start {
            // The next multiple is 1 << 32.
            return 0;
        }
        self.end.max(aligned).since(aligned)
    }

    /// The lowest page where this extent can hold the request.
    #[inline]
    pub fn place(self, request: Request) -> Option<Page> {
        let usable = self.usable(request.exp);
        (usable >= request.pages).then(|| self.end.minus(usable))
    }
}

#[inline]
fn mask(exp: u32) -> u32 {
    1u32.checked_shl(exp).map_or(u32::MAX, |align| align - 1)
}

/// What a search looks for.
#[derive(Clone, Copy)]
pub struct Request {
    /// Pages.
    pub pages: u32,
    /// The first page is a multiple of `1 << exp`.
    pub exp: u32,
}

/// What a search went past on its way.
#[derive(Clone, Copy, Default)]
pub struct Passed {
    /// Pages of the longest extent that it passed over.
    pub longest: u32,
    /// Nodes that it looked at.
    pub visited: u32,
}

/// Names a node of one tree, or none. A name is good until the node's extent is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(u32);

impl NodeId {
    /// No node.
    pub const NONE: Self = Self(u32::MAX);

    /// The node's chunk, and its place there.
    #[inline]
    fn place(self) -> (usize, usize) {
        ((self.0 / CHUNK) as usize, (self.0 % CHUNK) as usize)
    }
}

/// A node of the tree. 64 bytes.
#[derive(Clone, Copy)]
struct Node {
    extent: Extent,
    left: NodeId,
    right: NodeId,
    /// In an unused node, the next unused one.
    parent: NodeId,
    /// Pages of the longest extent of this subtree.
    longest: u32,
    /// The most pages that an extent of this subtree has left after aligning its start to
    /// `1 << (i + 1)` pages; at most [`CAP`].
    aligned: [u16; EXPS],
    height: u8,
}

impl Node {
    const UNUSED: Self = Self {
        extent: Extent {
            start: Page::new(0),
            end: Page::new(0),
        },
        left: NodeId::NONE,
        right: NodeId::NONE,
        parent: NodeId::NONE,
        longest: 0,
        aligned: [0; EXPS],
        height: 0,
    };

    /// Whether an extent of this subtree may hold the request. The answer is certain for requests
    /// below [`CAP`] pages at alignments that have a maximum, and for those that need no alignment.
    #[inline]
    fn may_serve(&self, request: Request) -> bool {
        let Request { pages, exp } = request;
        self.longest >= pages && (exp == 0 || self.served(exp.min(EXPS as u32)) >= pages.min(CAP))
    }

    /// The entry of `aligned` for `1 << exp` pages; `exp` is 1 to [`EXPS`].
    #[inline]
    fn served(&self, exp: u32) -> u32 {
        self.aligned
            .get(exp.wrapping_sub(1) as usize)
            .map_or(0, |&pages| u32::from(pages))
    }
}

/// The maxima in which two nodes differ.
fn differing(a: &Node, b: &Node) -> Maxima {
    let mut differing = u32::from(a.longest != b.longest);
    for (slot, (a, b)) in a.aligned.iter().zip(&b.aligned).enumerate() {
        differing |= u32::from(a != b).wrapping_shl(slot as u32 + 1);
    }
    differing
}

/// Memory for nodes; [`Tree::prepare`] makes it.
pub struct Chunk(Table<Node>);

impl Chunk {
    /// Its bytes.
    pub const BYTES: usize = CHUNK as usize * core::mem::size_of::<Node>();
}

/// The tree.
pub struct Tree {
    /// [`NodeId::place`] says where a node is.
    chunks: Table<Option<Chunk>>,
    root: NodeId,
    /// Nodes that were in the tree once.
    unused: NodeId,
    /// Nodes from this one on were never in the tree, or not since the last [`Tree::gather`].
    fresh: u32,
    /// All nodes.
    nodes: u32,
    /// Nodes in the tree.
    count: u32,
}

/// Memory.
impl Tree {
    /// Makes an empty tree that has no node yet, and room for `chunks` chunks. Sleeps where `mode`
    /// may.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(chunks: usize, mode: Mode) -> Result<Self, NoMemory> {
        Ok(Self {
            chunks: Table::new(chunks, mode, |_| None)?,
            root: NodeId::NONE,
            unused: NodeId::NONE,
            fresh: 0,
            nodes: 0,
            count: 0,
        })
    }

    /// Makes nodes to [`Self::donate`]. Sleeps where `mode` may; never call it under a lock.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn prepare(mode: Mode) -> Result<Chunk, NoMemory> {
        Table::new(CHUNK as usize, mode, |_| Node::UNUSED).map(Chunk)
    }

    /// Takes in the nodes of `chunk`.
    ///
    /// If the tree has all the chunks that it has room for, it gives the chunk back, to be dropped.
    pub fn donate(&mut self, chunk: Chunk) -> Option<Chunk> {
        let Some(slot) = self.chunks.get_mut((self.nodes / CHUNK) as usize) else {
            return Some(chunk);
        };
        *slot = Some(chunk);
        self.nodes = self.nodes.saturating_add(CHUNK);
        None
    }

    /// The last chunk, to be dropped; `None` if it has a node that is in use, or was since the last
    /// [`Self::gather`].
    pub fn give_up(&mut self) -> Option<Chunk> {
        let rest = self.nodes.checked_sub(CHUNK)?;
        if self.fresh > rest {
            return None;
        }
        let chunk = self.chunks.get_mut((rest / CHUNK) as usize)?.take();
        self.nodes = rest;
        chunk
    }

    /// Moves all extents into the first nodes, if one chunk has room for them. `kept` is a node that the
    /// caller remembers: it follows its extent. O(n log n) of at most 64.
    pub fn gather(&mut self, kept: &mut NodeId) {
        let count = self.count as usize;
        let mut extents = [Node::UNUSED.extent; CHUNK as usize];
        let Some(extents) = extents.get_mut(..count) else {
            return;
        };
        let mut place = None;
        let mut node = self.first();
        for (i, extent) in extents.iter_mut().enumerate() {
            if node == *kept {
                place = Some(i);
            }
            *extent = self.get(node).unwrap_or(*extent);
            node = self.next(node);
        }
        (self.root, self.unused) = (NodeId::NONE, NodeId::NONE);
        (self.fresh, self.count) = (0, 0);
        *kept = NodeId::NONE;
        let mut last = NodeId::NONE;
        for (i, extent) in extents.iter().enumerate() {
            // There is a node for each, as there was before.
            last = self.insert(last, *extent).unwrap_or(NodeId::NONE);
            if place == Some(i) {
                *kept = last;
            }
        }
    }

    /// Whether the tree has all the chunks that it has room for.
    pub fn is_full(&self) -> bool {
        (self.nodes / CHUNK) as usize >= self.chunks.len()
    }

    /// Nodes, used and unused.
    pub fn nodes(&self) -> u32 {
        self.nodes
    }

    /// Number of extents.
    pub fn count(&self) -> u32 {
        self.count
    }

    fn obtain(&mut self) -> Option<NodeId> {
        let i = if let Some(n) = self.at(self.unused) {
            let next = n.parent;
            core::mem::replace(&mut self.unused, next)
        } else if self.fresh < self.nodes {
            let i = self.fresh;
            self.fresh = i.wrapping_add(1);
            NodeId(i)
        } else {
            return None;
        };
        self.count = self.count.saturating_add(1);
        Some(i)
    }

    fn recycle(&mut self, i: NodeId) {
        let unused = self.unused;
        if let Some(n) = self.at_mut(i) {
            *n = Node {
                parent: unused,
                ..Node::UNUSED
            };
            self.unused = i;
            self.count = self.count.saturating_sub(1);
        }
    }

    // These two ask for `NONE` first: when they found that out by a missing chunk, an allocation from the
    // extents and its free took 190 instructions more, of 2,000.
    #[inline]
    fn at(&self, i: NodeId) -> Option<&Node> {
        if i == NodeId::NONE {
            return None;
        }
        let (chunk, place) = i.place();
        let chunk = self.chunks.get(chunk).and_then(Option::as_ref);
        let node = chunk.and_then(|chunk| chunk.0.get(place));
        if node.is_none() {
            broken(c"a tree is asked for a node that it does not have");
        }
        node
    }

    #[inline]
    fn at_mut(&mut self, i: NodeId) -> Option<&mut Node> {
        if i == NodeId::NONE {
            return None;
        }
        let (chunk, place) = i.place();
        let chunk = self.chunks.get_mut(chunk).and_then(Option::as_mut);
        let node = chunk.and_then(|chunk| chunk.0.get_mut(place));
        if node.is_none() {
            broken(c"a tree is asked to change a node that it does not have");
        }
        node
    }
}

/// Questions.
impl Tree {
    /// The extent of a node.
    #[inline]
    pub fn get(&self, i: NodeId) -> Option<Extent> {
        self.at(i).map(|n| n.extent)
    }

    /// Pages of the longest extent. O(1).
    pub fn longest(&self) -> u32 {
        self.at(self.root).map_or(0, |n| n.longest)
    }

    /// The node of the lowest extent.
    pub fn first(&self) -> NodeId {
        self.leftmost(self.root)
    }

    /// The node of the next extent after that of `i`.
    pub fn next(&self, i: NodeId) -> NodeId {
        match self.at(i) {
            Some(n) if n.right != NodeId::NONE => self.leftmost(n.right),
            Some(_) => self.climb(i),
            None => NodeId::NONE,
        }
    }

    /// The last node whose extent begins at or before `page`, and the first one whose extent begins
    /// after it.
    pub fn around(&self, page: Page) -> (NodeId, NodeId) {
        let (mut floor, mut next) = (NodeId::NONE, NodeId::NONE);
        let mut i = self.root;
        while let Some(n) = self.at(i) {
            if n.extent.start <= page {
                floor = i;
                i = n.right;
            } else {
                next = i;
                i = n.left;
            }
        }
        (floor, next)
    }

    /// The lowest of all extents that can hold the request.
    pub fn seek(&self, request: Request, passed: &mut Passed) -> NodeId {
        self.search(self.root, true, request, passed)
    }

    /// The lowest extent that can hold the request, of that of `i` and those after it.
    pub fn seek_from(&self, i: NodeId, request: Request, passed: &mut Passed) -> NodeId {
        self.search(i, false, request, passed)
    }

    /// Searches from `i` on; with `down`, from the lowest extent below `i` on.
    fn search(
        &self,
        mut i: NodeId,
        mut down: bool,
        request: Request,
        passed: &mut Passed,
    ) -> NodeId {
        let Passed { longest, visited } = passed;
        while let Some(mut n) = self.at(i) {
            *visited = visited.saturating_add(1);
            // To the leftmost subtree that may serve.
            while let (true, Some(left)) = (down, self.at(n.left)) {
                if !left.may_serve(request) {
                    *longest = (*longest).max(left.longest);
                    break;
                }
                i = n.left;
                n = left;
                *visited = visited.saturating_add(1);
            }
            // Here the search has passed all before `i`.
            if n.extent.place(request).is_some() {
                return i;
            }
            *longest = (*longest).max(n.extent.pages());
            if let Some(right) = self.at(n.right) {
                if right.may_serve(request) {
                    i = n.right;
                    down = true;
                    continue;
                }
                *longest = (*longest).max(right.longest);
            }
            i = self.climb(i);
            down = false;
        }
        NodeId::NONE
    }

    fn height(&self, i: NodeId) -> u8 {
        self.at(i).map_or(0, |n| n.height)
    }

    /// The lowest node below `i`.
    fn leftmost(&self, mut i: NodeId) -> NodeId {
        while let Some(n) = self.at(i).filter(|n| n.left != NodeId::NONE) {
            i = n.left;
        }
        i
    }

    /// The nearest node above `i` that comes after it.
    fn climb(&self, mut i: NodeId) -> NodeId {
        while let Some(n) = self.at(i) {
            let parent = n.parent;
            if self.at(parent).is_some_and(|p| p.left == i) {
                return parent;
            }
            i = parent;
        }
        NodeId::NONE
    }
}

/// Changes of extents.
impl Tree {
    /// Moves the start of the extent of `i`, which stays after the one before it.
    pub fn move_start(&mut self, i: NodeId, start: Page) {
        let Some(n) = self.at_mut(i) else { return };
        // An alignment that has no multiple in what the start moved over keeps its maximum.
        let moved = n.extent.start.minus(1).get() ^ start.minus(1).get();
        let dirty = mask(u32::BITS - moved.leading_zeros()) & ALL;
        n.extent.start = start;
        self.spread(i, dirty);
    }

    /// Moves the end of the extent of `i`, which stays before the one after it.
    pub fn move_end(&mut self, i: NodeId, end: Page) {
        let Some(n) = self.at_mut(i) else { return };
        n.extent.end = end;
        self.spread(i, ALL);
    }

    /// Cuts the pages from `start` to `end` out of the middle of the extent of `i`, which keeps the
    /// pages before them. Returns the node of the pages behind them; `None` if the tree lacks a node,
    /// and then nothing changed.
    pub fn split(&mut self, i: NodeId, start: Page, end: Page) -> Option<NodeId> {
        let extent = self.get(i)?;
        let behind = Extent {
            start: end,
            end: extent.end,
        };
        let behind = self.insert(i, behind)?;
        self.move_end(i, start);
        Some(behind)
    }

    /// Adds an extent right after that of `floor`, or as the first one if that is
    /// [`NodeId::NONE`]. Returns its node; `None` if the tree lacks a node, and then nothing
    /// changed.
    pub fn insert(&mut self, floor: NodeId, extent: Extent) -> Option<NodeId> {
        // The place: right of `floor` if nothing is there, else left of the node after it.
        let after = match self.at(floor) {
            Some(n) if n.right == NodeId::NONE => NodeId::NONE,
            Some(n) => self.leftmost(n.right),
            None => self.first(),
        };
        let i = self.obtain()?;
        let parent = if after == NodeId::NONE { floor } else { after };
        *self.at_mut(i)? = Node {
            extent,
            parent,
            height: 1,
            ..Node::UNUSED
        };
        match self.at_mut(parent) {
            Some(p) if after == NodeId::NONE => p.right = i,
            Some(p) => p.left = i,
            None => self.root = i,
        }
        let changed = self.pull(i, ALL);
        self.retrace(parent, changed);
        Some(i)
    }

    /// Removes the extent of `i`. Returns the node of the next extent.
    ///
    /// The next extent may move to another node. `kept` is a node that the caller remembers: it
    /// follows its extent, and names the next one if its own is removed.
    pub fn remove(&mut self, i: NodeId, kept: &mut NodeId) -> NodeId {
        let Some(&node) = self.at(i) else {
            return NodeId::NONE;
        };
        let next = self.next(i);
        if node.left == NodeId::NONE || node.right == NodeId::NONE {
            if *kept == i {
                *kept = next;
            }
            self.unlink(i);
            return next;
        }
        // The next extent moves here, and its node, which has no left child, goes.
        let Some(moved) = self.get(next) else {
            return NodeId::NONE;
        };
        if let Some(n) = self.at_mut(i) {
            n.extent = moved;
        }
        if *kept == next {
            *kept = i;
        }
        self.unlink(next);
        self.spread(i, ALL);
        i
    }
}

/// Maxima and balance.
impl Tree {
    /// Brings the maxima of `i` and all above up to date, as far as anything changes.
    fn spread(&mut self, mut i: NodeId, mut dirty: Maxima) {
        while dirty != 0 {
            dirty = self.pull(i, dirty);
            i = self.at(i).map_or(NodeId::NONE, |n| n.parent);
        }
    }

    /// Computes the maxima `dirty` of `i` anew. Returns which ones changed.
    fn pull(&mut self, i: NodeId, dirty: Maxima) -> Maxima {
        let Some(&old) = self.at(i) else { return 0 };
        let mut new = old;
        let left = self.at(old.left);
        let right = self.at(old.right);
        let mut changed = 0;
        if dirty & 1 != 0 {
            let below = left
                .map_or(0, |n| n.longest)
                .max(right.map_or(0, |n| n.longest));
            new.longest = old.extent.pages().max(below);
            changed = u32::from(new.longest != old.longest);
        }
        let mut rest = dirty >> 1;
        while rest != 0 {
            let slot = rest.trailing_zeros();
            rest &= rest - 1;
            let exp = slot + 1;
            let below = left
                .map_or(0, |n| n.served(exp))
                .max(right.map_or(0, |n| n.served(exp)));
            let pages = old.extent.usable(exp).min(CAP).max(below) as u16;
            if let Some(entry) = new.aligned.get_mut(slot as usize) {
                if *entry != pages {
                    *entry = pages;
                    changed |= 1 << exp;
                }
            }
        }
        if changed != 0 {
            if let Some(n) = self.at_mut(i) {
                *n = new;
            }
        }
        changed
    }

    /// Takes a node that has one child at most out of the tree.
    fn unlink(&mut self, i: NodeId) {
        let Some(&node) = self.at(i) else { return };
        let child = if node.left == NodeId::NONE {
            node.right
        } else {
            node.left
        };
        if let Some(c) = self.at_mut(child) {
            c.parent = node.parent;
        }
        self.replace_child(node.parent, i, child);
        self.recycle(i);
        self.retrace(node.parent, ALL);
    }

    fn replace_child(&mut self, parent: NodeId, old: NodeId, new: NodeId) {
        match self.at_mut(parent) {
            Some(p) if p.left == old => p.left = new,
            Some(p) => p.right = new,
            None => self.root = new,
        }
    }

    /// Restores balance, heights and maxima from `i` upwards, as far as anything changes. The
    /// maxima `dirty` changed below `i`.
    fn retrace(&mut self, mut i: NodeId, mut dirty: Maxima) {
        while let Some(&old) = self.at(i) {
            let left = self.height(old.left);
            let right = self.height(old.right);
            let height = if left.abs_diff(right) > 1 {
                let top = self.rebalance(i, left > right);
                let Some(new) = self.at(top) else { return };
                dirty = differing(&old, new);
                new.height
            } else {
                dirty = self.pull(i, dirty);
                let height = left.max(right).saturating_add(1);
                if let Some(n) = self.at_mut(i) {
                    n.height = height;
                }
                height
            };
            if dirty == 0 && height == old.height {
                return;
            }
            i = old.parent;
        }
    }

    /// Rotates at `i`, whose left (or right) side is too high. Returns the node now in its place.
    fn rebalance(&mut self, i: NodeId, left_high: bool) -> NodeId {
        let Some(&node) = self.at(i) else { return i };
        let child = if left_high { node.left } else { node.right };
        let Some(&c) = self.at(child) else { return i };
        let (inner, outer) = if left_high {
            (c.right, c.left)
        } else {
            (c.left, c.right)
        };
        if self.height(inner) > self.height(outer) {
            self.rotate(child, !left_high);
        }
        self.rotate(i, left_high)
    }

    /// Lifts the left (or right) child of `i` into its place, and returns it.
    fn rotate(&mut self, i: NodeId, left: bool) -> NodeId {
        let Some(&node) = self.at(i) else { return i };
        let top = if left { node.left } else { node.right };
        let Some(t) = self.at_mut(top) else { return i };
        // The subtree between the two changes sides.
        let inner = if left { &mut t.right } else { &mut t.left };
        let between = core::mem::replace(inner, i);
        t.parent = node.parent;
        if let Some(n) = self.at_mut(i) {
            n.parent = top;
            if left {
                n.left = between;
            } else {
                n.right = between;
            }
        }
        if let Some(b) = self.at_mut(between) {
            b.parent = i;
        }
        self.replace_child(node.parent, i, top);
        for i in [i, top] {
            self.pull(i, ALL);
            let (left, right) = self
                .at(i)
                .map_or((NodeId::NONE, NodeId::NONE), |n| (n.left, n.right));
            let height = self.height(left).max(self.height(right)).saturating_add(1);
            if let Some(n) = self.at_mut(i) {
                n.height = height;
            }
        }
        top
    }
}

/// For tests.
#[allow(dead_code, reason = "only tests on the host call it")]
impl Tree {
    /// Checks every invariant of this file. O(n).
    ///
    /// # Errors
    ///
    /// The one that does not hold.
    pub fn validate(&self) -> Result<(), &'static str> {
        let check = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
        check(
            self.at(self.root).is_none_or(|n| n.parent == NodeId::NONE),
            "the root has a parent",
        )?;
        let mut count = 0;
        let mut last = Page::default();
        let mut i = self.first();
        while let Some(n) = self.at(i) {
            check(n.extent.start < n.extent.end, "an extent is empty")?;
            check(
                last <= n.extent.start,
                "extents overlap or are out of order",
            )?;
            self.validate_node(i, n)?;
            (count, last) = (count + 1, n.extent.end);
            i = self.next(i);
        }
        check(count == self.count, "wrong number of extents")?;
        let mut unused = 0;
        let mut i = self.unused;
        while let Some(n) = self.at(i) {
            unused += 1;
            i = n.parent;
        }
        check(
            count + unused == self.fresh && self.fresh <= self.nodes,
            "a node is lost",
        )
    }

    /// Checks node `i` against its children.
    fn validate_node(&self, i: NodeId, n: &Node) -> Result<(), &'static str> {
        let check = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
        for child in [n.left, n.right] {
            check(
                self.at(child)
                    .map_or(child == NodeId::NONE, |c| c.parent == i),
                "a child has another parent",
            )?;
        }
        let (left, right) = (self.height(n.left), self.height(n.right));
        check(left.abs_diff(right) <= 1, "the tree is out of balance")?;
        check(n.height == left.max(right) + 1, "a height is stale")?;
        let below = [self.at(n.left), self.at(n.right)];
        let most = |f: &dyn Fn(&Node) -> u32| below.iter().flatten().map(|n| f(n)).max();
        check(
            n.longest == n.extent.pages().max(most(&|n| n.longest).unwrap_or(0)),
            "a longest extent is stale",
        )?;
        for exp in 1..=EXPS as u32 {
            let own = n.extent.usable(exp).min(CAP);
            check(
                n.served(exp) == own.max(most(&|n| n.served(exp)).unwrap_or(0)),
                "an aligned maximum is stale",
            )?;
        }
        Ok(())
    }
}
