// SPDX-License-Identifier: GPL-2.0

//! The free space of the arena, cut into shards so that CPUs need not share one lock.
//!
//! A request is placed in the caller's own shard first, then in the others; where no single shard
//! has room, adjacent shards serve it together. No two shard locks are ever held at once: what spans
//! shards is looked up shard by shard, then taken piece by piece, and given back if another was
//! faster.
//!
//! # Invariants
//!
//! - A shard has the nodes that its pieces of areas may ever need ([`Extents::covers`]), so that
//!   giving back never needs memory.

use super::{
    extents::{self, Extents},
    mem::{Mode, NoMemory, Table},
    purge::Range,
    sync::{AtomicU64, Class, Lock, LockGuard, Ordering::Relaxed, Padded},
};

/// Shards at most: the spanning search keeps a word for each on the stack.
pub const SHARDS_MAX: u32 = 64;

/// Areas given back under one lock hold at most.
pub const STEP: usize = 32;

struct Space {
    extents: Extents,
    /// Pieces of areas that were taken out of `extents`.
    pieces: u32,
}

struct Shard {
    space: Lock<Space>,
    start: u32,
    end: u32,
}

/// All shards of an arena.
pub struct Shards {
    shards: Table<Padded<Shard>>,
    per_shard: u32,
    /// Extents looked at by all searches.
    pub visited: AtomicU64,
    /// Searches.
    pub searches: AtomicU64,
    /// Acquisitions of a shard's lock.
    pub locks: AtomicU64,
}

/// Why no range was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fail {
    /// No free range is large enough.
    NoSpace,
    /// No memory to keep track.
    NoMemory,
}

impl From<NoMemory> for Fail {
    fn from(_: NoMemory) -> Self {
        Self::NoMemory
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
        let count = count.clamp(1, SHARDS_MAX).min(pages.max(1));
        let per_shard = pages.div_ceil(count).max(1);
        let count = pages.div_ceil(per_shard).max(1);
        let shards = Table::try_new(count as usize, Mode::Sleep, |i| {
            let start = i as u32 * per_shard;
            let end = start.saturating_add(per_shard).min(pages);
            let extents = Extents::new(start, end - start, Mode::Sleep)?;
            Ok(Padded(Shard {
                space: Lock::new(Space { extents, pieces: 0 }, Class::Shard)?,
                start,
                end,
            }))
        })?;
        Ok(Self {
            shards,
            per_shard,
            visited: AtomicU64::new(0),
            searches: AtomicU64::new(0),
            locks: AtomicU64::new(0),
        })
    }

    /// Number of shards.
    pub fn count(&self) -> u32 {
        self.shards.len() as u32
    }

    fn lock<'a>(&self, shard: &'a Shard) -> LockGuard<'a, Space> {
        self.locks.fetch_add(1, Relaxed);
        shard.space.lock()
    }

    /// Locks `shard` once it has the nodes for one more piece.
    fn lock_with_reserve<'a>(
        &self,
        shard: &'a Shard,
        mode: Mode,
    ) -> Result<LockGuard<'a, Space>, NoMemory> {
        // Ask under the lock, prepare outside, try again.
        let mut prepared = None;
        loop {
            {
                let mut space = self.lock(shard);
                if let Some(chunk) = prepared.take() {
                    space.extents.donate(chunk);
                }
                if space.extents.covers(space.pieces) {
                    return Ok(space);
                }
            }
            prepared = Some(Extents::prepare(mode)?);
        }
    }

    /// Takes `gross` pages at a multiple of `align`, from shard `hint` if it has them. Sleeps only
    /// where `mode` allows.
    ///
    /// # Errors
    ///
    /// [`Fail`].
    pub fn take(&self, gross: u32, align: u32, hint: u32, mode: Mode) -> Result<u32, Fail> {
        let count = self.shards.len();
        let first = hint as usize % count.max(1);
        let (near, far) = self.shards.split_at_checked(first).unwrap_or_default();
        for shard in far.iter().chain(near) {
            if shard.end - shard.start < gross {
                continue;
            }
            let mut visited = 0;
            let mut space = self.lock_with_reserve(shard, mode)?;
            let found = space.extents.alloc(gross, align, &mut visited);
            if found.is_some() {
                space.pieces += 1;
            }
            drop(space);
            self.searches.fetch_add(1, Relaxed);
            self.visited.fetch_add(u64::from(visited), Relaxed);
            if let Some(start) = found {
                return Ok(start);
            }
        }
        self.take_spanning(gross, align, mode)
    }

    /// As [`Self::take`], for a range that begins in one shard and ends in another.
    fn take_spanning(&self, gross: u32, align: u32, mode: Mode) -> Result<u32, Fail> {
        // Somebody else may take a piece between look and take; then look again.
        for _ in 0..16 {
            let mut ends = [Ends::default(); SHARDS_MAX as usize];
            for (shard, ends) in self.shards.iter().zip(&mut ends) {
                let space = self.lock(shard);
                ends.head = space.extents.head_run(shard.start);
                ends.tail = space.extents.tail_run(shard.end);
            }
            let Some(start) = self.find_spanning(&ends, gross, align) else {
                return Err(Fail::NoSpace);
            };
            if self.take_at(start, gross, mode)? {
                return Ok(start);
            }
        }
        Err(Fail::NoSpace)
    }

    fn find_spanning(&self, ends: &[Ends], gross: u32, align: u32) -> Option<u32> {
        for (i, (shard, own)) in self.shards.iter().zip(ends).enumerate() {
            if own.tail == 0 {
                continue;
            }
            let mut end = shard.end;
            for (next, free) in self.shards.iter().zip(ends).skip(i + 1) {
                end = end.saturating_add(free.head);
                if free.head < next.end - next.start {
                    break;
                }
            }
            let start = extents::align_up(shard.end - own.tail, align)?;
            let fits = start
                .checked_add(gross)
                .is_some_and(|last| start < shard.end && last <= end);
            if fits {
                return Some(start);
            }
        }
        None
    }

    /// The pieces of a range, one per shard that it touches.
    fn pieces(&self, start: u32, gross: u32) -> impl Iterator<Item = (&Shard, Range)> {
        let end = start.saturating_add(gross);
        let first = (start / self.per_shard) as usize;
        self.shards.iter().skip(first).map_while(move |shard| {
            let from = shard.start.max(start);
            let to = shard.end.min(end);
            (from < to).then(|| {
                let pages = to - from;
                (&shard.0, Range { start: from, pages })
            })
        })
    }

    fn take_at(&self, start: u32, gross: u32, mode: Mode) -> Result<bool, NoMemory> {
        let mut taken = 0;
        for (shard, piece) in self.pieces(start, gross) {
            let got = self.lock_with_reserve(shard, mode).map(|mut space| {
                let got = space.extents.take_at(piece.start, piece.pages);
                if got {
                    space.pieces += 1;
                }
                got
            });
            match got {
                Ok(true) => taken += piece.pages,
                other => {
                    if taken > 0 {
                        self.give_back(&[Range {
                            start,
                            pages: taken,
                        }]);
                    }
                    return other;
                }
            }
        }
        Ok(true)
    }

    /// Gives ranges back, at most [`STEP`] of them, each one that was taken (or its guard page and
    /// all, when it spans shards). Never needs memory; a lock is held for one run of ranges of the
    /// same shard. Returns how many were refused because they were free already.
    pub fn give_back(&self, ranges: &[Range]) -> u32 {
        let mut refused = 0;
        let mut held: Option<(u32, LockGuard<'_, Space>)> = None;
        for range in ranges {
            for (shard, piece) in self.pieces(range.start, range.pages) {
                let space = match &mut held {
                    Some((start, space)) if *start == shard.start => space,
                    _ => {
                        // The old lock goes before the new one is taken.
                        held = None;
                        let space = self.lock(shard);
                        &mut held.insert((shard.start, space)).1
                    }
                };
                match space.extents.free(piece.start, piece.pages) {
                    Ok(()) => space.pieces = space.pieces.saturating_sub(1),
                    Err(_) => refused += 1,
                }
            }
        }
        refused
    }

    /// Switches the free-area cache on or off.
    pub fn set_cache(&self, on: bool) {
        for shard in self.shards.iter() {
            self.lock(shard).extents.set_cache(on);
        }
    }

    /// Free pages, number of free extents, and pages of the largest, which may span shards.
    pub fn free_space(&self) -> FreeSpace {
        let mut sum = FreeSpace::default();
        let mut run = 0u32;
        for shard in self.shards.iter() {
            let (free, count, largest, head, tail) = {
                let space = self.lock(shard);
                (
                    space.extents.free_pages(),
                    space.extents.count(),
                    space.extents.largest(),
                    space.extents.head_run(shard.start),
                    space.extents.tail_run(shard.end),
                )
            };
            sum.pages += u64::from(free);
            sum.extents += u64::from(count);
            let joined = run.saturating_add(head);
            sum.largest = sum.largest.max(largest).max(joined);
            run = if head == shard.end - shard.start {
                joined
            } else {
                tail
            };
        }
        sum
    }
}

/// What [`Shards::free_space`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FreeSpace {
    /// Free pages.
    pub pages: u64,
    /// Free extents; one that spans shards counts once in each.
    pub extents: u64,
    /// Pages of the largest free extent.
    pub largest: u32,
}
