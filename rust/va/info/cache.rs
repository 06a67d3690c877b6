// SPDX-License-Identifier: GPL-2.0

//! What the whole arena looks like, cached behind generations.
//!
//! After Molnar's cached vmalloc info (2015), which was dropped again because a reader still walked
//! the list under the lock whenever anything had changed. Two things are different here. A reader
//! walks nothing: each CPU counts areas as they come and go, and each shard publishes what its extents
//! look like whenever they change. So even a reader with a stale record takes no lock that an
//! allocation waits for. And there are two generations, one of the areas and one of the extents, so
//! that a reader adds up only the part that changed.
//!
//! # Invariants
//!
//! - A generation only grows, with every change of its part, and after that change. A reader labels its
//!   record with generations that it read *before* it gathered the contents. If anything changes in
//!   between, the label is already stale.
//! - A reader keeps its result as a [`Record`]: it never overwrites a fresher one, and the first read is
//!   a miss.

use crate::{
    sys::mem::NoMemory,
    va::{
        count::{callers::CallerId, counters::Totals},
        info::record::{Generations, Record},
        space::{range::SIZES, shards::Space},
    },
};

/// Callers shown.
pub const TOP: usize = 16;

/// The totals of one caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Top {
    /// The caller.
    pub caller: CallerId,
    /// Its totals.
    pub totals: Totals,
}

/// The part that changes when areas come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    /// All callers together.
    pub totals: Totals,
    /// Pages that wait for a flush, and clean pages in magazines; guard pages included.
    pub lazy_gross: u64,
    /// As above.
    pub stock_gross: u64,
    /// Living areas by size: 1, 2, 3 to 4, ... pages.
    pub sizes: [u64; SIZES],
    /// The callers that hold most, largest first.
    pub top: [Top; TOP],
}

impl Default for Areas {
    fn default() -> Self {
        Self {
            totals: Totals::default(),
            lazy_gross: 0,
            stock_gross: 0,
            sizes: [0; SIZES],
            top: [Top::default(); TOP],
        }
    }
}

/// What the arena looked like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// When: as of these generations.
    pub generations: Generations,
    /// Areas.
    pub areas: Areas,
    /// Free extents.
    pub space: Space,
}

impl Info {
    /// Pages that need no flush, guard pages included: extents and stock.
    pub fn free_gross(&self) -> u64 {
        self.space.free.pages.wrapping_add(self.areas.stock_gross)
    }

    /// As [`fragmentation`].
    pub fn fragmentation(&self) -> u64 {
        fragmentation(self.space.free.largest.into(), self.free_gross())
    }
}

/// External fragmentation, 1 - largest free extent / free pages, in percent, rounded up.
pub fn fragmentation(largest: u64, free: u64) -> u64 {
    largest
        .saturating_mul(100)
        .checked_div(free)
        .map_or(0, |whole| 100u64.saturating_sub(whole))
}

const TOTALS: usize = 4;
const WORDS: usize = TOTALS + 2 + SIZES + TOP * (1 + TOTALS) + 3 + SIZES;

fn totals_words(totals: &Totals) -> [u64; TOTALS] {
    [
        totals.allocs,
        totals.alloc_gross,
        totals.frees,
        totals.free_gross,
    ]
}

fn totals_from(mut next: impl FnMut() -> u64) -> Totals {
    Totals {
        allocs: next(),
        alloc_gross: next(),
        frees: next(),
        free_gross: next(),
    }
}

impl Info {
    fn words(&self) -> impl Iterator<Item = u64> + '_ {
        let areas = &self.areas;
        let free = &self.space.free;
        let top = areas.top.iter().flat_map(|top| {
            core::iter::once(u64::from(top.caller)).chain(totals_words(&top.totals))
        });
        totals_words(&areas.totals)
            .into_iter()
            .chain([areas.lazy_gross, areas.stock_gross])
            .chain(areas.sizes.iter().copied())
            .chain(top)
            .chain([free.pages, free.extents, u64::from(free.largest)])
            .chain(self.space.sizes.iter().copied())
    }

    /// The reverse of [`Self::words`], in place: more than a KiB is too much for a stack.
    fn fill(&mut self, generations: Generations, mut next: impl FnMut() -> u64) {
        self.generations = generations;
        let areas = &mut self.areas;
        areas.totals = totals_from(&mut next);
        areas.lazy_gross = next();
        areas.stock_gross = next();
        areas.sizes.fill_with(&mut next);
        for top in &mut areas.top {
            top.caller = next() as CallerId;
            top.totals = totals_from(&mut next);
        }
        self.space.free.pages = next();
        self.space.free.extents = next();
        self.space.free.largest = next() as u32;
        self.space.sizes.fill_with(&mut next);
    }
}

/// The freshest record that readers have gathered.
pub struct Cache(Record);

impl Cache {
    /// No record yet. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new() -> Result<Self, NoMemory> {
        Record::new(WORDS).map(Self)
    }

    /// Fills `info` with the record, and returns whether all of it is of one moment. If not, there
    /// is no record, or another reader is storing one right now. Any context; this takes no lock and
    /// writes nothing that others read.
    pub fn load(&self, info: &mut Info) -> bool {
        self.0
            .load(|generations, words| info.fill(generations, || words.take()))
            .is_some()
    }

    /// Keeps `info` if it is fresher than the record. Returns whether it was.
    pub fn store(&self, info: &Info) -> bool {
        self.0.store(info.generations, info.words())
    }
}

/// Puts `new` into `best`, the callers that hold most pages, largest first, if it is one of them.
pub fn rank(best: &mut [Top; TOP], mut new: Top) {
    for place in best.iter_mut() {
        if new.totals.pages() > place.totals.pages() {
            core::mem::swap(&mut new, place);
        }
    }
}
