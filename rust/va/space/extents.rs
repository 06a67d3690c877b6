// SPDX-License-Identifier: GPL-2.0

//! The free space of one shard: extents in address order, lowest first fit.
//!
//! A request gets the lowest address that can hold it: the same one that a walk over all extents
//! from the lowest one on finds, but without the walk:
//!
//! - The *free-area cache* remembers where the last search ended and what that search proved on its
//!   way. The next search starts there, unless the request may fit before. This is
//!   the idea of Wolfgang Wander's and Nick Piggin's free-area caches for user and kernel mappings.
//! - Where the cache cannot help, the search goes from the root of a balanced tree
//!   ([`super::tree`]), in O(log n).
//!
//! With the cache off, [`Extents::alloc`] is the plain linear walk: same addresses, and the cost
//! that the cache was invented against. This is for comparison only; the walk has no bound.
//!
//! # Units
//!
//! Pages, as `u32`. All of them count *gross*: a caller that wants a guard page adds it to the
//! request. An alignment is a power of two and holds for the page number itself.
//!
//! # Memory and context
//!
//! [`Extents::prepare`] makes nodes of the tree without the shard's lock, and
//! [`Extents::donate`] takes them in under it. Nothing else in this file allocates, and nothing
//! sleeps or blocks: any context may call it. A caller that asks [`Extents::covers`] before each
//! taking never lacks a node in [`Extents::free`].
//!
//! # Invariants
//!
//! - Extents are not empty, disjoint, and not adjacent: neighbours are always one extent.
//! - No extent before `cache.node` can serve `cache.pages` or more at an alignment of
//!   `1 << cache.exp` or more, and none is longer than `cache.hole`.

use crate::{
    sys::{
        mem::{Mode, NoMemory},
        Page,
    },
    va::space::{
        range::{size_of, Range, SIZES},
        tree::{Chunk, Extent, NodeId, Passed, Request, Tree, CHUNK},
    },
};

/// The first multiple of `align`, a power of two, that is not below `page`.
#[inline]
pub fn align_up(page: Page, align: u32) -> Option<Page> {
    let mask = align.wrapping_sub(1);
    let last = page.checked_plus(mask)?;
    Some(Page::new(last.get() & !mask))
}

/// Why [`Extents::free`] did not free a range. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The range is empty, or not within the shard.
    Outside,
    /// Part of the range is free already.
    Overlap,
    /// The range touches no free extent, and the tree has no node for a new one. This cannot
    /// happen if the caller heeds [`Extents::covers`] and frees ranges in the pieces it took.
    NoNode,
}

/// Where the last search ended, and what it proved.
#[derive(Clone, Copy)]
struct Cache {
    /// The first extent worth looking at, or none.
    node: NodeId,
    pages: u32,
    exp: u32,
    /// Pages of the longest extent before `node`, or more.
    hole: u32,
}

impl Cache {
    /// Proves nothing.
    const RESET: Self = Self {
        node: NodeId::NONE,
        pages: u32::MAX,
        exp: u32::MAX,
        hole: u32::MAX,
    };

    /// Whether no extent before `node` can serve this request.
    #[inline]
    fn covers(&self, Request { pages, exp }: Request) -> bool {
        pages > self.hole || (pages >= self.pages && exp >= self.exp)
    }
}

/// The free space of one shard.
pub struct Extents {
    tree: Tree,
    /// The shard's first page, and the one behind its last.
    bounds: (Page, Page),
    free: u32,
    /// Extents by size.
    sizes: [u32; SIZES],
    /// Sizes whose number has changed since [`Extents::next_change`] returned them: one bit each.
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
    pub fn new(start: Page, pages: u32, mode: Mode) -> Result<Self, NoMemory> {
        // An extent and what keeps it from the next take two pages at least.
        let chunks = (pages / 2 / CHUNK).saturating_add(2) as usize;
        let mut extents = Self {
            tree: Tree::new(chunks, mode)?,
            bounds: (start, start.plus(pages)),
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
                .free(start, end.since(start))
                .map_err(|_| NoMemory)?;
        }
        Ok(extents)
    }

    /// Bytes of the nodes that [`Self::prepare`] makes.
    pub const CHUNK_BYTES: usize = Chunk::BYTES;

    /// Makes nodes to [`Self::donate`]. Sleeps where `mode` may; never call it under a lock.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn prepare(mode: Mode) -> Result<Chunk, NoMemory> {
        Tree::prepare(mode)
    }

    /// Takes in the nodes of `chunk`.
    ///
    /// If there are nodes for any state of the shard already, it gives the chunk back, to be
    /// dropped.
    pub fn donate(&mut self, chunk: Chunk) -> Option<Chunk> {
        self.tree.donate(chunk)
    }

    /// Whether there are nodes for one more piece beside the `pieces` that are out, whatever the
    /// order in which all of them are freed. If not: drop the lock, [`Self::prepare`], take it,
    /// [`Self::donate`], ask again.
    ///
    /// One [`Self::alloc`] or [`Self::take_at`] takes a piece, and one [`Self::free`] gives it
    /// back. After freeing `f` of `p` pieces there are at most `count + f` extents, because each
    /// adds one at most; and at most `p - f + 1`, because a piece is between any two of them.
    /// So there are never more than half of the sum of both.
    pub fn covers(&self, pieces: u32) -> bool {
        // Taking the piece may itself cut an extent in two.
        let worst = u64::from(pieces) + u64::from(self.count()) + 3;
        u64::from(self.tree.nodes()) * 2 >= worst || self.tree.is_full()
    }

    /// Some nodes beside those that [`Self::covers`] asks for, to be dropped; `None` if there are none, or
    /// the extents are too many to be moved together.
    pub fn give_up(&mut self, pieces: u32) -> Option<Chunk> {
        let rest = self.tree.nodes().saturating_sub(CHUNK);
        let worst = u64::from(pieces) + u64::from(self.count()) + 3;
        if u64::from(rest) * 2 < worst {
            return None;
        }
        if let Some(chunk) = self.tree.give_up() {
            return Some(chunk);
        }
        self.tree.gather(&mut self.cache.node);
        self.tree.give_up()
    }

    /// Whether all pages of `range` are free.
    pub fn is_free(&self, range: Range) -> bool {
        let (floor, _) = self.tree.around(range.start);
        self.tree.get(floor).is_some_and(|e| range.end() <= e.end)
    }

    /// A size, as [`size_of`] sorts them, whose number of extents has changed since it was returned
    /// last, and that number.
    pub fn next_change(&mut self) -> Option<(usize, u32)> {
        let place = self.changed.trailing_zeros() as usize;
        self.changed &= self.changed.wrapping_sub(1);
        Some((place, *self.sizes.get(place)?))
    }

    /// Number of free extents.
    pub fn count(&self) -> u32 {
        self.tree.count()
    }

    /// Free pages.
    pub fn free_pages(&self) -> u32 {
        self.free
    }

    /// Pages of the largest free extent. O(1).
    pub fn largest(&self) -> u32 {
        self.tree.longest()
    }

    /// Free pages from page `at` on: 0 if it is not free.
    pub fn head_run(&self, at: Page) -> u32 {
        let (floor, _) = self.tree.around(at);
        self.tree.get(floor).map_or(0, |e| e.end.max(at).since(at))
    }

    /// Free pages that end just before page `at`: 0 if the one before is not free.
    pub fn tail_run(&self, at: Page) -> u32 {
        if at == Page::new(0) {
            return 0;
        }
        let (floor, _) = self.tree.around(at.minus(1));
        self.tree
            .get(floor)
            .filter(|e| e.end >= at)
            .map_or(0, |e| at.since(e.start))
    }
}

/// Taking and giving back.
impl Extents {
    /// Takes `pages` pages at the lowest address that is a multiple of `align` and free so far.
    /// Adds the number of extents that were looked at to `visited`.
    ///
    /// `None`: nothing fits, `pages` is 0, `align` is not a power of two, or there is no node for
    /// the second half of an extent (which cannot happen if the caller heeds [`Self::covers`]).
    /// Nothing changed then.
    pub fn alloc(&mut self, pages: u32, align: u32, visited: &mut u32) -> Option<Page> {
        if pages == 0 || !align.is_power_of_two() || pages > self.largest() {
            return None;
        }
        let exp = align.trailing_zeros();
        let request = Request { pages, exp };
        let mut passed = Passed {
            longest: 0,
            visited: *visited,
        };
        let found = if !self.cached {
            self.walk(request, &mut passed)
        } else if self.cache.covers(request) {
            passed.longest = self.cache.hole;
            self.tree.seek_from(self.cache.node, request, &mut passed)
        } else {
            self.tree.seek(request, &mut passed)
        };
        *visited = passed.visited;
        let extent = self.tree.get(found);
        let start = extent.and_then(|e| e.place(request));
        let mut node = NodeId::NONE;
        let mut hole = passed.longest;
        if let Some((extent, start)) = extent.zip(start) {
            node = self.cut(found, start, pages)?;
            // The rest in front is too short, or has no multiple of the alignment.
            hole = hole.max(start.since(extent.start));
        }
        if self.cached {
            self.cache = Cache {
                node,
                pages,
                exp,
                hole,
            };
        }
        start
    }

    /// Takes exactly the `pages` pages from `start` on, or nothing.
    ///
    /// False: not all of them are free, `pages` is 0, or there is no node for the second half of
    /// an extent (which cannot happen if the caller heeds [`Self::covers`]). Nothing changed then.
    pub fn take_at(&mut self, start: Page, pages: u32) -> bool {
        let (floor, _) = self.tree.around(start);
        let extent = self.tree.get(floor);
        let end = start.checked_plus(pages);
        let inside = extent.zip(end).is_some_and(|(e, end)| end <= e.end);
        pages > 0 && inside && self.cut(floor, start, pages).is_some()
    }

    /// Gives the `pages` pages from `start` on back, and joins them with the extents they touch.
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing was changed.
    pub fn free(&mut self, start: Page, pages: u32) -> Result<(), Refused> {
        let end = start.checked_plus(pages).ok_or(Refused::Outside)?;
        if pages == 0 || start < self.bounds.0 || end > self.bounds.1 {
            return Err(Refused::Outside);
        }
        let (floor, next) = self.tree.around(start);
        let before = self.tree.get(floor);
        let after = self.tree.get(next);
        if before.is_some_and(|e| e.end > start) || after.is_some_and(|e| e.start < end) {
            return Err(Refused::Overlap);
        }
        let cached = self.tree.get(self.cache.node);
        let before = before.filter(|e| e.end == start);
        let after = after.filter(|e| e.start == end);
        let joined = match (before, after) {
            (Some(_), Some(after)) => {
                self.tree.remove(next, &mut self.cache.node);
                self.tree.move_end(floor, after.end);
                floor
            }
            (Some(_), None) => {
                self.tree.move_end(floor, end);
                floor
            }
            (None, Some(_)) => {
                self.tree.move_start(next, start);
                next
            }
            (None, None) => self
                .tree
                .insert(floor, Extent { start, end })
                .ok_or(Refused::NoNode)?,
        };
        let before = before.map_or(0, Extent::pages);
        let after = after.map_or(0, Extent::pages);
        self.tally(before, false);
        self.tally(after, false);
        self.tally(before.saturating_add(pages).saturating_add(after), true);
        self.free = self.free.saturating_add(pages);
        self.note_freed(joined, cached.map(|e| e.start));
        Ok(())
    }

    /// Takes a range out of the extent of `node`, which holds it. Returns the node after the range,
    /// or `None` if there is no node for a second half, and nothing changed.
    fn cut(&mut self, node: NodeId, start: Page, pages: u32) -> Option<NodeId> {
        let extent = self.tree.get(node)?;
        let end = start.plus(pages);
        let next = match (extent.start == start, extent.end == end) {
            (true, true) => self.tree.remove(node, &mut self.cache.node),
            (true, false) => {
                self.tree.move_start(node, end);
                node
            }
            (false, true) => {
                self.tree.move_end(node, start);
                self.tree.next(node)
            }
            (false, false) => self.tree.split(node, start, end)?,
        };
        self.free = self.free.wrapping_sub(pages);
        self.tally(extent.pages(), false);
        self.tally(start.since(extent.start), true);
        self.tally(extent.end.since(end), true);
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
}

/// The free-area cache, and the walk without it.
impl Extents {
    /// Switches the free-area cache on or off, and forgets what it knows. Addresses do not change.
    pub fn set_cache(&mut self, on: bool) {
        self.cached = on;
        self.cache = Cache::RESET;
    }

    /// Lowers the cache for an extent that has just grown or appeared. `cache_start` is where the
    /// cached extent began before.
    ///
    /// If the cache's requests cannot use an extent behind the cache, the cache stays where it is
    /// and remembers the extent as a hole.
    fn note_freed(&mut self, node: NodeId, cache_start: Option<Page>) {
        let Some(extent) = self.tree.get(node) else {
            return;
        };
        if cache_start.is_some_and(|start| extent.start >= start) {
            return;
        }
        if extent.usable(self.cache.exp) >= self.cache.pages {
            self.cache.node = node;
            return;
        }
        self.cache.hole = self.cache.hole.max(extent.pages());
        if self.cache.node == node {
            self.cache.node = self.tree.next(node);
        }
    }

    /// The lowest extent that serves the request, by looking at each: the plain first fit.
    fn walk(&self, request: Request, passed: &mut Passed) -> NodeId {
        let mut node = self.tree.first();
        while let Some(extent) = self.tree.get(node) {
            passed.visited = passed.visited.saturating_add(1);
            if extent.place(request).is_some() {
                break;
            }
            node = self.tree.next(node);
        }
        node
    }
}

/// For tests.
#[allow(dead_code, reason = "only tests on the host call it")]
impl Extents {
    /// Nodes that are not in use.
    pub fn spare(&self) -> u32 {
        self.tree.nodes().saturating_sub(self.count())
    }

    /// The first extent that ends behind page `from`.
    pub fn extent_from(&self, from: Page) -> Option<Extent> {
        let (floor, next) = self.tree.around(from);
        let floor = self.tree.get(floor).filter(|e| e.end > from);
        floor.or(self.tree.get(next))
    }

    /// Checks every invariant of this file and of the tree. O(n).
    ///
    /// # Errors
    ///
    /// The one that does not hold.
    pub fn validate(&self) -> Result<(), &'static str> {
        let check = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
        self.tree.validate()?;
        let mut free = 0u32;
        let mut sizes = [0u32; SIZES];
        let mut last = None;
        let mut past_cache = self.cache.node == NodeId::NONE && self.count() == 0;
        let mut node = self.tree.first();
        while let Some(extent) = self.tree.get(node) {
            check(
                self.bounds.0 <= extent.start && extent.end <= self.bounds.1,
                "an extent lies outside of the shard",
            )?;
            check(
                last.is_none_or(|end| end < extent.start),
                "extents touch or are out of order",
            )?;
            past_cache |= node == self.cache.node;
            if !past_cache {
                check(
                    extent.pages() <= self.cache.hole,
                    "a hole is longer than cached",
                )?;
                check(
                    extent.usable(self.cache.exp) < self.cache.pages,
                    "the cache passed an extent that serves",
                )?;
            }
            (free, last) = (free + extent.pages(), Some(extent.end));
            if let Some(size) = sizes.get_mut(size_of(extent.pages())) {
                *size += 1;
            }
            node = self.tree.next(node);
        }
        check(
            self.cache.node == NodeId::NONE || past_cache,
            "the cache is not in the tree",
        )?;
        check(
            self.cached || self.cache.pages == u32::MAX,
            "the cache is on",
        )?;
        check(free == self.free, "wrong number of free pages")?;
        check(sizes == self.sizes, "wrong numbers of sizes")
    }
}
