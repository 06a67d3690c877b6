// SPDX-License-Identifier: GPL-2.0

//! Clean magazines that no CPU has: in the depot for everybody, or on the way home.
//!
//! After its flush a magazine goes into the *depot* as it is, until some CPU swaps its empty one for
//! it. An area that was freed on another CPU than it was allocated on travels in the freeing CPU's
//! magazine to the depot, from which the allocating CPU refills: nothing piles up on one side. A mixed
//! magazine goes *home*, to the CPU that filled it.
//!
//! # Invariants
//!
//! - A magazine in a bin is [`Clean`], of its bin's class, not empty, and not mixed.

use crate::{
    sys::{
        broken,
        mem::{boxed, Box, Mode, NoMemory, Table},
        sync::{AtomicU64, Lock, LockClass, LockGuard, Ordering::Relaxed, Padded},
    },
    va::{
        area::class::{Class, Lane, CLASSES, NO_PLACE},
        stock::magazine::{Chain, Clean, CleanId, Empty, Home},
    },
};

/// What [`Depot::take`] found.
pub enum Taken {
    /// A magazine of the class.
    Magazine(Clean),
    /// One area, and its magazine if that is empty now.
    One(CleanId, Option<Empty>),
}

/// A magazine in the depot with fewer areas is not worth moving.
const FEW: u16 = 8;

/// Magazines of a class among which a CPU looks for one that it filled itself: the descriptors of those
/// areas are in its cache.
const NEAR: usize = 8;

const BINS: usize = 64;
const SPARES_MAX: u32 = 256;

/// Most spares too many that [`Depot::put_spares`] takes out at once, under the lock.
const TRIM: u32 = 8;

/// Pages that a CPU is promised at once, in a large arena.
const PROMISE: u32 = 1024;

struct Bin {
    heads: Table<Chain<Clean>>,
}

/// A bin with its lock.
struct Shelf {
    bin: Lock<Bin>,
    /// A bit for each chain that has a magazine: a CPU that finds none needs no lock.
    filled: AtomicU64,
}

const _: () = assert!(CLASSES % BINS == 0 && CLASSES / BINS <= u64::BITS as usize);

impl Shelf {
    fn has(&self, place: usize) -> bool {
        self.filled.load(Relaxed) & 1 << place != 0
    }

    fn open(&self, place: usize) -> Open<'_> {
        Open {
            bin: self.bin.lock(),
            filled: &self.filled,
            place,
        }
    }
}

/// The lock of a bin, to change one of its chains.
struct Open<'a> {
    bin: LockGuard<'a, Bin>,
    filled: &'a AtomicU64,
    place: usize,
}

impl Open<'_> {
    fn chain(&mut self) -> Option<&mut Chain<Clean>> {
        let chain = self.bin.heads.get_mut(self.place);
        if chain.is_none() {
            broken(NO_PLACE);
        }
        chain
    }

    /// Goes to the first chain that is `wanted`. False if there is none.
    fn find(&mut self, mut wanted: impl FnMut(usize, &Chain<Clean>) -> bool) -> bool {
        let found = (0..)
            .zip(self.bin.heads.iter())
            .find(|&(i, chain)| wanted(i, chain));
        self.place = found.map_or(self.place, |(i, _)| i);
        found.is_some()
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let bit = 1 << self.place;
        let some = self.chain().is_some_and(|chain| !chain.is_empty());
        // Under the lock: nobody else writes it.
        let before = self.filled.load(Relaxed);
        let now = if some { before | bit } else { before & !bit };
        if now != before {
            self.filled.store(now, Relaxed);
        }
    }
}

/// Clean magazines that belong to no CPU, and a few empty ones.
pub struct Depot {
    bins: Table<Padded<Shelf>>,
    homes: Table<Padded<Home>>,
    spares: Box<Padded<Lock<Chain<Empty>>>>,
    /// Bounds the areas of a magazine: pages.
    magazine_span: u32,
    span: AtomicU64,
    /// Bound of `span`, and of `span` and `promised` together when more is promised.
    span_max: u64,
    /// Pages promised to CPUs for clean magazines: see [`Depot::promise`].
    promised: AtomicU64,
    /// The bin that [`Depot::take_other`] looks into next.
    next: AtomicU64,
    /// Acquisitions of its locks.
    pub locks: AtomicU64,
}

impl Depot {
    /// An empty depot for `cpus` CPUs and an arena of `pages` pages, whose magazines take at most
    /// `magazine_span` pages each. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(cpus: u32, magazine_span: u32, pages: u32) -> Result<Self, NoMemory> {
        Ok(Self {
            bins: Table::try_new(BINS, Mode::Sleep, |_| {
                let heads = Table::new(CLASSES / BINS, Mode::Sleep, |_| Chain::new())?;
                Ok(Padded(Shelf {
                    bin: Lock::new(Bin { heads }, LockClass::Depot)?,
                    filled: AtomicU64::new(0),
                }))
            })?,
            homes: Table::new(cpus as usize, Mode::Sleep, |_| Padded(Home::new()))?,
            spares: boxed(
                Padded(Lock::new(Chain::new(), LockClass::Depot)?),
                Mode::Sleep,
            )?,
            magazine_span,
            span: AtomicU64::new(0),
            span_max: u64::from(pages / 4),
            promised: AtomicU64::new(0),
            next: AtomicU64::new(0),
            locks: AtomicU64::new(0),
        })
    }

    /// Where magazines of `class` are: the shelf, and the place of their chain.
    fn shelf(&self, class: Class) -> Option<(&Shelf, usize)> {
        let shelf = self.bins.get(class.index() % BINS);
        if shelf.is_none() {
            broken(NO_PLACE);
        }
        Some((shelf?, class.index() / BINS))
    }

    fn open(&self, class: Class) -> Option<Open<'_>> {
        let (shelf, place) = self.shelf(class)?;
        self.locks.fetch_add(1, Relaxed);
        Some(shelf.open(place))
    }

    /// Takes a clean magazine of `class`, if possible one that `cpu` filled. If the first one holds only
    /// a few areas, takes one of them.
    pub fn take(&self, class: Class, cpu: u32) -> Option<Taken> {
        let (shelf, place) = self.shelf(class)?;
        if !shelf.has(place) {
            return None;
        }
        let mut open = self.open(class)?;
        let chain = open.chain()?;
        let taken = if chain.first_len()? < FEW {
            let area = chain.pop_one(class)?;
            let empty = chain.first_len() == Some(0);
            let emptied = if empty { chain.pop() } else { None };
            Taken::One(
                area,
                emptied.and_then(|magazine| magazine.into_empty().ok()),
            )
        } else {
            Taken::Magazine(chain.pop_near(cpu as u16, NEAR)?)
        };
        drop(open);
        let span = match &taken {
            Taken::One(..) => class.span(),
            Taken::Magazine(magazine) => magazine.span(),
        };
        self.span.fetch_sub(u64::from(span), Relaxed);
        Some(taken)
    }

    /// Puts one clean area of `class` in. If that needs another magazine, uses `spare`.
    ///
    /// # Errors
    ///
    /// The area, if there is no spare one.
    pub fn put_one(
        &self,
        class: Class,
        area: CleanId,
        spare: &mut Option<Empty>,
    ) -> Result<(), CleanId> {
        let rounds = class.rounds(self.magazine_span);
        // First, as in `put`: nobody may subtract what is not added yet.
        let span = u64::from(class.span());
        self.span.fetch_add(span, Relaxed);
        let put = self.put_into_bin(class, area, rounds, spare);
        if put.is_err() {
            self.span.fetch_sub(span, Relaxed);
        }
        put
    }

    fn put_into_bin(
        &self,
        class: Class,
        area: CleanId,
        rounds: u16,
        spare: &mut Option<Empty>,
    ) -> Result<(), CleanId> {
        let Some(mut open) = self.open(class) else {
            return Err(area);
        };
        let Some(chain) = open.chain() else {
            return Err(area);
        };
        let Err(area) = chain.push_one(area, class, rounds) else {
            return Ok(());
        };
        let Some(empty) = spare.take() else {
            return Err(area);
        };
        let mut magazine = empty.stock(class);
        magazine.push(area);
        chain.push(magazine);
        Ok(())
    }

    /// Takes out magazines of one class that has any, at most `most`, looking from bin `*bin` on.
    pub fn take_any(&self, bin: &mut usize, most: usize) -> Option<Chain<Clean>> {
        while self.span() > 0 {
            let shelf = self.bins.get(*bin)?;
            self.locks.fetch_add(1, Relaxed);
            let mut open = shelf.open(0);
            if open.find(|_, chain| !chain.is_empty()) {
                let taken = open.chain()?.take_first(most);
                self.span.fetch_sub(taken.span(), Relaxed);
                return Some(taken);
            }
            *bin += 1;
        }
        None
    }

    /// Takes out a magazine of another class than that of `lane`, from each bin in turn.
    pub fn take_other(&self, lane: Lane) -> Option<Clean> {
        let own = match lane {
            Lane::Own(class) => class.index(),
            Lane::Mixed => CLASSES,
        };
        for _ in 0..BINS {
            let at = self.next.fetch_add(1, Relaxed) as usize % BINS;
            let shelf = self.bins.get(at)?;
            if shelf.filled.load(Relaxed) == 0 {
                continue;
            }
            self.locks.fetch_add(1, Relaxed);
            let mut open = shelf.open(0);
            if open.find(|i, chain| i * BINS + at != own && !chain.is_empty()) {
                let other = open.chain()?.pop()?;
                drop(open);
                self.span.fetch_sub(u64::from(other.span()), Relaxed);
                return Some(other);
            }
        }
        None
    }

    /// Puts clean magazines of `class` in, none of which is empty. Where the magazine on top is not full,
    /// its areas move over as far as they fit, so that the depot does not fill with half-full ones.
    /// Returns those that became empty.
    pub fn put(&self, class: Class, mut magazines: Chain<Clean>) -> Chain<Empty> {
        let mut emptied = Chain::new();
        let rounds = class.rounds(self.magazine_span);
        let span = magazines.span();
        self.span.fetch_add(span, Relaxed);
        let Some(mut open) = self.open(class) else {
            return emptied;
        };
        let Some(chain) = open.chain() else {
            return emptied;
        };
        while let Some(mut magazine) = magazines.pop() {
            if let Some(mut top) = chain.pop() {
                if top.len() < rounds {
                    while magazine.len() < rounds {
                        match top.pop() {
                            Some(area) => magazine.push(area),
                            None => break,
                        }
                    }
                }
                match top.into_empty() {
                    Ok(empty) => emptied.push(empty),
                    Err(top) => chain.push(top),
                }
            }
            chain.push(magazine);
        }
        emptied
    }

    /// Sends a clean mixed magazine to the CPU that filled it.
    ///
    /// # Errors
    ///
    /// The magazine, if enough wait for that CPU.
    pub fn send_home(&self, magazine: Clean) -> Result<(), Clean> {
        let Some(home) = self.homes.get(usize::from(magazine.home())) else {
            broken(c"a magazine was filled by a CPU that there is not");
            return Err(magazine);
        };
        home.put(magazine)
    }

    /// Takes a magazine that came home to CPU `cpu`.
    pub fn come_home(&self, cpu: u32) -> Option<Clean> {
        self.homes.get(cpu as usize)?.take()
    }

    /// Takes out all magazines that wait for CPU `cpu`.
    pub fn take_home(&self, cpu: u32) -> Chain<Clean> {
        let mut chain = Chain::new();
        while let Some(magazine) = self.come_home(cpu) {
            chain.push(magazine);
        }
        chain
    }

    /// Number of CPUs for which magazines may wait.
    pub fn homes(&self) -> u32 {
        self.homes.len() as u32
    }

    /// Takes a spare, if there is one.
    pub fn take_spare(&self) -> Option<Empty> {
        self.locks.fetch_add(1, Relaxed);
        self.spares.lock().pop()
    }

    /// Keeps an empty magazine, also if it is too many: for a caller that must not free memory.
    /// [`Self::put_spares`] takes it out again.
    pub fn put_spare(&self, empty: Empty) {
        self.locks.fetch_add(1, Relaxed);
        self.spares.lock().push(empty);
    }

    /// Keeps empty magazines. Returns those that are too many.
    pub fn put_spares(&self, mut empty: Chain<Empty>) -> Chain<Empty> {
        if empty.is_empty() {
            return empty;
        }
        self.locks.fetch_add(1, Relaxed);
        let mut spares = self.spares.lock();
        while spares.len() < SPARES_MAX {
            match empty.pop() {
                Some(one) => spares.push(one),
                None => return empty,
            }
        }
        for _ in 0..TRIM.min(spares.len() - SPARES_MAX) {
            if let Some(one) = spares.pop() {
                empty.push(one);
            }
        }
        empty
    }

    /// Takes out all empty magazines.
    pub fn take_spares(&self) -> Chain<Empty> {
        self.spares.lock().take()
    }

    /// Pages that the areas in the bins keep from others.
    pub fn span(&self) -> u64 {
        self.span.load(Relaxed)
    }

    /// Whether the bins can take `coming` more pages.
    pub fn has_room(&self, coming: u64) -> bool {
        self.span().saturating_add(coming) <= self.span_max
    }

    /// Promises a CPU room for clean magazines of `pages` pages, or of somewhat more, beyond its share: what all CPUs were
    /// promised and what is in the bins has one bound, so that a CPU has what it needs as long as others do not.
    /// Returns the pages that it may have more; 0 if that would be beyond the bound.
    pub fn promise(&self, pages: u32) -> u32 {
        let some = u64::from(PROMISE)
            .min(self.span_max / 64)
            .max(u64::from(pages));
        let promised = self.promised.fetch_add(some, Relaxed).wrapping_add(some);
        if promised.saturating_add(self.span()) > self.span_max {
            self.promised.fetch_sub(some, Relaxed);
            return 0;
        }
        some as u32
    }

    /// Takes back what was promised for `pages` pages.
    pub fn take_back(&self, pages: u32) {
        self.promised.fetch_sub(u64::from(pages), Relaxed);
    }

    /// Pages promised to all CPUs together.
    #[allow(dead_code, reason = "only tests on the host call it")]
    pub fn promised(&self) -> u64 {
        self.promised.load(Relaxed)
    }
}
