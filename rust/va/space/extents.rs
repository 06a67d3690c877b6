// SPDX-License-Identifier: GPL-2.0

//! The free space of one shard: extents in address order, lowest first fit.
//!
//! A request gets the lowest address that can hold it, exactly as a walk over all extents from the
//! lowest one would find it, but without the walk:
//!
//! - The *free-area cache* remembers where the last search ended and what it proved on the way. The
//!   next search starts there, unless it asks for something that may lie before. This is the idea
//!   of Wolfgang Wander's and Nick Piggin's free-area caches for user and kernel mappings.
//! - Behind it stands a balanced tree whose nodes know the most that their subtree can serve, at
//!   every alignment. A search that the cache cannot help follows these maxima and is O(log n).
//!
//! With the cache off, [`Extents::alloc`] is the plain linear walk: same addresses, and the cost
//! that the cache was invented against. This is for comparison only; the walk has no bound.
//!
//! # Units
//!
//! Pages, as `u32`. All of them count *gross*: who wants a guard page adds it to the request. An
//! alignment is a power of two and holds for the page number itself.
//!
//! # Memory and context
//!
//! Nodes lie in chunks that [`Extents::prepare`] makes without the shard's lock and
//! [`Extents::donate`] hands in under it; nothing else in here allocates, sleeps or blocks, so that
//! any context will do. Where [`Extents::covers`] was asked before each taking, [`Extents::free`]
//! never lacks a node.
//!
//! # Invariants
//!
//! - Extents are not empty, disjoint, and not adjacent: neighbours are always one extent.
//! - The tree is an AVL tree: the subtrees of a node differ in height by at most 1.
//! - `max` and `aligned` of a node are those of its whole subtree, and never stale between calls.
//! - No extent before `cache.node` can serve `cache.pages` or more at an alignment of
//!   `1 << cache.exp` or more, and none is longer than `cache.hole`.

use crate::{
    sys::mem::{Mode, NoMemory, Table},
    va::space::range::{size_of, SIZES},
};

/// No node.
const NIL: u32 = u32::MAX;

/// Nodes of one chunk: one page of memory.
const CHUNK: u32 = 64;

/// Alignments of up to `1 << EXPS` pages (1 GiB) have maxima of their own.
///
/// A larger one is sought among the extents that serve this one. Each of them holds a boundary of
/// its own, so that they are at most one per GiB of the shard.
const EXPS: usize = 18;

/// What [`Node::aligned`] holds at most. Longer requests are sought among all extents that have so
/// much, at most four per GiB of the shard.
const CAP: u32 = u16::MAX as u32;

/// Bit 0 stands for [`Node::max`], bit `k` for the `k`-th power of two in [`Node::aligned`].
const ALL: u32 = (1 << (EXPS + 1)) - 1;

/// One extent, as a node of the tree. 64 bytes.
#[derive(Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    left: u32,
    right: u32,
    /// In an unused node, the next unused one.
    parent: u32,
    /// Pages of the longest extent of this subtree.
    max: u32,
    /// The most pages that an extent of this subtree has left after aligning its start to
    /// `1 << (i + 1)` pages; at most [`CAP`].
    aligned: [u16; EXPS],
    height: u8,
}

impl Node {
    const UNUSED: Self = Self {
        start: 0,
        end: 0,
        left: NIL,
        right: NIL,
        parent: NIL,
        max: 0,
        aligned: [0; EXPS],
        height: 0,
    };

    /// Pages of this extent.
    #[inline]
    fn pages(&self) -> u32 {
        self.end.wrapping_sub(self.start)
    }

    /// Pages of this extent from its first multiple of `1 << exp` on.
    #[inline]
    fn usable(&self, exp: u32) -> u32 {
        let mask = mask(exp);
        let aligned = self.start.wrapping_add(mask) & !mask;
        if aligned < self.start {
            // The next multiple is 1 << 32.
            return 0;
        }
        self.end.saturating_sub(aligned)
    }

    /// Where this extent can hold the request.
    #[inline]
    fn place(&self, pages: u32, exp: u32) -> Option<u32> {
        let usable = self.usable(exp);
        (usable >= pages).then(|| self.end.wrapping_sub(usable))
    }

    /// Whether an extent of this subtree may hold the request. Certain for requests below [`CAP`]
    /// and alignments that have a maximum, and for all of the smallest alignment.
    #[inline]
    fn may_serve(&self, pages: u32, exp: u32) -> bool {
        self.max >= pages && (exp == 0 || self.served(exp.min(EXPS as u32)) >= pages.min(CAP))
    }

    /// The entry of `aligned` for `1 << exp` pages; `exp` is 1 to [`EXPS`].
    #[inline]
    fn served(&self, exp: u32) -> u32 {
        self.aligned
            .get(exp.wrapping_sub(1) as usize)
            .map_or(0, |&pages| u32::from(pages))
    }
}

#[inline]
fn mask(exp: u32) -> u32 {
    1u32.checked_shl(exp).map_or(u32::MAX, |align| align - 1)
}

/// The first multiple of `align`, a power of two, that is not below `page`.
#[inline]
pub fn align_up(page: u32, align: u32) -> Option<u32> {
    let mask = align.wrapping_sub(1);
    page.checked_add(mask).map(|page| page & !mask)
}

/// Memory for nodes; made by [`Extents::prepare`].
pub struct Chunk(Table<Node>);

/// Why a range could not be freed. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// The range is empty, or not within the shard.
    Outside,
    /// Part of the range is free already.
    Overlap,
    /// The range touches no free extent and there is no node for a new one. Not where
    /// [`Extents::covers`] was heeded and ranges are freed in the pieces they were taken in.
    NoNode,
}

/// Where the last search ended, and what it proved.
#[derive(Clone, Copy)]
struct Cache {
    /// The first extent worth looking at, or [`NIL`] where there is none.
    node: u32,
    pages: u32,
    exp: u32,
    /// Pages of the longest extent before `node`, or more.
    hole: u32,
}

impl Cache {
    /// Proves nothing.
    const RESET: Self = Self {
        node: NIL,
        pages: u32::MAX,
        exp: u32::MAX,
        hole: u32::MAX,
    };

    /// Whether no extent before `node` can serve this request.
    #[inline]
    fn covers(&self, pages: u32, exp: u32) -> bool {
        pages > self.hole || (pages >= self.pages && exp >= self.exp)
    }
}

/// The free space of one shard.
pub struct Extents {
    /// Node `i` is the `i % CHUNK`-th of chunk `i / CHUNK`.
    chunks: Table<Option<Chunk>>,
    /// The shard's first page, and the one behind its last.
    bounds: (u32, u32),
    root: u32,
    /// Nodes that were in the tree once.
    unused: u32,
    /// Nodes from this one on were never in the tree.
    fresh: u32,
    /// Nodes in all.
    nodes: u32,
    /// Nodes in the tree.
    count: u32,
    free: u32,
    /// Extents in the tree by size.
    sizes: [u32; SIZES],
    /// Sizes that [`Extents::next_change`] has not told yet: one bit each.
    changed: u32,
    cached: bool,
    cache: Cache,
}

impl Extents {
    /// Makes the extents of a shard of `pages` pages from page `start` on, all of them free, with
    /// the free-area cache on. Sleeps where `mode` may.
    ///
    /// Pages from `u32::MAX` on are left out.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(start: u32, pages: u32, mode: Mode) -> Result<Self, NoMemory> {
        // An extent and what keeps it from the next take two pages at least.
        let chunks = (pages / 2 / CHUNK).saturating_add(2) as usize;
        let mut extents = Self {
            chunks: Table::new(chunks, mode, |_| None)?,
            bounds: (start, start.saturating_add(pages)),
            root: NIL,
            unused: NIL,
            fresh: 0,
            nodes: 0,
            count: 0,
            free: 0,
            sizes: [0; SIZES],
            changed: 0,
            cached: true,
            cache: Cache::RESET,
        };
        extents.donate(Self::prepare(mode)?);
        let (start, end) = extents.bounds;
        if end > start {
            extents
                .free(start, end.wrapping_sub(start))
                .map_err(|_| NoMemory)?;
        }
        Ok(extents)
    }

    /// Makes nodes to [`Self::donate`]. Sleeps where `mode` may; never call it under a lock.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn prepare(mode: Mode) -> Result<Chunk, NoMemory> {
        Table::new(CHUNK as usize, mode, |_| Node::UNUSED).map(Chunk)
    }

    /// Takes in the nodes of `chunk`. They stay until the extents are dropped.
    ///
    /// Gives it back, to be dropped, where there are nodes for any state of the shard already.
    pub fn donate(&mut self, chunk: Chunk) -> Option<Chunk> {
        let Some(slot) = self.chunks.get_mut((self.nodes / CHUNK) as usize) else {
            return Some(chunk);
        };
        *slot = Some(chunk);
        self.nodes = self.nodes.saturating_add(CHUNK);
        None
    }

    /// Nodes that are not in use.
    #[cfg(not(MODULE))]
    pub fn spare(&self) -> u32 {
        self.nodes.saturating_sub(self.count)
    }

    /// Whether there are nodes for one more piece beside the `pieces` that are out, whatever the
    /// order in which all of them are freed. If not: drop the lock, [`Self::prepare`], take it,
    /// [`Self::donate`], ask again.
    ///
    /// A piece is what one [`Self::alloc`] or [`Self::take_at`] took and one [`Self::free`] gives
    /// back. After freeing `f` of `p` pieces there are at most `count + f` extents, because each
    /// adds one at most; and at most `p - f + 1`, because a piece lies between any two of them.
    /// So there are never more than half of the sum of both.
    pub fn covers(&self, pieces: u32) -> bool {
        // Taking the piece may itself cut an extent in two.
        let worst = u64::from(pieces) + u64::from(self.count) + 3;
        let full = (self.nodes / CHUNK) as usize >= self.chunks.len();
        u64::from(self.nodes) * 2 >= worst || full
    }

    /// A size, as [`size_of`] sorts them, of which there are now more or fewer extents than when it
    /// was told last, and how many there are.
    pub fn next_change(&mut self) -> Option<(usize, u32)> {
        let place = self.changed.trailing_zeros() as usize;
        self.changed &= self.changed.wrapping_sub(1);
        Some((place, *self.sizes.get(place)?))
    }

    /// Number of free extents.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Free pages.
    pub fn free_pages(&self) -> u32 {
        self.free
    }

    /// Pages of the largest free extent. O(1).
    pub fn largest(&self) -> u32 {
        self.at(self.root).map_or(0, |n| n.max)
    }

    /// Switches the free-area cache on or off, and forgets what it knows. Addresses do not change.
    pub fn set_cache(&mut self, on: bool) {
        self.cached = on;
        self.cache = Cache::RESET;
    }

    /// Takes `pages` pages at the lowest address that is a multiple of `align` and free so far.
    /// Adds the number of extents that were looked at to `visited`.
    ///
    /// `None`: nothing fits, `pages` is 0, `align` is not a power of two, or there is no node for
    /// the second half of an extent (not where [`Self::covers`] was heeded). Nothing changed then.
    pub fn alloc(&mut self, pages: u32, align: u32, visited: &mut u32) -> Option<u32> {
        if pages == 0 || !align.is_power_of_two() || pages > self.largest() {
            return None;
        }
        let exp = align.trailing_zeros();
        if !self.cached {
            let found = self.walk(pages, exp, visited);
            let start = self.at(found)?.place(pages, exp)?;
            return self.cut(found, start, pages).map(|_| start);
        }
        let mut hole = 0;
        let found = if self.cache.covers(pages, exp) {
            hole = self.cache.hole;
            self.seek(self.cache.node, false, pages, exp, &mut hole, visited)
        } else {
            self.seek(self.root, true, pages, exp, &mut hole, visited)
        };
        let node = self.at(found).copied();
        let start = node.and_then(|n| n.place(pages, exp));
        let mut next = NIL;
        if let Some((node, start)) = node.zip(start) {
            next = self.cut(found, start, pages)?;
            // What is left in front is too short, or has no multiple of the alignment.
            hole = hole.max(start.wrapping_sub(node.start));
        }
        self.cache = Cache {
            node: next,
            pages,
            exp,
            hole,
        };
        start
    }

    /// Takes exactly the `pages` pages from `start` on, or nothing.
    ///
    /// False: not all of them are free, `pages` is 0, or there is no node for the second half of
    /// an extent (not where [`Self::covers`] was heeded). Nothing changed then.
    pub fn take_at(&mut self, start: u32, pages: u32) -> bool {
        let (floor, _) = self.around(start);
        let end = start.checked_add(pages);
        let inside = self.at(floor).zip(end).is_some_and(|(n, end)| end <= n.end);
        pages > 0 && inside && self.cut(floor, start, pages).is_some()
    }

    /// Gives the `pages` pages from `start` on back, and joins them with the extents they touch.
    ///
    /// # Errors
    ///
    /// [`FreeError`]; nothing was changed.
    pub fn free(&mut self, start: u32, pages: u32) -> Result<(), FreeError> {
        let end = start.checked_add(pages).ok_or(FreeError::Outside)?;
        if pages == 0 || start < self.bounds.0 || end > self.bounds.1 {
            return Err(FreeError::Outside);
        }
        let (floor, next) = self.around(start);
        let floor_end = self.at(floor).map(|n| n.end);
        let next_range = self.at(next).map(|n| (n.start, n.end));
        if floor_end.is_some_and(|e| e > start) || next_range.is_some_and(|(s, _)| s < end) {
            return Err(FreeError::Overlap);
        }
        let cache_start = self.at(self.cache.node).map_or(u32::MAX, |n| n.start);
        let joined_next = next_range.filter(|&(s, _)| s == end);
        let joined_before = self.at(floor).map_or(0, |n| n.pages());
        let joined = match (floor_end == Some(start), joined_next) {
            (true, Some((_, next_end))) => {
                self.remove(next);
                self.reshape(floor, None, Some(next_end));
                floor
            }
            (true, None) => {
                self.reshape(floor, None, Some(end));
                floor
            }
            (false, Some(_)) => {
                self.reshape(next, Some(start), None);
                next
            }
            (false, None) => self.insert(floor, start, end).ok_or(FreeError::NoNode)?,
        };
        let before = floor_end
            .filter(|&e| e == start)
            .map_or(0, |_| joined_before);
        let after = joined_next.map_or(0, |(s, e)| e.wrapping_sub(s));
        self.tally(before, false);
        self.tally(after, false);
        self.tally(before.saturating_add(pages).saturating_add(after), true);
        self.free = self.free.saturating_add(pages);
        self.note_freed(joined, cache_start);
        Ok(())
    }

    /// Free pages from page `at` on: 0 if it is not free.
    pub fn head_run(&self, at: u32) -> u32 {
        let (floor, _) = self.around(at);
        self.at(floor).map_or(0, |n| n.end.saturating_sub(at))
    }

    /// Free pages that end just before page `at`: 0 if the one before is not free.
    pub fn tail_run(&self, at: u32) -> u32 {
        let Some(last) = at.checked_sub(1) else {
            return 0;
        };
        let (floor, _) = self.around(last);
        self.at(floor)
            .filter(|n| n.end >= at)
            .map_or(0, |n| at.wrapping_sub(n.start))
    }

    /// All extents from page `from` on, as start and pages, in ascending order. One that holds
    /// `from` counts.
    ///
    /// O(log n) for the first; so a long walk can let go of the lock between any two extents.
    #[cfg(not(MODULE))]
    pub fn iter_from(&self, from: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let (floor, next) = self.around(from);
        let holds = self.at(floor).is_some_and(|n| n.end > from);
        let mut at = if holds { floor } else { next };
        core::iter::from_fn(move || {
            let node = self.at(at)?;
            at = self.next(at);
            Some((node.start, node.pages()))
        })
    }
}

/// The free-area cache and the searches.
impl Extents {
    /// Lowers the cache for an extent that has just grown or appeared. `cache_start` is where the
    /// cached extent began before.
    ///
    /// Something freed behind the cache that its requests cannot use leaves the cache where it is,
    /// and is remembered as a hole.
    fn note_freed(&mut self, node: u32, cache_start: u32) {
        let Some(n) = self.at(node) else { return };
        if n.start >= cache_start {
            return;
        }
        if n.usable(self.cache.exp) >= self.cache.pages {
            self.cache.node = node;
            return;
        }
        let pages = n.pages();
        self.cache.hole = self.cache.hole.max(pages);
        if self.cache.node == node {
            self.cache.node = self.next(node);
        }
    }

    /// The lowest extent that serves the request, by looking at each: the plain first fit.
    fn walk(&self, pages: u32, exp: u32, visited: &mut u32) -> u32 {
        let mut i = self.first(self.root);
        while let Some(n) = self.at(i) {
            *visited = visited.saturating_add(1);
            if n.place(pages, exp).is_some() {
                break;
            }
            i = self.next(i);
        }
        i
    }

    /// The lowest extent that serves the request: of all below `i` if `down`, else from `i` on.
    /// Adds what it skips to `hole`.
    fn seek(
        &self,
        mut i: u32,
        mut down: bool,
        pages: u32,
        exp: u32,
        hole: &mut u32,
        visited: &mut u32,
    ) -> u32 {
        while let Some(mut n) = self.at(i) {
            *visited = visited.saturating_add(1);
            // To the leftmost subtree that may serve.
            while let (true, Some(left)) = (down, self.at(n.left)) {
                if !left.may_serve(pages, exp) {
                    *hole = (*hole).max(left.max);
                    break;
                }
                i = n.left;
                n = left;
                *visited = visited.saturating_add(1);
            }
            // Here all before `i` is skipped.
            if n.place(pages, exp).is_some() {
                return i;
            }
            *hole = (*hole).max(n.pages());
            if let Some(right) = self.at(n.right) {
                if right.may_serve(pages, exp) {
                    i = n.right;
                    down = true;
                    continue;
                }
                *hole = (*hole).max(right.max);
            }
            i = self.climb(i);
            down = false;
        }
        NIL
    }
}

/// The tree: nodes, neighbours, maxima, balance.
impl Extents {
    #[inline]
    fn at(&self, i: u32) -> Option<&Node> {
        let chunk = self.chunks.get((i / CHUNK) as usize)?.as_ref()?;
        chunk.0.get((i % CHUNK) as usize)
    }

    #[inline]
    fn at_mut(&mut self, i: u32) -> Option<&mut Node> {
        let chunk = self.chunks.get_mut((i / CHUNK) as usize)?.as_mut()?;
        chunk.0.get_mut((i % CHUNK) as usize)
    }

    fn height(&self, i: u32) -> u8 {
        self.at(i).map_or(0, |n| n.height)
    }

    /// The lowest node below `i`.
    fn first(&self, mut i: u32) -> u32 {
        while let Some(n) = self.at(i).filter(|n| n.left != NIL) {
            i = n.left;
        }
        i
    }

    /// The nearest node above `i` that comes after it.
    fn climb(&self, mut i: u32) -> u32 {
        while let Some(n) = self.at(i) {
            let parent = n.parent;
            if self.at(parent).is_some_and(|p| p.left == i) {
                return parent;
            }
            i = parent;
        }
        NIL
    }

    /// The node after `i`.
    fn next(&self, i: u32) -> u32 {
        match self.at(i) {
            Some(n) if n.right != NIL => self.first(n.right),
            Some(_) => self.climb(i),
            None => NIL,
        }
    }

    /// The last node that begins at or before `page`, and the first one that begins after it.
    fn around(&self, page: u32) -> (u32, u32) {
        let (mut floor, mut next) = (NIL, NIL);
        let mut i = self.root;
        while let Some(n) = self.at(i) {
            if n.start <= page {
                floor = i;
                i = n.right;
            } else {
                next = i;
                i = n.left;
            }
        }
        (floor, next)
    }

    /// Takes a range out of node `i`, which holds it. Returns the node after the range, or `None`
    /// if there is no node for a second half, and nothing changed.
    fn cut(&mut self, i: u32, start: u32, pages: u32) -> Option<u32> {
        let node = *self.at(i)?;
        let end = start.wrapping_add(pages);
        let next = match (node.start == start, node.end == end) {
            (true, true) => self.remove(i),
            (true, false) => {
                self.reshape(i, Some(end), None);
                i
            }
            (false, true) => {
                self.reshape(i, None, Some(start));
                self.next(i)
            }
            (false, false) => {
                // First the node, which may be lacking.
                let tail = self.insert(i, end, node.end)?;
                self.reshape(i, None, Some(start));
                tail
            }
        };
        self.free = self.free.wrapping_sub(pages);
        self.tally(node.pages(), false);
        self.tally(start.wrapping_sub(node.start), true);
        self.tally(node.end.wrapping_sub(end), true);
        Some(next)
    }

    /// Counts an extent that came or went, if it has any pages.
    fn tally(&mut self, pages: u32, came: bool) {
        let place = size_of(pages);
        if let Some(size) = self.sizes.get_mut(place).filter(|_| pages > 0) {
            self.changed |= 1 << place;
            *size = if came {
                size.wrapping_add(1)
            } else {
                size.wrapping_sub(1)
            };
        }
    }

    /// Moves the ends of node `i`.
    fn reshape(&mut self, i: u32, start: Option<u32>, end: Option<u32>) {
        let Some(n) = self.at_mut(i) else { return };
        let mut dirty = 0;
        if let Some(start) = start {
            // Alignments whose multiples all lie outside of what was moved over stay as they are.
            let moved = n.start.wrapping_sub(1) ^ start.wrapping_sub(1);
            dirty = mask(u32::BITS - moved.leading_zeros()) & ALL;
            n.start = start;
        }
        if let Some(end) = end {
            dirty = ALL;
            n.end = end;
        }
        self.spread(i, dirty);
    }

    /// Brings the maxima of `i` and all above up to date, as far as anything changes.
    fn spread(&mut self, mut i: u32, mut dirty: u32) {
        while dirty != 0 {
            dirty = self.pull(i, dirty);
            i = self.at(i).map_or(NIL, |n| n.parent);
        }
    }

    /// Computes those maxima of `i` anew that `dirty` names. Returns which ones changed.
    fn pull(&mut self, i: u32, dirty: u32) -> u32 {
        let Some(&old) = self.at(i) else { return 0 };
        let mut new = old;
        let left = self.at(old.left);
        let right = self.at(old.right);
        let mut changed = 0;
        if dirty & 1 != 0 {
            let below = left.map_or(0, |n| n.max).max(right.map_or(0, |n| n.max));
            new.max = old.pages().max(below);
            changed = u32::from(new.max != old.max);
        }
        let mut rest = dirty >> 1;
        while rest != 0 {
            let slot = rest.trailing_zeros();
            rest &= rest - 1;
            let exp = slot + 1;
            let below = left
                .map_or(0, |n| n.served(exp))
                .max(right.map_or(0, |n| n.served(exp)));
            let pages = old.usable(exp).min(CAP).max(below) as u16;
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

    /// Puts a new extent into the tree, as the next one after `floor`, or as the first if that is
    /// [`NIL`]. `None` if there is no node.
    fn insert(&mut self, floor: u32, start: u32, end: u32) -> Option<u32> {
        // The place: right of `floor` if nothing is there, else left of the one after it.
        let after = match self.at(floor) {
            Some(n) if n.right == NIL => NIL,
            Some(n) => self.first(n.right),
            None => self.first(self.root),
        };
        let i = self.obtain()?;
        let parent = if after == NIL { floor } else { after };
        *self.at_mut(i)? = Node {
            start,
            end,
            parent,
            height: 1,
            ..Node::UNUSED
        };
        match self.at_mut(parent) {
            Some(p) if after == NIL => p.right = i,
            Some(p) => p.left = i,
            None => self.root = i,
        }
        let changed = self.pull(i, ALL);
        self.retrace(parent, changed);
        Some(i)
    }

    /// Takes node `i` out of the tree. Returns where the next extent is now: that of the nodes
    /// which stays where two become one.
    fn remove(&mut self, i: u32) -> u32 {
        let Some(&node) = self.at(i) else { return NIL };
        let next = self.next(i);
        if node.left == NIL || node.right == NIL {
            if self.cache.node == i {
                self.cache.node = next;
            }
            self.unlink(i);
            return next;
        }
        // The next extent moves here, and its node, which has no left child, goes.
        let Some(&moved) = self.at(next) else {
            return NIL;
        };
        if let Some(n) = self.at_mut(i) {
            n.start = moved.start;
            n.end = moved.end;
        }
        if self.cache.node == next {
            self.cache.node = i;
        }
        self.unlink(next);
        self.spread(i, ALL);
        i
    }

    /// Takes a node that has one child at most out of the tree.
    fn unlink(&mut self, i: u32) {
        let Some(&node) = self.at(i) else { return };
        let child = if node.left == NIL {
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

    fn replace_child(&mut self, parent: u32, old: u32, new: u32) {
        match self.at_mut(parent) {
            Some(p) if p.left == old => p.left = new,
            Some(p) => p.right = new,
            None => self.root = new,
        }
    }

    /// Restores balance, heights and maxima from `i` upwards, as far as anything changes. `dirty`
    /// names the maxima that changed below `i`.
    fn retrace(&mut self, mut i: u32, mut dirty: u32) {
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
    fn rebalance(&mut self, i: u32, left_high: bool) -> u32 {
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
    fn rotate(&mut self, i: u32, left: bool) -> u32 {
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
            let (left, right) = self.at(i).map_or((NIL, NIL), |n| (n.left, n.right));
            let height = self.height(left).max(self.height(right)).saturating_add(1);
            if let Some(n) = self.at_mut(i) {
                n.height = height;
            }
        }
        top
    }

    fn obtain(&mut self) -> Option<u32> {
        let i = if let Some(n) = self.at(self.unused) {
            let next = n.parent;
            core::mem::replace(&mut self.unused, next)
        } else if self.fresh < self.nodes {
            let i = self.fresh;
            self.fresh = i.wrapping_add(1);
            i
        } else {
            return None;
        };
        self.count = self.count.saturating_add(1);
        Some(i)
    }

    fn recycle(&mut self, i: u32) {
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
}

/// The maxima in which two nodes differ.
fn differing(a: &Node, b: &Node) -> u32 {
    let mut differing = u32::from(a.max != b.max);
    for (slot, (a, b)) in a.aligned.iter().zip(&b.aligned).enumerate() {
        differing |= u32::from(a != b).wrapping_shl(slot as u32 + 1);
    }
    differing
}

#[cfg(not(MODULE))]
impl Extents {
    /// Checks every invariant of this file, for tests. O(n).
    ///
    /// # Errors
    ///
    /// The one that does not hold.
    pub fn validate(&self) -> Result<(), &'static str> {
        let check = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
        check(
            self.at(self.root).is_none_or(|n| n.parent == NIL),
            "the root has a parent",
        )?;
        let (mut count, mut free) = (0, 0u32);
        let mut sizes = [0u32; SIZES];
        let mut last = None;
        let mut past_cache = self.cache.node == NIL && self.count == 0;
        let mut i = self.first(self.root);
        while let Some(n) = self.at(i) {
            check(n.start < n.end, "an extent is empty")?;
            check(
                self.bounds.0 <= n.start && n.end <= self.bounds.1,
                "an extent lies outside of the shard",
            )?;
            check(
                last.is_none_or(|end| end < n.start),
                "extents touch or are out of order",
            )?;
            for child in [n.left, n.right] {
                check(
                    self.at(child).map_or(child == NIL, |c| c.parent == i),
                    "a child has another parent",
                )?;
            }
            let (left, right) = (self.height(n.left), self.height(n.right));
            check(left.abs_diff(right) <= 1, "the tree is out of balance")?;
            check(n.height == left.max(right) + 1, "a height is stale")?;
            let below = [self.at(n.left), self.at(n.right)];
            let most = |f: &dyn Fn(&Node) -> u32| below.iter().flatten().map(|n| f(n)).max();
            check(
                n.max == n.pages().max(most(&|n| n.max).unwrap_or(0)),
                "a longest extent is stale",
            )?;
            for exp in 1..=EXPS as u32 {
                let own = n.usable(exp).min(CAP);
                check(
                    n.served(exp) == own.max(most(&|n| n.served(exp)).unwrap_or(0)),
                    "an aligned maximum is stale",
                )?;
            }
            past_cache |= i == self.cache.node;
            if !past_cache {
                check(n.pages() <= self.cache.hole, "a hole is longer than cached")?;
                check(
                    n.usable(self.cache.exp) < self.cache.pages,
                    "the cache passed an extent that serves",
                )?;
            }
            (count, free, last) = (count + 1, free + n.pages(), Some(n.end));
            if let Some(size) = sizes.get_mut(size_of(n.pages())) {
                *size += 1;
            }
            i = self.next(i);
        }
        check(
            self.cache.node == NIL || past_cache,
            "the cache is not in the tree",
        )?;
        check(
            self.cached || self.cache.pages == u32::MAX,
            "the cache is on",
        )?;
        check(count == self.count, "wrong number of extents")?;
        check(free == self.free, "wrong number of free pages")?;
        check(sizes == self.sizes, "wrong numbers of sizes")?;
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
}
