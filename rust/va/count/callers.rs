// SPDX-License-Identifier: GPL-2.0

//! The callers: a number for each calling code address, so that the fast path counts per caller with
//! one index instead of a search, and a descriptor keeps four bytes instead of eight.
//!
//! A hash table, read and extended without a lock. When a neighbourhood is full, further callers share the
//! number [`OTHERS`].
//!
//! When code goes, other code may come to its address. So its callers are *retired*: a number keeps its
//! caller for good while that has areas, and the next caller at the address gets another number.
//!
//! A caller may have a mark in its address: it is *unaware*, that is, it asked another allocator, and
//! we answer in its place. Aware and unaware callers at one address have numbers of their own, so that
//! the counters tell which areas we owe to whom.
//!
//! # Invariants
//!
//! - A number that is retired stays so.
//! - A number is given up only if its caller is gone and none of its areas is left.

use crate::sys::{
    mem::{Mode, NoMemory, Table},
    sync::{
        AtomicBool, AtomicUsize,
        Ordering::{AcqRel, Acquire, Release},
    },
};

/// Number of a caller.
pub type CallerId = u32;

/// All callers that found no place of their own.
pub const OTHERS: CallerId = 0;

/// How many numbers exist. Under loom, few: each costs a model time.
pub const CALLERS: usize = if cfg!(loom) { 4 } else { 1024 };

const PROBES: usize = 32;

/// A place that no caller has had yet.
const NEVER: usize = 0;
/// A place whose caller gave its number up. A search goes on behind it.
const GIVEN_UP: usize = usize::MAX;

/// The two highest bits of a code address are the same; those of an unaware caller differ.
const TOP_BIT: u32 = usize::BITS - 1;
const MARK: usize = 1 << (TOP_BIT - 1);

/// The same caller, unaware. Outside of tests, C makes it.
#[allow(dead_code, reason = "only tests on the host call it when it runs")]
pub const fn unaware(address: usize) -> usize {
    code(address) ^ MARK
}

/// Whether an address has the mark of an unaware caller.
pub const fn is_unaware(address: usize) -> bool {
    (address ^ (address << 1)) >> TOP_BIT != 0
}

/// The code address without the mark.
pub const fn code(address: usize) -> usize {
    if is_unaware(address) {
        address ^ MARK
    } else {
        address
    }
}

struct Place {
    /// The caller's code address, perhaps with the mark, or one of the two words above.
    address: AtomicUsize,
    /// The code at the address is gone.
    retired: AtomicBool,
}

/// All callers seen so far.
pub struct Callers {
    places: Table<Place>,
}

impl Callers {
    /// No caller yet. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new() -> Result<Self, NoMemory> {
        Ok(Self {
            places: Table::new(CALLERS, Mode::Sleep, |_| Place {
                address: AtomicUsize::new(NEVER),
                retired: AtomicBool::new(false),
            })?,
        })
    }

    /// The places where the caller at `address` may be, in the order of the search.
    fn probes(&self, address: usize) -> impl Iterator<Item = (CallerId, &Place)> {
        // Fibonacci hashing; code addresses differ in their low bits most.
        let hash = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        (0..PROBES).filter_map(move |probe| {
            // The first place belongs to OTHERS.
            let number = (hash as usize).wrapping_add(probe) % (CALLERS - 1) + 1;
            Some((number as CallerId, self.places.get(number)?))
        })
    }

    /// The number of the caller at `address`, from now on. Any context.
    pub fn number(&self, address: usize) -> CallerId {
        if address == NEVER || address == GIVEN_UP {
            return OTHERS;
        }
        for (number, place) in self.probes(address) {
            match place.address.load(Acquire) {
                found if found == address && !place.retired.load(Acquire) => return number,
                NEVER => break,
                _ => {}
            }
        }
        for (number, place) in self.probes(address) {
            let mut found = place.address.load(Acquire);
            if found == NEVER || found == GIVEN_UP {
                match place
                    .address
                    .compare_exchange(found, address, AcqRel, Acquire)
                {
                    Ok(_) => return number,
                    Err(now) => found = now,
                }
            }
            if found == address && !place.retired.load(Acquire) {
                return number;
            }
        }
        OTHERS
    }

    /// The address of a caller; 0 for [`OTHERS`], for numbers that nobody has, and for callers that are
    /// gone: other code may be there now.
    pub fn address(&self, id: CallerId) -> usize {
        match self.places.get(id as usize) {
            Some(place) if !place.retired.load(Acquire) => match place.address.load(Acquire) {
                GIVEN_UP => 0,
                address => code(address),
            },
            _ => 0,
        }
    }

    /// Whether the caller of a number is unaware, also if it is gone.
    pub fn is_unaware(&self, id: CallerId) -> bool {
        self.places
            .get(id as usize)
            .is_some_and(|place| match place.address.load(Acquire) {
                NEVER | GIVEN_UP => false,
                address => is_unaware(address),
            })
    }

    /// Whether somebody has the number, or had it and is gone.
    pub fn is_taken(&self, id: CallerId) -> bool {
        self.places
            .get(id as usize)
            .is_some_and(|place| !matches!(place.address.load(Acquire), NEVER | GIVEN_UP))
    }

    /// Retires a number: its caller is gone, and keeps it. Nobody calls from there any more.
    pub fn retire(&self, id: CallerId) {
        if let Some(place) = self.places.get(id as usize) {
            place.retired.store(true, Release);
        }
    }

    /// Gives up a number whose caller is gone, and has no area and no counts: another one may have it.
    pub fn give_up(&self, id: CallerId) {
        if let Some(place) = self.places.get(id as usize) {
            place.address.store(GIVEN_UP, Release);
        }
    }
}
