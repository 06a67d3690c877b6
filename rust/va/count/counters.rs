// SPDX-License-Identifier: GPL-2.0

//! Counting without a shared cache line: each CPU counts for itself, the reader adds up.
//!
//! The fast path counts once per operation, under its caller and its size; every total is a sum over
//! callers or sizes, made by a reader. The number of operations, a sum over sizes, serves as the generation: it
//! only grows, so if it is the same as before, no CPU has done anything. That of frees tells whether anything
//! has become lazy.

use crate::{
    sys::{
        mem::{boxed, large_array, shared, LargeBox, Mode, NoMemory, Shared, Table},
        sync::{
            AtomicU64, OnceBox,
            Ordering::{Acquire, Relaxed, Release},
            Padded,
        },
    },
    va::{
        count::callers::{CallerId, CALLERS},
        space::range::{size_of, Size, SIZES},
        GUARD,
    },
};

/// How often a reader reads again because a CPU has counted meanwhile.
const TRIES: usize = 4;

#[derive(Default)]
struct PerCaller {
    allocs: AtomicU64,
    alloc_gross: AtomicU64,
    frees: AtomicU64,
    free_gross: AtomicU64,
}

impl PerCaller {
    /// An allocation adds pages before areas, a free adds areas before pages. This reads the other way
    /// round, so that a half-counted operation never makes a difference too small.
    fn read(&self) -> Totals {
        let free_gross = self.free_gross.load(Acquire);
        let frees = self.frees.load(Acquire);
        let allocs = self.allocs.load(Acquire);
        let alloc_gross = self.alloc_gross.load(Acquire);
        Totals {
            allocs,
            alloc_gross,
            frees,
            free_gross,
        }
    }
}

impl PerCaller {
    fn clear(&self) {
        for word in [
            &self.frees,
            &self.free_gross,
            &self.allocs,
            &self.alloc_gross,
        ] {
            word.store(0, Release);
        }
    }
}

/// Places of the sizes of areas that have a class, which alone are counted per CPU.
pub const PLACES: usize = 16;

/// The counters of one CPU; or those that CPUs share, with all sizes.
pub struct Cpu<const N: usize = PLACES> {
    /// Areas of each size that were allocated here.
    came: [AtomicU64; N],
    /// The same of those freed.
    went: [AtomicU64; N],
    callers: LargeBox<[PerCaller; CALLERS]>,
}

impl<const N: usize> Cpu<N> {
    fn new(mode: Mode) -> Result<Self, NoMemory> {
        Ok(Self {
            came: core::array::from_fn(|_| AtomicU64::new(0)),
            went: core::array::from_fn(|_| AtomicU64::new(0)),
            callers: large_array(mode, |_| PerCaller::default())?,
        })
    }

    fn counted(&self) -> Counted<'_> {
        Counted {
            came: &self.came,
            went: &self.went,
            callers: &self.callers,
        }
    }
}

/// The counters that a reader adds up: those of one CPU, or the shared ones.
struct Counted<'a> {
    came: &'a [AtomicU64],
    went: &'a [AtomicU64],
    callers: &'a [PerCaller; CALLERS],
}

impl Cpu {
    /// Counts an allocation. Only on that CPU, with preemption off and out of interrupts.
    #[inline(always)]
    pub fn alloc(&self, caller: CallerId, size: Size) {
        // The remainder tells the compiler that there is such a number.
        if let Some(counted) = self.callers.get(caller as usize % CALLERS) {
            bump(&counted.alloc_gross, size.gross.into());
            bump(&counted.allocs, 1);
        }
        // The operation is counted after its other counters.
        if let Some(size) = self.came.get(usize::from(size.place) % PLACES) {
            bump(size, 1);
        }
    }

    /// Counts a free, as [`Self::alloc`].
    #[inline(always)]
    pub fn free(&self, caller: CallerId, size: Size) {
        if let Some(counted) = self.callers.get(caller as usize % CALLERS) {
            bump(&counted.frees, 1);
            bump(&counted.free_gross, size.gross.into());
        }
        if let Some(size) = self.went.get(usize::from(size.place) % PLACES) {
            bump(size, 1);
        }
    }
}

/// Sums of counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Areas allocated.
    pub allocs: u64,
    /// Their pages, guard pages included.
    pub alloc_gross: u64,
    /// Areas freed.
    pub frees: u64,
    /// Their pages, guard pages included.
    pub free_gross: u64,
}

/// What came and has not gone. If an area came on one CPU and went on another while a reader added the
/// counters up, the reader may have seen only that it went: then 0.
fn difference(came: u64, went: u64) -> u64 {
    u64::try_from(came.wrapping_sub(went) as i64).unwrap_or(0)
}

impl Totals {
    /// Areas that live.
    pub fn areas(&self) -> u64 {
        difference(self.allocs, self.frees)
    }

    /// Their pages, guard pages included.
    pub fn gross(&self) -> u64 {
        difference(self.alloc_gross, self.free_gross)
    }

    /// Their pages, guard pages excluded.
    pub fn pages(&self) -> u64 {
        self.gross()
            .saturating_sub(self.areas().saturating_mul(u64::from(GUARD)))
    }

    /// Adds the totals of another caller.
    pub fn add(&mut self, other: &Self) {
        self.allocs = self.allocs.wrapping_add(other.allocs);
        self.alloc_gross = self.alloc_gross.wrapping_add(other.alloc_gross);
        self.frees = self.frees.wrapping_add(other.frees);
        self.free_gross = self.free_gross.wrapping_add(other.free_gross);
    }
}

/// The counters of all CPUs, and those that CPUs share off the fast path.
pub struct Counters {
    /// Of those that have counted.
    cpus: Table<OnceBox<Shared<Padded<Cpu>>>>,
    shared: Shared<Padded<Cpu<SIZES>>>,
}

#[inline(always)]
fn gross(pages: u32) -> u64 {
    u64::from(pages) + u64::from(GUARD)
}

/// Adds to a counter that only this CPU writes, with preemption off, after all that it added before.
#[inline(always)]
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Release);
}

fn sum(counters: &[AtomicU64]) -> u64 {
    counters
        .iter()
        .fold(0, |sum, counter| sum.wrapping_add(counter.load(Acquire)))
}

impl Counters {
    /// Nothing counted yet. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(cpus: u32) -> Result<Self, NoMemory> {
        Ok(Self {
            cpus: Table::new(cpus as usize, Mode::Sleep, |_| OnceBox::new())?,
            shared: shared(Padded(Cpu::new(Mode::Sleep)?), Mode::Sleep)?,
        })
    }

    /// Number of CPUs.
    pub fn cpus(&self) -> u32 {
        self.cpus.len() as u32
    }

    /// The counters of `cpu`, for the code that runs there.
    ///
    /// # Errors
    ///
    /// [`NoMemory`], also if there is no such CPU.
    pub fn of(&self, cpu: u32, mode: Mode) -> Result<Shared<Padded<Cpu>>, NoMemory> {
        let place = self.cpus.get(cpu as usize).ok_or(NoMemory)?;
        if place.get().is_none() {
            let made = shared(Padded(Cpu::new(mode)?), mode)?;
            // If another task was faster, its are the ones.
            drop(place.set(boxed(made, mode)?));
        }
        place.get().cloned().ok_or(NoMemory)
    }

    /// Counts an allocation anywhere, off the fast path.
    pub fn alloc_shared(&self, caller: CallerId, pages: u32) {
        if let Some(counted) = self.shared.callers.get(caller as usize) {
            let gross = gross(pages);
            counted.alloc_gross.fetch_add(gross, Release);
            counted.allocs.fetch_add(1, Release);
        }
        if let Some(size) = self.shared.came.get(size_of(pages)) {
            size.fetch_add(1, Release);
        }
    }

    /// Counts a free anywhere, off the fast path.
    pub fn free_shared(&self, caller: CallerId, pages: u32) {
        if let Some(counted) = self.shared.callers.get(caller as usize) {
            let gross = gross(pages);
            counted.frees.fetch_add(1, Release);
            counted.free_gross.fetch_add(gross, Release);
        }
        if let Some(size) = self.shared.went.get(size_of(pages)) {
            size.fetch_add(1, Release);
        }
    }

    fn all(&self) -> impl Iterator<Item = Counted<'_>> {
        self.cpus
            .iter()
            .filter_map(OnceBox::get)
            .map(|cpu| cpu.counted())
            .chain(core::iter::once(self.shared.counted()))
    }

    /// Operations counted so far: the generation of all totals.
    pub fn generation(&self) -> u64 {
        self.all()
            .fold(self.frees(), |all, cpu| all.wrapping_add(sum(cpu.came)))
    }

    /// Frees counted so far.
    pub fn frees(&self) -> u64 {
        self.all()
            .fold(0, |all, cpu| all.wrapping_add(sum(cpu.went)))
    }

    /// The totals of one caller: of one moment if no CPU counts for it meanwhile, else of the shortest span
    /// that a few tries allow.
    pub fn caller(&self, caller: CallerId) -> Totals {
        let mut totals = self.sum_of(caller);
        for _ in 1..TRIES {
            // Counters only grow: if two sums are equal, so are all of their parts, and they were so between the two.
            let again = self.sum_of(caller);
            if again == totals {
                break;
            }
            totals = again;
        }
        totals
    }

    fn sum_of(&self, caller: CallerId) -> Totals {
        let mut totals = Totals::default();
        for cpu in self.all() {
            if let Some(counted) = cpu.callers.get(caller as usize) {
                totals.add(&counted.read());
            }
        }
        totals
    }

    /// Moves what `caller` has counted to `heir`, if no area of it lives: false if one does. Nobody counts
    /// for `caller` any more. A reader may see the numbers twice, or not at all, meanwhile.
    pub fn bequeath(&self, caller: CallerId, heir: CallerId) -> bool {
        let totals = self.caller(caller);
        if totals.allocs != totals.frees || totals.alloc_gross != totals.free_gross {
            return false;
        }
        if let Some(counted) = self.shared.callers.get(heir as usize) {
            counted.alloc_gross.fetch_add(totals.alloc_gross, Release);
            counted.allocs.fetch_add(totals.allocs, Release);
            counted.frees.fetch_add(totals.frees, Release);
            counted.free_gross.fetch_add(totals.free_gross, Release);
        }
        for counted in self
            .all()
            .filter_map(|cpu| cpu.callers.get(caller as usize))
        {
            counted.clear();
        }
        true
    }

    /// Living areas of each size.
    pub fn sizes(&self) -> [u64; SIZES] {
        let mut sizes = [0u64; SIZES];
        for cpu in self.all() {
            for ((sum, came), went) in sizes.iter_mut().zip(cpu.came).zip(cpu.went) {
                let left = came.load(Relaxed).wrapping_sub(went.load(Relaxed));
                *sum = sum.wrapping_add(left);
            }
        }
        sizes.map(|sum| difference(sum, 0))
    }
}
