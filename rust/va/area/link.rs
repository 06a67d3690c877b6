// SPDX-License-Identifier: GPL-2.0

//! The one link word of a descriptor, and which freed areas are still lazy: for readers that walk and
//! show them.
//!
//! Between free and allocation nobody works per area; a purge moves whole magazines. So an area cannot
//! know when it becomes clean. Instead each lazy magazine has a [`Number`] from its first area until it
//! is clean, each area in it keeps the number in its [`Link`], and a table says which numbers are lazy.
//! That costs a free one load and one store, on cache lines that it writes anyway.
//!
//! # Invariants
//!
//! - The table has a number from before the first area has it until the magazine is clean.
//! - No two lazy magazines have the same number. A number comes back after some 2^31 magazines.

use crate::{
    sys::{
        mem::{Mode, NoMemory, Table},
        sync::{
            AtomicU32,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    va::area::{Id, NO_ID},
};

/// In a link word: a number, no descriptor. In the table: the number is in use.
const MARK: u32 = 1 << 31;

/// In a link word that names a descriptor: the list is of clean areas.
const CLEAN_LIST: u32 = 1 << 30;

/// Areas that begin below this page have a name for links.
pub const LINKED_MAX: u32 = CLEAN_LIST - 1;

/// Places looked at for a new number.
const PROBES: u32 = 16;

/// What the link word of a descriptor says: the next area of a list, the number of the area's last
/// lazy magazine, or that the area came from the extents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link(u32);

impl Link {
    /// The last area of a list.
    pub const END: Self = Self(u32::MAX);
    /// An area that came from the extents, or was flushed alone: it is not lazy.
    pub const CLEAN: Self = Self(MARK);

    /// Area `id` comes next in a list; [`NO_ID`] ends it.
    pub fn to(id: Id) -> Self {
        Self(id.word())
    }

    /// As [`Self::to`], in a list of clean areas.
    #[inline(always)]
    pub fn to_clean(id: Id) -> Self {
        Self(id.word() & LINKED_MAX | CLEAN_LIST)
    }

    /// The area that comes next in a list, or [`NO_ID`].
    #[inline(always)]
    pub fn id(self) -> Id {
        let id = self.0 & LINKED_MAX;
        if self.0 & MARK == 0 && id != LINKED_MAX {
            Id::from_word(id)
        } else {
            NO_ID
        }
    }

    /// The word for a descriptor.
    #[inline(always)]
    pub(super) fn word(self) -> u32 {
        self.0
    }

    /// The link of a descriptor's word.
    #[inline(always)]
    pub(super) fn from_word(word: u32) -> Self {
        Self(word)
    }
}

/// The number of one lazy magazine.
#[derive(Debug, PartialEq, Eq)]
pub struct Number(u32);

impl Number {
    /// That of a magazine that is not lazy.
    pub const NONE: Self = Self(MARK);

    /// The link of the magazine's areas.
    #[inline(always)]
    pub fn link(&self) -> Link {
        Link(self.0)
    }
}

/// The numbers of all lazy magazines.
pub struct Numbers {
    /// A place keeps the last number that it gave out; without [`MARK`], it is not in use.
    places: Table<AtomicU32>,
}

impl Numbers {
    /// No number in use, room for a few thousand per CPU. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(cpus: u32) -> Result<Self, NoMemory> {
        Self::with_places(cpus.saturating_mul(1 << 12).clamp(1 << 12, 1 << 18))
    }

    /// Room for `places` numbers, or a few more. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn with_places(places: u32) -> Result<Self, NoMemory> {
        let places = places.clamp(1, 1 << 18).next_power_of_two();
        Ok(Self {
            places: Table::new(places as usize, Mode::Sleep, |place| {
                AtomicU32::new(place as u32)
            })?,
        })
    }

    /// A number for a magazine that is about to get its first area; `None` if too many are in use.
    /// `cursor` belongs to the caller and says where to look.
    pub fn begin(&self, cursor: &mut u32) -> Option<Number> {
        let places = self.places.len() as u32;
        for _ in 0..PROBES.min(places) {
            *cursor = cursor.wrapping_add(1);
            let place = self.places.get((*cursor % places) as usize)?;
            let old = place.load(Relaxed);
            if old & MARK != 0 {
                continue;
            }
            // Neither the first turn, which has `Link::CLEAN`, nor the last, which has `Link::END`.
            let turn = old / places + 1;
            let turn = if turn < MARK / places - 1 { turn } else { 1 };
            let number = MARK | turn * places | old % places;
            if place
                .compare_exchange(old, number, Relaxed, Relaxed)
                .is_ok()
            {
                return Some(Number(number));
            }
        }
        None
    }

    /// The magazine is clean.
    pub fn end(&self, number: Number) {
        if number == Number::NONE {
            return;
        }
        if let Some(place) = self.place(number.0) {
            // Only the magazine's holder ends a number: nobody else writes the place meanwhile.
            place.store(number.0 & !MARK, Release);
        }
    }

    /// Whether an area that is not live is lazy, given its link: in a list that is not of clean areas, or in
    /// a magazine that is lazy.
    pub fn is_lazy(&self, link: Link) -> bool {
        if link.0 & MARK == 0 {
            return link.0 & CLEAN_LIST == 0;
        }
        if link == Link::END {
            return true;
        }
        self.place(link.0)
            .is_some_and(|place| place.load(Acquire) == link.0)
    }

    fn place(&self, number: u32) -> Option<&AtomicU32> {
        let places = self.places.len() as u32;
        self.places.get(number.checked_rem(places)? as usize)
    }
}
