// SPDX-License-Identifier: GPL-2.0

//! Per-CPU stocks of areas, per exact page count and alignment.
//!
//! Bonwick's magazines over vmem ("Magazines and Vmem", USENIX 2001), with one turn: what is freed
//! is not clean until the TLB is flushed. So a CPU has two magazines for each class: it allocates
//! from the *clean* one and frees into the *lazy* one. A full lazy magazine is sealed with the flush
//! epoch and handed on as a whole; after the flush it lies in the *depot* as a full clean magazine,
//! untouched, until some CPU swaps its empty one for it. Nothing is done per area between free and
//! allocation; areas keep their descriptor and their index words on the way.
//!
//! A class that is rarely used would fill no magazine of its own, and hand it on with an area or two
//! in it each time. Such areas share the CPU's *mixed* lazy magazine. After the flush that comes back
//! to the CPU, which keeps one area of each class by itself; what it has already is sorted into the
//! depot, one by one, and the depot gives it out one by one.
//!
//! Freed on another CPU than allocated, an area simply travels in the freeing CPU's magazine to the
//! depot, from which the allocating CPU refills: nothing piles up on one side.
//!
//! # Invariants
//!
//! - Areas in a clean magazine, or in the depot, were flushed after their PTEs were cleared.
//! - All areas of a magazine are of its class, unless it is mixed. A magazine in the depot is not
//!   empty, and not mixed.

use crate::{
    sys::{
        mem::{boxed, large_array, Box, LargeBox, Mode, NoMemory, Shared, Table},
        sync::{AtomicU64, Lock, LockClass, Ordering::Relaxed, Padded},
    },
    va::{
        area::{link::Batches, Descriptor, Id, NO_CLASS, NO_ID},
        count::{
            callers::{CallerId, Callers, OTHERS},
            counters::Cpu,
        },
        GUARD,
    },
};

/// Largest area, in pages, that magazines keep at each of their alignments.
const ALIGNED_MAX: u32 = 256;
/// Largest area, in pages, that they keep where no alignment is asked for.
const MAX_PAGES: u32 = 1024;
/// Alignments that magazines keep: 1, 2, ... 512 pages, which is what one page table maps.
const ALIGNMENTS: u32 = 10;
/// Classes of the former; those of larger areas follow.
const ALIGNED: u32 = ALIGNED_MAX * ALIGNMENTS;
/// Number of classes.
pub const CLASSES: usize = (ALIGNED + MAX_PAGES - ALIGNED_MAX) as usize;
/// Areas in a full magazine at most; with its header a magazine is 512 bytes.
pub const ROUNDS: usize = 120;

/// The class of areas of `pages` pages at a multiple of `align` pages (a power of two), or
/// [`NO_CLASS`] where magazines do not keep them.
#[inline(always)]
pub fn class_of(pages: u32, align: u32) -> u16 {
    let exponent = align.trailing_zeros();
    // The last says that `align` is a power of two, without counting its bits.
    if pages.wrapping_sub(1) < ALIGNED_MAX && exponent < ALIGNMENTS && align >> exponent == 1 {
        (exponent * ALIGNED_MAX + (pages - 1)) as u16
    } else if pages > ALIGNED_MAX && pages <= MAX_PAGES && align == 1 {
        (ALIGNED + (pages - ALIGNED_MAX - 1)) as u16
    } else {
        NO_CLASS
    }
}

/// Pages of an area of `class`.
#[inline(always)]
pub fn pages_of(class: u16) -> u32 {
    let class = u32::from(class);
    if class < ALIGNED {
        class % ALIGNED_MAX + 1
    } else {
        class - ALIGNED + ALIGNED_MAX + 1
    }
}

/// Pages that one area of `class` takes, guard page included.
#[inline(always)]
pub fn gross_of(class: u16) -> u32 {
    pages_of(class) + GUARD
}

/// Pages that one area of `class` keeps from others: with the guard page, up to its alignment. What
/// bounds stocks, since a page at a multiple of 1 MiB takes as much of the arena as 256 pages.
#[inline(always)]
pub fn span_of(class: u16) -> u32 {
    let exponent = match u32::from(class) {
        class if class < ALIGNED => class / ALIGNED_MAX,
        _ => 0,
    };
    let below = (1 << exponent) - 1;
    (gross_of(class) + below) & !below
}

/// Areas of `class` that together keep at most `span` pages from others; one at least.
fn fit(span: u32, class: u16) -> u32 {
    // No class has 0 pages, but that is not plain to see.
    span.checked_div(span_of(class)).unwrap_or(1).max(1)
}

/// A stack of areas of one class.
pub struct Magazine {
    next: Option<Box<Magazine>>,
    /// The flush epoch when it was sealed.
    pub stamp: u64,
    /// Its number while it is lazy, see [`Batches`].
    pub batch: u32,
    /// Pages that its areas take, guard pages included, and those that they keep from others, if it
    /// is mixed.
    mixed_gross: u16,
    mixed_span: u16,
    /// Of all its areas; [`NO_CLASS`] if it is mixed.
    class: u16,
    len: u16,
    /// Areas that make it full; set with the class, while a CPU fills it.
    full: u16,
    /// The CPU that filled it.
    home: u16,
    ids: [Id; ROUNDS],
}

impl Magazine {
    /// An empty magazine.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(mode: Mode) -> Result<Box<Self>, NoMemory> {
        boxed(
            Self {
                next: None,
                stamp: 0,
                batch: 0,
                mixed_gross: 0,
                mixed_span: 0,
                class: NO_CLASS,
                len: 0,
                full: 0,
                home: 0,
                ids: [NO_ID; ROUNDS],
            },
            mode,
        )
    }

    /// Takes an area out.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<Id> {
        let len = self.len.checked_sub(1)?;
        let id = *self.ids.get(usize::from(len))?;
        self.len = len;
        Some(id)
    }

    #[inline(always)]
    fn push(&mut self, id: Id) {
        if let Some(slot) = self.ids.get_mut(usize::from(self.len)) {
            *slot = id;
            self.len = self.len.wrapping_add(1);
        }
    }

    /// The class of its areas; [`NO_CLASS`] if it is mixed.
    pub fn class(&self) -> u16 {
        self.class
    }

    /// The CPU that filled it.
    pub fn home(&self) -> u16 {
        self.home
    }

    /// Leaves those areas of a mixed magazine in it that `stays` says.
    pub fn retain(&mut self, mut stays: impl FnMut(Id) -> bool) {
        let all = self.len;
        self.clear();
        for at in 0..usize::from(all) {
            match self.ids.get(at) {
                Some(&id) if stays(id) => self.push(id),
                _ => {}
            }
        }
    }

    /// Takes all areas out of a mixed magazine.
    pub fn clear(&mut self) {
        self.len = 0;
        self.mixed_gross = 0;
        self.mixed_span = 0;
    }

    /// Its areas.
    pub fn ids(&self) -> &[Id] {
        self.ids.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Pages that its areas take, guard pages included.
    pub fn gross(&self) -> u32 {
        if self.class == NO_CLASS {
            u32::from(self.mixed_gross)
        } else {
            u32::from(self.len) * gross_of(self.class)
        }
    }

    /// Pages that its areas keep from others.
    pub fn span(&self) -> u32 {
        if self.class == NO_CLASS {
            u32::from(self.mixed_span)
        } else {
            u32::from(self.len) * span_of(self.class)
        }
    }
}

/// A list of magazines.
#[derive(Default)]
pub struct Chain {
    head: Option<Box<Magazine>>,
    span: u64,
    len: u32,
}

impl Chain {
    /// No magazine.
    pub const fn new() -> Self {
        Self {
            head: None,
            span: 0,
            len: 0,
        }
    }

    /// Puts a magazine in front.
    pub fn push(&mut self, mut magazine: Box<Magazine>) {
        self.span += u64::from(magazine.span());
        self.len += 1;
        magazine.next = self.head.take();
        self.head = Some(magazine);
    }

    /// Takes the first magazine out.
    pub fn pop(&mut self) -> Option<Box<Magazine>> {
        self.pop_behind(0)
    }

    /// Takes the whole list out.
    pub fn take(&mut self) -> Self {
        core::mem::take(self)
    }

    /// Takes out the first magazine that `cpu` filled, if that is among the first few; else the first.
    fn pop_near(&mut self, cpu: u16) -> Option<Box<Magazine>> {
        let before = self
            .iter()
            .take(NEAR)
            .position(|magazine| magazine.home == cpu)
            .unwrap_or(0);
        self.pop_behind(before)
    }

    /// Takes out the magazine that so many others stand before.
    fn pop_behind(&mut self, before: usize) -> Option<Box<Magazine>> {
        let mut link = &mut self.head;
        for _ in 0..before {
            link = &mut link.as_mut()?.next;
        }
        let mut magazine = link.take()?;
        *link = magazine.next.take();
        self.span -= u64::from(magazine.span());
        self.len -= 1;
        Some(magazine)
    }

    /// Puts one area on top of the first magazine, if that holds fewer than `rounds`.
    fn push_one(&mut self, id: Id, rounds: u16) -> bool {
        match &mut self.head {
            Some(top) if top.len < rounds => {
                top.push(id);
                self.span += u64::from(span_of(top.class));
                true
            }
            _ => false,
        }
    }

    /// Takes one area out of the first magazine, which is not empty.
    fn pop_one(&mut self) -> Option<Id> {
        let top = self.head.as_mut()?;
        let id = top.pop()?;
        self.span -= u64::from(span_of(top.class));
        Some(id)
    }

    /// The magazines, first to last.
    pub fn iter(&self) -> impl Iterator<Item = &Magazine> {
        core::iter::successors(self.head.as_deref(), |m| m.next.as_deref())
    }

    /// Pages that all areas in it keep from others.
    pub fn span(&self) -> u64 {
        self.span
    }

    /// Number of magazines.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }
}

impl Drop for Chain {
    // One by one: the derived drop would recurse once per magazine.
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

struct Slot {
    clean: Option<Box<Magazine>>,
    lazy: Option<Box<Magazine>>,
    /// One clean area more, or [`NO_ID`].
    single: Id,
    /// Areas to make the next time that the depot has none.
    grow: u8,
    /// [`span_of`] its class: on the way of each free.
    span: u16,
    /// Areas that were freed into the mixed magazine, up to [`HOT`].
    heat: u8,
}

impl Slot {
    #[inline(always)]
    fn take_single(&mut self) -> Option<Id> {
        let id = core::mem::replace(&mut self.single, NO_ID);
        (id != NO_ID).then_some(id)
    }
}

/// So many areas freed give a class a lazy magazine of its own.
const HOT: u8 = 8;
/// With fewer areas in it when it is handed on, a class loses that again.
const SPARSE: u16 = 4;

type Set = [u64; CLASSES / 64];

fn mark(set: &mut Set, class: u16) {
    if let Some(word) = set.get_mut(usize::from(class) / 64) {
        *word |= 1 << (class % 64);
    }
}

/// Takes the lowest class out of a set.
fn pick(set: &mut Set) -> Option<u16> {
    let (i, word) = set.iter_mut().enumerate().find(|(_, word)| **word != 0)?;
    let bit = word.trailing_zeros();
    *word &= *word - 1;
    Some((i as u32 * 64 + bit) as u16)
}

/// The stock of one CPU. Whoever holds it runs on that CPU alone, or has stopped it from being used.
pub struct Local {
    slots: LargeBox<[Slot; CLASSES]>,
    /// The lazy magazine of classes that have none of their own.
    mixed: Option<Box<Magazine>>,
    /// Classes whose lazy magazine may hold areas.
    lazy_set: Set,
    /// Classes whose clean magazine may hold areas.
    clean_set: Set,
    /// Classes that may have a single area.
    single_set: Set,
    /// Pages that single areas keep from others; so for the next two.
    single_span: u32,
    /// In lazy magazines.
    lazy_span: u32,
    /// In clean magazines when they were put in; only grows until the stock is spilled.
    clean_span: u32,
    /// Bounds the areas of a magazine: pages.
    magazine_span: u32,
    spare: Option<Box<Magazine>>,
    cpu: u16,
    /// Where to look for the next batch number.
    cursor: u32,
    /// The caller seen last, and its number.
    last_caller: (usize, CallerId),
    counters: Shared<Padded<Cpu>>,
}

/// Largest batch of areas made at once, and the pages that it may take.
const GROW_MAX: u32 = 16;
const GROW_SPAN: u32 = 128;

impl Local {
    /// An empty stock of `cpu`, whose magazines take at most `magazine_span` pages each (and one
    /// area at least), and which counts in `counters`. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(
        cpu: u32,
        magazine_span: u32,
        counters: Shared<Padded<Cpu>>,
    ) -> Result<Self, NoMemory> {
        Ok(Self {
            slots: large_array(|class| Slot {
                clean: None,
                lazy: None,
                single: NO_ID,
                span: span_of(class as u16) as u16,
                grow: 1,
                heat: 0,
            })?,
            mixed: None,
            lazy_set: [0; CLASSES / 64],
            clean_set: [0; CLASSES / 64],
            single_set: [0; CLASSES / 64],
            single_span: 0,
            lazy_span: 0,
            clean_span: 0,
            magazine_span,
            spare: None,
            cpu: cpu as u16,
            // Apart from those of other CPUs.
            cursor: cpu.wrapping_shl(12),
            last_caller: (0, OTHERS),
            counters,
        })
    }

    fn rounds(&self, class: u16) -> u16 {
        Depot::rounds(self.magazine_span, class)
    }

    /// Where operations of this CPU are counted.
    #[inline(always)]
    pub fn counters(&self) -> &Cpu {
        &self.counters
    }

    /// The number of the caller at `address`.
    #[inline(always)]
    pub fn caller(&mut self, callers: &Callers, address: usize) -> CallerId {
        if self.last_caller.0 != address {
            self.meet(callers, address);
        }
        self.last_caller.1
    }

    #[cold]
    #[inline(never)]
    fn meet(&mut self, callers: &Callers, address: usize) {
        self.last_caller = (address, callers.number(address));
    }

    /// Takes a clean area of `class`.
    #[inline(always)]
    pub fn pop(&mut self, class: u16) -> Option<Id> {
        let slot = self.slots.get_mut(usize::from(class))?;
        if let Some(id) = slot.clean.as_mut().and_then(|clean| clean.pop()) {
            return Some(id);
        }
        let single = slot.take_single()?;
        self.single_span = self.single_span.wrapping_sub(u32::from(slot.span));
        Some(single)
    }

    /// Puts a clean magazine in place of the empty one, which is given back.
    pub fn load(&mut self, magazine: Box<Magazine>) -> Option<Box<Magazine>> {
        let class = magazine.class;
        let span = magazine.span();
        let Some(slot) = self.slots.get_mut(usize::from(class)) else {
            return Some(magazine);
        };
        let old = slot.clean.replace(magazine);
        self.clean_span = self.clean_span.saturating_add(span);
        mark(&mut self.clean_set, class);
        old
    }

    /// How many areas of `class` to make now that there is none in stock: more each time.
    pub fn next_batch(&mut self, class: u16) -> u32 {
        let rounds = self.rounds(class);
        let most = fit(GROW_SPAN, class).min(GROW_MAX) as u8;
        match self.slots.get_mut(usize::from(class)) {
            Some(slot) => {
                let batch = u16::from(slot.grow).min(rounds);
                slot.grow = slot.grow.saturating_mul(2).min(most);
                u32::from(batch)
            }
            None => 1,
        }
    }

    /// Puts one clean area in. False when there is no room; then the caller keeps it.
    pub fn stock(&mut self, class: u16, id: Id) -> bool {
        let rounds = self.rounds(class);
        let Some(slot) = self.slots.get_mut(usize::from(class)) else {
            return false;
        };
        if slot.clean.is_none() {
            let Some(mut magazine) = self.spare.take() else {
                return false;
            };
            magazine.class = class;
            slot.clean = Some(magazine);
        }
        match &mut slot.clean {
            Some(magazine) if magazine.len < rounds => {
                magazine.push(id);
                self.clean_span = self.clean_span.saturating_add(span_of(class));
                mark(&mut self.clean_set, class);
                true
            }
            _ => false,
        }
    }

    /// Puts one freed area in, and notes in its descriptor where it is. Says whether that filled the
    /// magazine, in which case [`Self::take_full`] follows.
    #[inline(always)]
    pub fn push_lazy(&mut self, descriptor: &Descriptor, class: u16, id: Id) -> Pushed {
        let Some(slot) = self.slots.get_mut(usize::from(class)) else {
            return Pushed::NoMagazine;
        };
        let span = u32::from(slot.span);
        let Some(magazine) = &mut slot.lazy else {
            return Pushed::NoMagazine;
        };
        magazine.push(id);
        let (batch, full) = (magazine.batch, magazine.len >= magazine.full);
        self.lazy_span = self.lazy_span.wrapping_add(span);
        descriptor.set_next(batch);
        if full {
            Pushed::Full
        } else {
            Pushed::Kept
        }
    }

    /// Gives `class` an empty lazy magazine: the spare one. False if there is none, or no number.
    pub fn start_lazy(&mut self, batches: &Batches, class: u16) -> bool {
        let full = self.rounds(class);
        let Some(slot) = self.slots.get_mut(usize::from(class)) else {
            return false;
        };
        let Some(mut magazine) = self.spare.take() else {
            return false;
        };
        let Some(batch) = batches.begin(&mut self.cursor) else {
            self.spare = Some(magazine);
            return false;
        };
        magazine.batch = batch;
        magazine.class = class;
        magazine.full = full;
        magazine.home = self.cpu;
        slot.lazy = Some(magazine);
        mark(&mut self.lazy_set, class);
        true
    }

    /// Whether `class` is to have a lazy magazine of its own.
    pub fn is_hot(&self, class: u16) -> bool {
        self.slots
            .get(usize::from(class))
            .is_some_and(|slot| slot.heat >= HOT)
    }

    /// As [`Self::push_lazy`], into the mixed magazine. When that is full, [`Self::take_mixed`]
    /// follows.
    pub fn push_mixed(&mut self, descriptor: &Descriptor, class: u16, id: Id) -> Pushed {
        let Some(slot) = self.slots.get_mut(usize::from(class)) else {
            return Pushed::NoMagazine;
        };
        let Some(magazine) = &mut self.mixed else {
            return Pushed::NoMagazine;
        };
        slot.heat = slot.heat.saturating_add(1).min(HOT);
        magazine.push(id);
        // No more than one area above what fills it, so that both fit.
        magazine.mixed_gross = magazine.mixed_gross.wrapping_add(gross_of(class) as u16);
        magazine.mixed_span = magazine.mixed_span.wrapping_add(slot.span);
        descriptor.set_next(magazine.batch);
        self.lazy_span = self.lazy_span.wrapping_add(u32::from(slot.span));
        if magazine.len >= magazine.full || u32::from(magazine.mixed_span) >= self.magazine_span {
            Pushed::Full
        } else {
            Pushed::Kept
        }
    }

    /// Begins an empty mixed magazine: the spare one. False if there is none, or no number.
    pub fn start_mixed(&mut self, batches: &Batches) -> bool {
        let Some(mut magazine) = self.spare.take() else {
            return false;
        };
        let Some(batch) = batches.begin(&mut self.cursor) else {
            self.spare = Some(magazine);
            return false;
        };
        magazine.batch = batch;
        magazine.class = NO_CLASS;
        magazine.mixed_gross = 0;
        magazine.mixed_span = 0;
        magazine.full = ROUNDS as u16;
        magazine.home = self.cpu;
        self.mixed = Some(magazine);
        true
    }

    /// Keeps a clean area of `class` by itself. False if there is one, or if with it they would take
    /// more than `most` pages; then the caller keeps it.
    pub fn keep_single(&mut self, class: u16, id: Id, most: u32) -> bool {
        let Some(slot) = self.slots.get_mut(usize::from(class)) else {
            return false;
        };
        let span = self.single_span.saturating_add(u32::from(slot.span));
        if slot.single != NO_ID || span > most {
            return false;
        }
        slot.single = id;
        self.single_span = span;
        mark(&mut self.single_set, class);
        true
    }

    /// Hands all single areas to `each`.
    pub fn spill_singles(&mut self, mut each: impl FnMut(Id)) {
        while let Some(class) = pick(&mut self.single_set) {
            if let Some(id) = self
                .slots
                .get_mut(usize::from(class))
                .and_then(Slot::take_single)
            {
                each(id);
            }
        }
        self.single_span = 0;
    }

    /// Takes the mixed magazine out.
    pub fn take_mixed(&mut self) -> Option<Box<Magazine>> {
        let magazine = self.mixed.take()?;
        self.lazy_span = self.lazy_span.wrapping_sub(magazine.span());
        Some(magazine)
    }

    /// Takes the lazy magazine of `class` out.
    pub fn take_full(&mut self, class: u16) -> Option<Box<Magazine>> {
        let magazine = self.slots.get_mut(usize::from(class))?.lazy.take()?;
        self.lazy_span = self.lazy_span.wrapping_sub(magazine.span());
        Some(magazine)
    }

    /// Pages that what is in lazy magazines keeps from others.
    pub fn lazy_span(&self) -> u32 {
        self.lazy_span
    }

    /// The same of clean magazines, at most.
    pub fn clean_span(&self) -> u32 {
        self.clean_span
    }

    /// Moves all lazy magazines to `chain`, with `stamp` on each.
    pub fn spill_lazy(&mut self, chain: &mut Chain, stamp: u64) {
        while let Some(class) = pick(&mut self.lazy_set) {
            if let Some(slot) = self.slots.get_mut(usize::from(class)) {
                if let Some(mut magazine) = slot.lazy.take() {
                    if magazine.len < SPARSE {
                        slot.heat = 0;
                    }
                    magazine.stamp = stamp;
                    chain.push(magazine);
                }
            }
        }
        if let Some(mut magazine) = self.mixed.take() {
            magazine.stamp = stamp;
            chain.push(magazine);
        }
        self.lazy_span = 0;
    }

    /// Moves all clean magazines to `chain`, empty ones too.
    pub fn spill_clean(&mut self, chain: &mut Chain) {
        while let Some(class) = pick(&mut self.clean_set) {
            if let Some(slot) = self.slots.get_mut(usize::from(class)) {
                slot.grow = 1;
                if let Some(magazine) = slot.clean.take() {
                    chain.push(magazine);
                }
            }
        }
        self.clean_span = 0;
    }

    /// Whether an empty magazine is at hand.
    pub fn has_spare(&self) -> bool {
        self.spare.is_some()
    }

    /// Keeps an empty magazine for later; gives it back if there is one already.
    pub fn keep_spare(&mut self, magazine: Box<Magazine>) -> Option<Box<Magazine>> {
        if self.spare.is_some() {
            return Some(magazine);
        }
        self.spare = Some(magazine);
        None
    }
}

/// How [`Local::push_lazy`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It lies in the lazy magazine.
    Kept,
    /// It lies in the lazy magazine, which is full now.
    Full,
    /// An empty magazine is needed first; the caller keeps the area.
    NoMagazine,
}

/// What [`Depot::take`] found.
pub enum Taken {
    /// A magazine of the class.
    Magazine(Box<Magazine>),
    /// One area, and the magazine that it left empty.
    One(Id, Option<Box<Magazine>>),
}

/// A magazine in the depot with fewer areas is not worth moving.
const FEW: u16 = 8;

/// So many magazines of the depot are looked at for one whose areas this CPU used last: descriptors
/// that lie in its cache are worth it.
const NEAR: usize = 8;

const BINS: usize = 64;
const SPARES_MAX: u32 = 256;

struct Bin {
    heads: Table<Chain>,
}

/// Full clean magazines that belong to no CPU, and a few empty ones.
pub struct Depot {
    bins: Table<Padded<Lock<Bin>>>,
    spares: Padded<Lock<Chain>>,
    span: AtomicU64,
    /// The bin that [`Depot::take_other`] looks into next.
    next: AtomicU64,
    /// Acquisitions of its locks.
    pub locks: AtomicU64,
}

impl Depot {
    /// An empty depot. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new() -> Result<Self, NoMemory> {
        Ok(Self {
            bins: Table::try_new(BINS, Mode::Sleep, |_| {
                let heads = Table::new(CLASSES / BINS, Mode::Sleep, |_| Chain::new())?;
                Ok(Padded(Lock::new(Bin { heads }, LockClass::Depot)?))
            })?,
            spares: Padded(Lock::new(Chain::new(), LockClass::Depot)?),
            span: AtomicU64::new(0),
            next: AtomicU64::new(0),
            locks: AtomicU64::new(0),
        })
    }

    fn bin(&self, class: u16) -> Option<&Lock<Bin>> {
        Some(&self.bins.get(usize::from(class) % BINS)?.0)
    }

    /// Takes a clean magazine of `class`, if possible one that `cpu` filled; where the first holds but
    /// a few areas, one of them.
    pub fn take(&self, class: u16, cpu: u32) -> Option<Taken> {
        let bin = self.bin(class)?;
        self.locks.fetch_add(1, Relaxed);
        let mut bin = bin.lock();
        let chain = bin.heads.get_mut(usize::from(class) / BINS)?;
        let taken = if chain.head.as_ref()?.len < FEW {
            let id = chain.pop_one()?;
            let empty = chain.head.as_ref().is_some_and(|top| top.len == 0);
            Taken::One(id, if empty { chain.pop() } else { None })
        } else {
            Taken::Magazine(chain.pop_near(cpu as u16)?)
        };
        drop(bin);
        let span = match &taken {
            Taken::One(..) => span_of(class),
            Taken::Magazine(magazine) => magazine.span(),
        };
        self.span.fetch_sub(u64::from(span), Relaxed);
        Some(taken)
    }

    /// Puts one clean area of `class` in; where that takes another magazine, the `spare` one. False
    /// if there is none; then the caller keeps the area.
    pub fn put_one(
        &self,
        class: u16,
        id: Id,
        rounds: u16,
        spare: &mut Option<Box<Magazine>>,
    ) -> bool {
        let Some(bin) = self.bin(class) else {
            return false;
        };
        self.locks.fetch_add(1, Relaxed);
        let mut bin = bin.lock();
        let Some(chain) = bin.heads.get_mut(usize::from(class) / BINS) else {
            return false;
        };
        if !chain.push_one(id, rounds) {
            let Some(mut magazine) = spare.take() else {
                return false;
            };
            magazine.class = class;
            magazine.push(id);
            chain.push(magazine);
        }
        drop(bin);
        self.span.fetch_add(u64::from(span_of(class)), Relaxed);
        true
    }

    /// Takes out all magazines of one class that has any, looking from bin `*bin` on.
    pub fn take_any(&self, bin: &mut usize) -> Option<Chain> {
        while self.span() > 0 {
            let mut at = self.bins.get(*bin)?.lock();
            self.locks.fetch_add(1, Relaxed);
            if let Some(chain) = at.heads.iter_mut().find(|chain| !chain.is_empty()) {
                let taken = chain.take();
                self.span.fetch_sub(taken.span(), Relaxed);
                return Some(taken);
            }
            *bin += 1;
        }
        None
    }

    /// Takes out a magazine of another class than `class`, from each bin in turn.
    pub fn take_other(&self, class: u16) -> Option<Box<Magazine>> {
        let class = usize::from(class);
        for _ in 0..BINS {
            let at = self.next.fetch_add(1, Relaxed) as usize % BINS;
            self.locks.fetch_add(1, Relaxed);
            let mut bin = self.bins.get(at)?.lock();
            let mut heads = bin.heads.iter_mut().enumerate();
            let found = heads.find(|(i, chain)| i * BINS + at != class && !chain.is_empty());
            if let Some(other) = found.and_then(|(_, chain)| chain.pop()) {
                drop(bin);
                self.span.fetch_sub(u64::from(other.span()), Relaxed);
                return Some(other);
            }
        }
        None
    }

    /// Puts a clean magazine in. What is in a magazine that is not full moves over to the one that
    /// lies on top, as far as it fits, so that the depot does not fill with halves; `rounds` is what
    /// fits. A magazine that became empty is given back.
    pub fn put(&self, mut magazine: Box<Magazine>, rounds: u16) -> Option<Box<Magazine>> {
        let class = magazine.class;
        let span = u64::from(magazine.span());
        let Some(bin) = self.bin(class) else {
            return Some(magazine);
        };
        self.span.fetch_add(span, Relaxed);
        self.locks.fetch_add(1, Relaxed);
        let mut bin = bin.lock();
        let Some(chain) = bin.heads.get_mut(usize::from(class) / BINS) else {
            return Some(magazine);
        };
        if let Some(mut top) = chain.pop() {
            if top.len < rounds {
                while magazine.len < rounds {
                    match top.pop() {
                        Some(id) => magazine.push(id),
                        None => break,
                    }
                }
            }
            if top.len == 0 {
                chain.push(magazine);
                return Some(top);
            }
            chain.push(top);
        }
        chain.push(magazine);
        None
    }

    /// How many areas of `class` make a magazine full, given its bound in pages.
    pub fn rounds(magazine_span: u32, class: u16) -> u16 {
        fit(magazine_span, class).min(ROUNDS as u32) as u16
    }

    /// An empty magazine that lies about.
    pub fn take_spare(&self) -> Option<Box<Magazine>> {
        self.locks.fetch_add(1, Relaxed);
        self.spares.lock().pop()
    }

    /// Keeps an empty magazine; gives it back when there are enough.
    pub fn put_spare(&self, magazine: Box<Magazine>) -> Option<Box<Magazine>> {
        self.locks.fetch_add(1, Relaxed);
        let mut spares = self.spares.lock();
        if spares.len() >= SPARES_MAX {
            return Some(magazine);
        }
        spares.push(magazine);
        None
    }

    /// Takes out all empty magazines.
    pub fn take_spares(&self) -> Chain {
        self.spares.lock().take()
    }

    /// Pages that what lies here keeps from others.
    pub fn span(&self) -> u64 {
        self.span.load(Relaxed)
    }
}
