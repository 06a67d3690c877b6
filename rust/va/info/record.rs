// SPDX-License-Identifier: GPL-2.0

//! Words that one reader keeps for the next: the freshest ones stay, and a reader takes no lock.
//!
//! # Invariants
//!
//! - The words and their label change together, behind a sequence counter.
//! - Only fresher words replace them, by signed difference, so that wrapping is harmless. A slower
//!   reader never overwrites a fresher record.
//! - Until the first store there is no record, so the first read is a miss.

use crate::sys::{
    mem::{Mode, NoMemory, Table},
    seqcount::SeqCount,
    sync::{AtomicU64, Lock, LockClass, Ordering::Relaxed},
};

/// The generations of both parts of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generations {
    /// Of [`super::cache::Areas`].
    pub areas: u64,
    /// Of [`crate::va::space::shards::Space`].
    pub space: u64,
}

impl Generations {
    /// Whether `self` is later than `other`. Wrapping; each part only ever moves on.
    pub fn fresher_than(self, other: Self) -> bool {
        let areas = self.areas.wrapping_sub(other.areas) as i64;
        let space = self.space.wrapping_sub(other.space) as i64;
        areas >= 0 && space >= 0 && (areas > 0 || space > 0)
    }
}

/// The words of a record, one after the other; 0 after the last one.
pub struct Words<'a>(core::slice::Iter<'a, AtomicU64>);

impl Words<'_> {
    /// The next word.
    #[inline(always)]
    pub fn take(&mut self) -> u64 {
        self.0.next().map_or(0, |word| word.load(Relaxed))
    }

    /// Those that were not taken yet.
    #[inline(always)]
    pub fn rest(&self) -> &[AtomicU64] {
        self.0.as_slice()
    }
}

/// Words, and their generations. What a reader needs to judge freshness is in one cache line.
#[repr(C, align(128))]
pub struct Record {
    changes: SeqCount,
    areas: AtomicU64,
    space: AtomicU64,
    words: Table<AtomicU64>,
    /// Held to store; keeps the label.
    storing: Lock<Option<Generations>>,
}

impl Record {
    /// Room for `words` words, none of them stored. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(words: usize) -> Result<Self, NoMemory> {
        Ok(Self {
            changes: SeqCount::new(),
            areas: AtomicU64::new(0),
            space: AtomicU64::new(0),
            words: Table::new(words, Mode::Sleep, |_| AtomicU64::new(0))?,
            storing: Lock::new(None, LockClass::Info)?,
        })
    }

    /// What `look` makes of the words and their label. `None` if there are none, or if another reader
    /// has stored meanwhile: until then `look` may see a mixture. Any context; takes no lock and writes
    /// nothing.
    #[inline]
    pub fn load<R>(&self, look: impl FnOnce(Generations, &mut Words<'_>) -> R) -> Option<R> {
        if self.changes.count() == 0 {
            return None;
        }
        self.changes.read(|| {
            let label = Generations {
                areas: self.areas.load(Relaxed),
                space: self.space.load(Relaxed),
            };
            look(label, &mut Words(self.words.iter()))
        })
    }

    /// Stores `words` if they are fresher than the kept ones. Returns whether they were. The caller read
    /// the label before it gathered the words.
    pub fn store(&self, label: Generations, words: impl Iterator<Item = u64>) -> bool {
        // A reader that is storing right now is about as fresh: do not wait for it.
        let Some(mut stored) = self.storing.try_lock() else {
            return false;
        };
        if stored.is_some_and(|old| !label.fresher_than(old)) {
            return false;
        }
        self.changes.write(|| {
            self.areas.store(label.areas, Relaxed);
            self.space.store(label.space, Relaxed);
            for (word, value) in self.words.iter().zip(words) {
                word.store(value, Relaxed);
            }
        });
        *stored = Some(label);
        true
    }
}
