// SPDX-License-Identifier: GPL-2.0

//! Counting without a shared cache line: each CPU counts for itself, the reader adds up.
//!
//! The fast path counts once per operation, under its caller and its size; every total is a sum over
//! callers or sizes, made when somebody reads. The number of operations of a CPU serves as its
//! generation: counters only grow, so if the sum over all CPUs is what it was, nothing has happened
//! on any of them.

use super::{
    callers::{CallerId, CALLERS},
    mem::{Mode, NoMemory, Table},
    sync::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
        Padded,
    },
    GUARD,
};

/// Sizes are counted by power of two: 1, 2, 3 to 4, ... pages.
pub const SIZES: usize = 32;

/// The place of `pages` pages among [`SIZES`].
#[inline]
pub fn size_of(pages: u32) -> usize {
    (u32::BITS - pages.saturating_sub(1).leading_zeros()) as usize % SIZES
}

#[derive(Default)]
struct PerCaller {
    allocs: AtomicU64,
    alloc_gross: AtomicU64,
    frees: AtomicU64,
    free_gross: AtomicU64,
}

struct Cpu {
    operations: AtomicU64,
    /// Areas of each size, allocated minus freed here.
    sizes: [AtomicU64; SIZES],
    callers: Table<PerCaller>,
}

impl Cpu {
    fn new() -> Result<Self, NoMemory> {
        Ok(Self {
            operations: AtomicU64::new(0),
            sizes: ::core::array::from_fn(|_| AtomicU64::new(0)),
            callers: Table::new(CALLERS, Mode::Sleep, |_| PerCaller::default())?,
        })
    }

    /// Counts an operation of this CPU, after everything else that it counts.
    #[inline]
    fn count(&self) {
        let operations = self.operations.load(Relaxed);
        self.operations.store(operations.wrapping_add(1), Release);
    }
}

/// What was counted.
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

impl Totals {
    /// Areas that live.
    pub fn areas(&self) -> u64 {
        self.allocs.wrapping_sub(self.frees)
    }

    /// Their pages, guard pages excluded.
    pub fn pages(&self) -> u64 {
        self.alloc_gross
            .wrapping_sub(self.free_gross)
            .wrapping_sub(self.areas().wrapping_mul(u64::from(GUARD)))
    }

    fn add(&mut self, counted: &PerCaller) {
        // Frees first: an area freed meanwhile counts as living rather than as less than none.
        self.frees = self.frees.wrapping_add(counted.frees.load(Relaxed));
        self.free_gross = self
            .free_gross
            .wrapping_add(counted.free_gross.load(Relaxed));
        self.allocs = self.allocs.wrapping_add(counted.allocs.load(Relaxed));
        self.alloc_gross = self
            .alloc_gross
            .wrapping_add(counted.alloc_gross.load(Relaxed));
    }
}

/// The counters of all CPUs, and those that CPUs share off the fast path.
pub struct Counters {
    cpus: Table<Padded<Cpu>>,
    shared: Padded<Cpu>,
}

/// Adds to a counter that only this CPU writes, with preemption off.
#[inline]
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

impl Counters {
    /// Nothing counted yet. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(cpus: u32) -> Result<Self, NoMemory> {
        Ok(Self {
            cpus: Table::try_new(cpus as usize, Mode::Sleep, |_| Ok(Padded(Cpu::new()?)))?,
            shared: Padded(Cpu::new()?),
        })
    }

    /// Number of CPUs.
    pub fn cpus(&self) -> u32 {
        self.cpus.len() as u32
    }

    /// Counts an allocation of `pages` pages on `cpu`. Only on that CPU, with preemption off and
    /// out of interrupts.
    #[inline]
    pub fn alloc(&self, cpu: u32, caller: CallerId, pages: u32) {
        if let Some(own) = self.cpus.get(cpu as usize) {
            if let Some(counted) = own.callers.get(caller as usize) {
                bump(&counted.allocs, 1);
                bump(&counted.alloc_gross, u64::from(pages + GUARD));
            }
            if let Some(size) = own.sizes.get(size_of(pages)) {
                bump(size, 1);
            }
            own.count();
        }
    }

    /// Counts a free, as [`Self::alloc`].
    #[inline]
    pub fn free(&self, cpu: u32, caller: CallerId, pages: u32) {
        if let Some(own) = self.cpus.get(cpu as usize) {
            if let Some(counted) = own.callers.get(caller as usize) {
                bump(&counted.frees, 1);
                bump(&counted.free_gross, u64::from(pages + GUARD));
            }
            if let Some(size) = own.sizes.get(size_of(pages)) {
                bump(size, 1u64.wrapping_neg());
            }
            own.count();
        }
    }

    /// Counts an allocation anywhere, off the fast path.
    pub fn alloc_shared(&self, caller: CallerId, pages: u32) {
        if let Some(counted) = self.shared.callers.get(caller as usize) {
            counted.allocs.fetch_add(1, Relaxed);
            counted
                .alloc_gross
                .fetch_add(u64::from(pages + GUARD), Relaxed);
        }
        if let Some(size) = self.shared.sizes.get(size_of(pages)) {
            size.fetch_add(1, Relaxed);
        }
        self.shared.operations.fetch_add(1, Release);
    }

    /// Counts a free anywhere, off the fast path.
    pub fn free_shared(&self, caller: CallerId, pages: u32) {
        if let Some(counted) = self.shared.callers.get(caller as usize) {
            counted.frees.fetch_add(1, Relaxed);
            counted
                .free_gross
                .fetch_add(u64::from(pages + GUARD), Relaxed);
        }
        if let Some(size) = self.shared.sizes.get(size_of(pages)) {
            size.fetch_sub(1, Relaxed);
        }
        self.shared.operations.fetch_add(1, Release);
    }

    fn all(&self) -> impl Iterator<Item = &Cpu> {
        self.cpus
            .iter()
            .map(|cpu| &cpu.0)
            .chain(::core::iter::once(&self.shared.0))
    }

    /// Operations counted so far: the generation of all totals.
    pub fn generation(&self) -> u64 {
        self.all()
            .fold(0, |sum, cpu| sum.wrapping_add(cpu.operations.load(Acquire)))
    }

    /// What one caller holds and has done.
    pub fn caller(&self, caller: CallerId) -> Totals {
        let mut totals = Totals::default();
        for cpu in self.all() {
            if let Some(counted) = cpu.callers.get(caller as usize) {
                totals.add(counted);
            }
        }
        totals
    }

    /// What all callers hold and have done.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for cpu in self.all() {
            cpu.callers.iter().for_each(|counted| totals.add(counted));
        }
        totals
    }

    /// Living areas of each size.
    pub fn sizes(&self) -> [u64; SIZES] {
        let mut sizes = [0u64; SIZES];
        for cpu in self.all() {
            for (sum, size) in sizes.iter_mut().zip(&cpu.sizes) {
                *sum = sum.wrapping_add(size.load(Relaxed));
            }
        }
        sizes
    }
}
