// SPDX-License-Identifier: GPL-2.0

//! The callers: a number for each calling code address, so that the fast path counts per caller with
//! one index instead of a search, and a descriptor keeps four bytes instead of eight.
//!
//! A hash table that only ever grows, read and extended without a lock. When a neighbourhood is
//! full, further callers share the number [`OTHERS`].

use crate::sys::{
    mem::{Mode, NoMemory, Table},
    sync::{
        AtomicUsize,
        Ordering::{AcqRel, Acquire},
    },
};

/// Number of a caller.
pub type CallerId = u32;

/// All callers that found no place of their own.
pub const OTHERS: CallerId = 0;

/// How many numbers exist. Under loom, few: each costs a model time.
pub const CALLERS: usize = if cfg!(loom) { 4 } else { 1024 };

const PROBES: usize = 32;

/// All callers seen so far.
pub struct Callers {
    addresses: Table<AtomicUsize>,
}

impl Callers {
    /// No caller yet. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new() -> Result<Self, NoMemory> {
        Ok(Self {
            addresses: Table::new(CALLERS, Mode::Sleep, |_| AtomicUsize::new(0))?,
        })
    }

    /// The number of the caller at `address`, from now on. Any context.
    pub fn number(&self, address: usize) -> CallerId {
        // Fibonacci hashing; code addresses differ in their low bits most.
        let hash = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        for probe in 0..PROBES {
            // The first place belongs to OTHERS.
            let place = (hash as usize).wrapping_add(probe) % (CALLERS - 1) + 1;
            let Some(slot) = self.addresses.get(place) else {
                break;
            };
            let found = match slot.load(Acquire) {
                0 => slot
                    .compare_exchange(0, address, AcqRel, Acquire)
                    .unwrap_or_else(|now| now),
                now => now,
            };
            // 0: the place was free and is now ours.
            if found == address || found == 0 {
                return place as CallerId;
            }
        }
        OTHERS
    }

    /// The address of a caller; 0 for [`OTHERS`] and for numbers that nobody has.
    pub fn address(&self, id: CallerId) -> usize {
        self.addresses
            .get(id as usize)
            .map_or(0, |slot| slot.load(Acquire))
    }
}
