// SPDX-License-Identifier: GPL-2.0

//! The free space of the arena, cut into shards so that CPUs need not share one lock.
//!
//! A request tries the caller's own shard first, then the others. If no single shard has room, adjacent
//! shards serve it together. Nobody holds two shard locks at once: such a request looks shard by shard,
//! then takes piece by piece, and gives the pieces back if another task was faster.
//!
//! # Invariants
//!
//! - A shard has the nodes that its pieces of areas may ever need ([`Extents::covers`]), so that
//!   giving back never needs memory.
//! - No TLB holds a translation of a free page: only a [`Vacant`] range becomes free.

use crate::{
    sys::{
        broken,
        mem::{Mode, NoMemory, Table},
        seqcount::SeqCount,
        sync::{
            spin_loop, AtomicU32, AtomicU64, Lock, LockClass, LockGuard, Ordering::Relaxed, Padded,
        },
        Page,
    },
    va::{
        error::AllocError,
        space::{
            extents::{self, Extents},
            range::{Range, SIZES},
        },
    },
};
use core::num::NonZeroU32;

/// Most shards: the spanning search keeps two words for each on the stack.
pub const SHARDS_MAX: u32 = 64;

/// Most ranges that one lock hold gives back.
pub const STEP: usize = 32;

/// Most chunks of nodes that one lock hold gives up.
const CHUNKS_MAX: usize = 16;

struct Held {
    extents: Extents,
    /// Pieces of areas that were taken out of `extents`.
    pieces: u32,
}

struct Shard {
    space: Lock<Held>,
    start: Page,
    end: Page,
    /// The state of `space` after the last change, for readers without the lock. The writer holds it.
    shown: [AtomicU32; SHOWN],
    changes: SeqCount,
}

/// What a shard shows of its extents.
#[derive(Clone, Copy)]
struct Seen {
    free: u32,
    count: u32,
    largest: u32,
    head: u32,
    tail: u32,
    sizes: [u32; SIZES],
}

const SHOWN: usize = 5 + SIZES;

/// How often a reader looks at a shard that changes all the time. A change is some 40 stores.
const LOOKS: u32 = 1000;

impl Shard {
    /// Its pages.
    fn pages(&self) -> u32 {
        self.end.since(self.start)
    }

    /// Shows the changes. Under the lock.
    fn show(&self, extents: &mut Extents) {
        let words = [
            extents.free_pages(),
            extents.count(),
            extents.largest(),
            extents.head_run(self.start),
            extents.tail_run(self.end),
        ];
        self.changes.write(|| {
            for (shown, word) in self.shown.iter().zip(words) {
                shown.store(word, Relaxed);
            }
            while let Some((size, count)) = extents.next_change() {
                if let Some(shown) = self.shown.get(words.len() + size) {
                    shown.store(count, Relaxed);
                }
            }
        });
    }

    /// The state shown last. Takes no lock; repeats while a task changes it, but not for ever: in an
    /// interrupt it may be this CPU's own task. Then it is a mixture of two states.
    fn look(&self) -> Seen {
        for _ in 0..LOOKS {
            if let Some(seen) = self.changes.read(|| self.shown()) {
                return seen;
            }
            spin_loop();
        }
        self.shown()
    }

    fn shown(&self) -> Seen {
        let mut words = self.shown.iter().map(|word| word.load(Relaxed));
        let mut next = || words.next().unwrap_or_default();
        Seen {
            free: next(),
            count: next(),
            largest: next(),
            head: next(),
            tail: next(),
            sizes: core::array::from_fn(|_| next()),
        }
    }
}

/// All shards of an arena.
pub struct Shards {
    shards: Table<Padded<Shard>>,
    per_shard: NonZeroU32,
    /// Extents looked at by all searches.
    pub extents_visited: AtomicU64,
    /// Searches.
    pub extent_searches: AtomicU64,
    /// Acquisitions of a shard's lock.
    pub locks: AtomicU64,
    /// Chunks of nodes of all shards.
    chunks: AtomicU32,
}

/// A range of which no TLB holds a translation any more. A type implements this only if each of its
/// values proves that.
pub trait Vacant {
    /// The range.
    fn range(&self) -> Range;

    /// Areas that it was. More than one only if [`Shards::are_one`] was true of each and the one before it.
    fn areas(&self) -> u32 {
        1
    }
}

/// A range that was free, and that nobody has mapped since.
#[must_use = "a range that is dropped is lost"]
#[derive(Debug)]
pub struct Untouched(Range);

impl Vacant for Untouched {
    fn range(&self) -> Range {
        self.0
    }
}

/// Free ends of one shard.
#[derive(Clone, Copy, Default)]
struct Ends {
    /// Pages of the free extent that begins where the shard begins.
    head: u32,
    /// Pages of the free extent that ends where the shard ends.
    tail: u32,
}

impl Shards {
    /// Cuts `pages` pages, all free, into `count` shards. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(pages: u32, count: u32) -> Result<Self, NoMemory> {
        let some = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let last = pages.saturating_sub(1);
        // Rounded up: a division by a number of this type cannot panic.
        let per_shard = some((last / some(count.min(SHARDS_MAX))).saturating_add(1));
        let count = (last / per_shard).saturating_add(1);
        let shards = Table::try_new(count as usize, Mode::Sleep, |i| {
            let first = i as u32 * per_shard.get();
            let start = Page::new(first);
            let pages = per_shard.get().min(pages.saturating_sub(first));
            let extents = Extents::new(start, pages, Mode::Sleep)?;
            let shard = Shard {
                start,
                end: start.plus(pages),
                changes: SeqCount::new(),
                shown: core::array::from_fn(|_| AtomicU32::new(0)),
                space: Lock::new(Held { extents, pieces: 0 }, LockClass::Shard)?,
            };
            shard.show(&mut shard.space.lock().extents);
            Ok(Padded(shard))
        })?;
        Ok(Self {
            shards,
            per_shard,
            extents_visited: AtomicU64::new(0),
            extent_searches: AtomicU64::new(0),
            locks: AtomicU64::new(0),
            // Each shard began with one.
            chunks: AtomicU32::new(count),
        })
    }

    fn lock<'a>(&self, shard: &'a Shard) -> LockGuard<'a, Held> {
        self.locks.fetch_add(1, Relaxed);
        shard.space.lock()
    }

    /// Locks `shard` once it has the nodes for one more piece.
    fn lock_with_reserve<'a>(
        &self,
        shard: &'a Shard,
        mode: Mode,
    ) -> Result<LockGuard<'a, Held>, NoMemory> {
        // Ask under the lock, prepare outside, try again.
        let mut prepared = None;
        loop {
            let mut space = self.lock(shard);
            let surplus = prepared.take().and_then(|chunk| {
                let surplus = space.extents.donate(chunk);
                if surplus.is_none() {
                    self.chunks.fetch_add(1, Relaxed);
                }
                surplus
            });
            if space.extents.covers(space.pieces) {
                return Ok(space);
            }
            drop(space);
            drop(surplus);
            prepared = Some(Extents::prepare(mode)?);
        }
    }

    /// Takes `gross` pages at a multiple of `align`, from shard `hint` if it has them. Sleeps only
    /// where `mode` allows.
    ///
    /// # Errors
    ///
    /// [`AllocError`].
    pub fn take(
        &self,
        gross: u32,
        align: u32,
        hint: u32,
        mode: Mode,
    ) -> Result<Untouched, AllocError> {
        let count = self.shards.len();
        let first = hint as usize % count.max(1);
        let (near, far) = self.shards.split_at_checked(first).unwrap_or_default();
        for shard in far.iter().chain(near) {
            if shard.pages() < gross {
                continue;
            }
            let mut visited = 0;
            let mut space = self.lock_with_reserve(shard, mode)?;
            let found = space.extents.alloc(gross, align, &mut visited);
            if found.is_some() {
                space.pieces += 1;
                shard.show(&mut space.extents);
            }
            drop(space);
            self.extent_searches.fetch_add(1, Relaxed);
            self.extents_visited.fetch_add(u64::from(visited), Relaxed);
            if let Some(start) = found {
                return Ok(Untouched(Range {
                    start,
                    pages: gross,
                }));
            }
        }
        self.take_spanning(gross, align, mode)
    }

    /// As [`Self::take`], for a range that begins in one shard and ends in another.
    fn take_spanning(&self, gross: u32, align: u32, mode: Mode) -> Result<Untouched, AllocError> {
        // Another task may take a piece between look and take; then look again.
        for _ in 0..16 {
            let mut ends = [Ends::default(); SHARDS_MAX as usize];
            for (shard, ends) in self.shards.iter().zip(&mut ends) {
                let seen = shard.look();
                *ends = Ends {
                    head: seen.head,
                    tail: seen.tail,
                };
            }
            let Some(start) = self.find_spanning(&ends, gross, align) else {
                return Err(AllocError::NoSpace);
            };
            let range = Range {
                start,
                pages: gross,
            };
            if self.take_at(range, mode)? {
                return Ok(Untouched(range));
            }
        }
        Err(AllocError::NoSpace)
    }

    fn find_spanning(&self, ends: &[Ends], gross: u32, align: u32) -> Option<Page> {
        for (i, (shard, own)) in self.shards.iter().zip(ends).enumerate() {
            if own.tail == 0 {
                continue;
            }
            let mut end = shard.end;
            for (next, free) in self.shards.iter().zip(ends).skip(i + 1) {
                end = end.plus(free.head);
                if free.head < next.pages() {
                    break;
                }
            }
            let start = extents::align_up(shard.end.minus(own.tail), align)?;
            let fits = start
                .checked_plus(gross)
                .is_some_and(|last| start < shard.end && last <= end);
            if fits {
                return Some(start);
            }
        }
        None
    }

    /// The place of the shard that has page `page`.
    fn shard_of(&self, page: Page) -> usize {
        (page.get() / self.per_shard) as usize
    }

    /// The pieces of a range, one per shard that it touches.
    fn pieces(&self, range: Range) -> impl Iterator<Item = (&Shard, Range)> {
        let Range { start, .. } = range;
        let end = range.end();
        let first = self.shard_of(start);
        self.shards.iter().skip(first).map_while(move |shard| {
            let from = shard.start.max(start);
            let to = shard.end.min(end);
            (from < to).then(|| {
                let pages = to.since(from);
                (&shard.0, Range { start: from, pages })
            })
        })
    }

    fn take_at(&self, range: Range, mode: Mode) -> Result<bool, NoMemory> {
        let mut taken = 0;
        for (shard, piece) in self.pieces(range) {
            let got = self.lock_with_reserve(shard, mode).map(|mut space| {
                let got = space.extents.take_at(piece.start, piece.pages);
                if got {
                    space.pieces += 1;
                    shard.show(&mut space.extents);
                }
                got
            });
            match got {
                Ok(true) => taken += piece.pages,
                other => {
                    if taken > 0 {
                        let pages = taken;
                        self.give_back(&[Untouched(Range { pages, ..range })]);
                    }
                    return other;
                }
            }
        }
        Ok(true)
    }

    /// Gives back ranges that were taken, guard pages included. Never needs memory.
    pub fn give_back(&self, ranges: &[impl Vacant]) {
        let mut returning = self.returning(ranges);
        while let Some(mut hold) = returning.hold() {
            hold.give_back(&mut returning);
        }
    }

    /// The same, one lock after the other, for a caller that measures how long it holds each. At most
    /// [`STEP`] ranges.
    pub fn returning<'a, V: Vacant>(&'a self, ranges: &'a [V]) -> Returning<'a, V> {
        Returning {
            shards: self,
            ranges: ranges.iter(),
            left: Range::default(),
            areas: 0,
        }
    }

    /// Whether `next` begins where `range` ends, and both are in one shard: they may go back as one range.
    pub fn are_one(&self, range: Range, next: Range) -> bool {
        let shard = self.shards.get(self.shard_of(range.start));
        next.start == range.end() && shard.is_some_and(|shard| next.end() <= shard.end)
    }

    /// Shows `f` the end of the shard that has page `at`, and which of its ranges are free. Meanwhile nobody takes or
    /// gives back pages of this shard. Returns its end.
    pub fn with_free(
        &self,
        at: Page,
        f: impl FnOnce(Page, &dyn Fn(Range) -> bool),
    ) -> Option<Page> {
        let shard = self.shards.get(self.shard_of(at))?;
        let space = self.lock(shard);
        f(shard.end, &|range| space.extents.is_free(range));
        Some(shard.end)
    }

    /// Frees chunks of nodes that shard `number` does not need, of some `most` bytes, but only a few. Returns their
    /// bytes, and whether there may be more.
    pub fn give_up(&self, number: usize, most: usize) -> (usize, bool) {
        let Some(shard) = self.shards.get(number) else {
            return (0, false);
        };
        let mut given = [const { None }; CHUNKS_MAX];
        let mut space = self.lock(shard);
        let pieces = space.pieces;
        for place in given.iter_mut().take(most.div_ceil(Extents::CHUNK_BYTES)) {
            *place = space.extents.give_up(pieces);
            if place.is_none() {
                break;
            }
        }
        drop(space);
        let count = given.iter().flatten().count();
        self.chunks.fetch_sub(count as u32, Relaxed);
        (count * Extents::CHUNK_BYTES, count == CHUNKS_MAX)
    }

    /// Number of shards.
    pub fn count(&self) -> usize {
        self.shards.len()
    }

    /// Bytes of all nodes.
    pub fn bytes(&self) -> usize {
        self.chunks.load(Relaxed) as usize * Extents::CHUNK_BYTES
    }

    /// Switches the free-area cache on or off.
    pub fn set_cache(&self, on: bool) {
        for shard in self.shards.iter() {
            self.lock(shard).extents.set_cache(on);
        }
    }

    /// Changes of the extents so far.
    pub fn generation(&self) -> u64 {
        self.shards
            .iter()
            .fold(0, |sum, shard| sum.wrapping_add(shard.changes.count()))
    }

    /// The state of all free extents, as each shard showed it last. Takes no lock.
    pub fn space(&self) -> Space {
        let mut sum = Space::default();
        let mut run = 0u32;
        for shard in self.shards.iter() {
            let seen = shard.look();
            sum.free.pages += u64::from(seen.free);
            sum.free.extents += u64::from(seen.count);
            let joined = run.saturating_add(seen.head);
            sum.free.largest = sum.free.largest.max(seen.largest).max(joined);
            run = if seen.head == shard.pages() {
                joined
            } else {
                seen.tail
            };
            for (sum, seen) in sum.sizes.iter_mut().zip(&seen.sizes) {
                *sum += u64::from(*seen);
            }
        }
        sum
    }
}

/// Ranges on their way back.
pub struct Returning<'a, V> {
    shards: &'a Shards,
    ranges: core::slice::Iter<'a, V>,
    /// The rest of the current range.
    left: Range,
    /// Areas that the current range was.
    areas: u32,
}

impl<'a, V: Vacant> Returning<'a, V> {
    /// The next piece, and its shard.
    fn piece(&mut self) -> Option<(&'a Shard, Range)> {
        loop {
            let Range { start, pages } = self.left;
            if pages == 0 {
                let range = self.ranges.next()?;
                self.left = range.range();
                self.areas = range.areas();
                continue;
            }
            match self.shards.shards.get(self.shards.shard_of(start)) {
                Some(shard) if start < shard.end => {
                    let pages = pages.min(shard.end.since(start));
                    return Some((shard, Range { start, pages }));
                }
                _ => {
                    broken(c"a range is given back that is not in the arena");
                    self.left = Range::default();
                }
            }
        }
    }

    /// Locks the shard of the next piece; `None` if no piece is left.
    pub fn hold(&mut self) -> Option<Hold<'a>> {
        let (shard, _) = self.piece()?;
        let space = self.shards.lock(shard);
        Some(Hold { shard, space })
    }
}

/// The lock of a shard, to give ranges back.
pub struct Hold<'a> {
    shard: &'a Shard,
    space: LockGuard<'a, Held>,
}

impl Hold<'_> {
    fn take_in(&mut self, piece: Range, areas: u32) {
        match self.space.extents.free(piece.start, piece.pages) {
            Ok(()) if self.space.pieces >= areas => self.space.pieces -= areas,
            Ok(()) => broken(c"a shard gets more pieces back than were taken out of it"),
            // By the invariant of this file a node is never missing.
            Err(_) => broken(c"a range is given back that is free, or empty, or has no node"),
        }
    }

    /// Gives back all pieces up to the first one of another shard.
    pub fn give_back(&mut self, returning: &mut Returning<'_, impl Vacant>) {
        while let Some((shard, piece)) = returning.piece() {
            if shard.start != self.shard.start {
                break;
            }
            self.take_in(piece, returning.areas);
            #[cfg(faults)]
            if crate::va::faults::Fault::GiveTwice.on() {
                self.take_in(piece, returning.areas);
            }
            let left = &mut returning.left;
            left.start = left.start.plus(piece.pages);
            left.pages = left.pages.saturating_sub(piece.pages);
        }
        self.shard.show(&mut self.space.extents);
    }
}

/// The free space of all shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FreeSpace {
    /// Free pages.
    pub pages: u64,
    /// Free extents; one that spans shards counts once in each.
    pub extents: u64,
    /// Pages of the largest free extent.
    pub largest: u32,
}

/// The part that changes when the free extents do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Sum, number, largest.
    pub free: FreeSpace,
    /// Free extents by size: 1, 2, 3 to 4, ... pages.
    pub sizes: [u64; SIZES],
}
