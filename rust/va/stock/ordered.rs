// SPDX-License-Identifier: GPL-2.0

//! Clean areas on their way to the extents, by address.
//!
//! A drain dissolves many areas, in whatever order they were freed. Given back one by one, each would cost
//! a search in the tree of extents, and most would become an extent that the next one joins. In the
//! order of their addresses neighbours join first, and go back as one range. A bit per page of the
//! arena sorts them, without a comparison and without memory.
//!
//! # Invariants
//!
//! - A bit is set only for the first page of an area that was put in and not taken out yet.

use crate::{
    sys::{
        broken,
        mem::{Mode, NoMemory, Table},
        Page,
    },
    va::{
        area::{index::Index, Descriptors, Id},
        space::shards::{Shards, Vacant, STEP},
        stock::magazine::{CleanId, CleanRange},
    },
};

/// Pages of a word.
const WORD: u32 = u64::BITS;

/// Most areas of one batch, so that it ends soon however long its ranges are.
const AREAS_MAX: u32 = 512;

/// Areas that left the stock together, as ranges without an owner. Nobody finds them by the index any
/// more.
pub struct Batch {
    ranges: [CleanRange; STEP],
    len: usize,
    areas: u32,
    gross: u64,
}

impl Batch {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            ranges: [const { CleanRange::NONE }; STEP],
            len: 0,
            areas: 0,
            gross: 0,
        }
    }

    /// Whether there is room for any other area.
    pub fn has_room(&self) -> bool {
        self.len < STEP && self.areas < AREAS_MAX
    }

    /// Adds an area, which ends. There must be room.
    pub fn add(
        &mut self,
        area: CleanId,
        index: &Index,
        descriptors: &Descriptors,
        shards: &Shards,
    ) {
        let range = area.vacate(descriptors);
        index.forget(range.range());
        self.areas += 1;
        self.gross += u64::from(range.range().pages);
        let last = self.len.checked_sub(1).and_then(|i| self.ranges.get_mut(i));
        let rest = match last {
            Some(last) if shards.are_one(last.range(), range.range()) => last.join(range).err(),
            _ => Some(range),
        };
        if let Some(range) = rest {
            match self.ranges.get_mut(self.len) {
                Some(place) => *place = range,
                None => broken(c"a batch has no room for a range"),
            }
            self.len += 1;
        }
    }

    /// Its ranges.
    pub fn ranges(&self) -> &[CleanRange] {
        self.ranges.get(..self.len).unwrap_or_default()
    }

    /// Number of its areas.
    pub fn areas(&self) -> u64 {
        u64::from(self.areas)
    }

    /// Their pages, guard pages included.
    pub fn gross(&self) -> u64 {
        self.gross
    }
}

/// Clean areas by address.
pub struct Ordered {
    pages: Table<u64>,
    /// A bit for each word of `pages` that is not 0.
    words: Table<u64>,
    /// No word of `words` below this place has a bit.
    from: usize,
}

impl Ordered {
    /// Of an arena of `pages` pages, without an area. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(pages: u32) -> Result<Self, NoMemory> {
        let words = pages.div_ceil(WORD);
        Ok(Self {
            pages: Table::new(words as usize, Mode::Sleep, |_| 0)?,
            words: Table::new(words.div_ceil(WORD) as usize, Mode::Sleep, |_| 0)?,
            from: 0,
        })
    }

    /// Puts an area in.
    pub fn put(&mut self, area: CleanId, descriptors: &Descriptors) {
        let Some(descriptor) = descriptors.held(area.id()) else {
            return;
        };
        let page = descriptor.start().get();
        let (place, bit) = ((page / WORD) as usize, page % WORD);
        let word = self.pages.get_mut(place);
        let above = self.words.get_mut(place / WORD as usize);
        let Some((word, above)) = word.zip(above) else {
            return broken(c"an area is dissolved that is not in the arena");
        };
        *word |= 1 << bit;
        *above |= 1 << (place % WORD as usize);
        self.from = self.from.min(place / WORD as usize);
    }

    /// Takes the lowest areas out, and ends them. `None` if there is none.
    pub fn take(
        &mut self,
        index: &Index,
        descriptors: &Descriptors,
        shards: &Shards,
    ) -> Option<Batch> {
        // Each purge asks, and most have dissolved nothing.
        let mut next = Some(self.take_page()?);
        let mut batch = Batch::new();
        while let Some(page) = next {
            let area = CleanId::again(Id::of(page));
            batch.add(area, index, descriptors, shards);
            next = if batch.has_room() {
                self.take_page()
            } else {
                None
            };
        }
        Some(batch)
    }

    /// Takes the lowest area out: its first page.
    fn take_page(&mut self) -> Option<Page> {
        loop {
            let above = self.words.get_mut(self.from)?;
            if *above == 0 {
                self.from += 1;
                continue;
            }
            let place = self.from * WORD as usize + above.trailing_zeros() as usize;
            let word = self.pages.get_mut(place)?;
            let page = place as u32 * WORD + word.trailing_zeros();
            *word &= word.wrapping_sub(1);
            if *word == 0 {
                *above &= *above - 1;
            }
            return Some(Page::new(page));
        }
    }
}
