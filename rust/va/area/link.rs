// SPDX-License-Identifier: GPL-2.0

//! Which freed areas still wait for a flush: for those who walk and show them.
//!
//! Between free and allocation nothing is done per area; a purge hands on whole magazines. So an area
//! cannot know when it becomes clean. Instead each lazy magazine has a *number* from its first area
//! until it is clean, each area that is put in remembers the number, and a table says which numbers
//! are lazy. That costs a free one load and one store on cache lines that it writes anyway.
//!
//! # Invariants
//!
//! - A number stands in the table from before the first area has it until the magazine is clean.
//! - No two lazy magazines have the same number. A number comes back after some 2^31 magazines.

use crate::{
    sys::{
        mem::{Mode, NoMemory, Table},
        sync::{
            AtomicU32,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    va::area::NO_ID,
};

/// Tells numbers from descriptors, whose list link shares the word. In the table: in use.
const MARK: u32 = 1 << 31;

/// The number of an area that came from the extents: never lazy.
pub const CLEAN: u32 = MARK;

/// Places looked at for a new number.
const PROBES: u32 = 16;

/// The numbers of all lazy magazines.
pub struct Batches {
    /// A place keeps the last number that it gave out; without [`MARK`], it is not in use.
    places: Table<AtomicU32>,
}

impl Batches {
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

    /// A number for a magazine that is about to get its first area; `None` where too many are in
    /// use. `cursor` is the caller's own and says where to look.
    pub fn begin(&self, cursor: &mut u32) -> Option<u32> {
        let places = self.places.len() as u32;
        for _ in 0..PROBES.min(places) {
            *cursor = cursor.wrapping_add(1);
            let place = self.places.get((*cursor % places) as usize)?;
            let old = place.load(Relaxed);
            if old & MARK != 0 {
                continue;
            }
            // Neither the first turn, which has `CLEAN`, nor the last, which has `NO_ID`.
            let turn = old / places + 1;
            let turn = if turn < MARK / places - 1 { turn } else { 1 };
            let number = MARK | turn * places | old % places;
            if place
                .compare_exchange(old, number, Relaxed, Relaxed)
                .is_ok()
            {
                return Some(number);
            }
        }
        None
    }

    /// The magazine is clean.
    pub fn end(&self, number: u32) {
        if let Some(place) = self.place(number) {
            // Only the magazine's holder ends a number: no other writes the place meanwhile.
            place.store(number & !MARK, Release);
        }
    }

    /// Whether an area that is not alive waits for a flush, given its link or number
    /// ([`super::Descriptor::next`]): in a list until it is dissolved, in a magazine while that
    /// is lazy.
    pub fn is_lazy(&self, next: u32) -> bool {
        if next & MARK == 0 || next == NO_ID {
            return true;
        }
        self.place(next)
            .is_some_and(|place| place.load(Acquire) == next)
    }

    fn place(&self, number: u32) -> Option<&AtomicU32> {
        let places = self.places.len() as u32;
        self.places.get(number.checked_rem(places)? as usize)
    }
}
