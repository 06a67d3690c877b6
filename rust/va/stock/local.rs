// SPDX-License-Identifier: GPL-2.0

//! The stock of one CPU: the magazines that it allocates from and frees into.
//!
//! A CPU has two magazines for each class: it allocates from the clean one and frees into the lazy
//! one. A rare class would never fill a lazy magazine of its own, and hand it on almost empty each time.
//! Such areas share the CPU's *mixed* magazine. After the flush that comes home to the CPU, which keeps
//! the areas in a list for each class.
//!
//! # Invariants
//!
//! - A CPU allocates from [`Clean`] magazines, or a [`CleanId`], and from nothing else.

use crate::{
    sys::{
        broken,
        mem::{boxed_array, large_array, Box, LargeBox, Mode, NoMemory, Shared},
        sync::Padded,
    },
    va::{
        area::{
            class::{Class, Lane, CLASSES, MAX_PAGES, NEAR, NO_PLACE, ROUNDS},
            link::Numbers,
            Descriptor, Descriptors, Id, Origin, NO_ID,
        },
        count::{
            callers::{Callers, OTHERS},
            counters::{Cpu, PLACES},
        },
        flush::epochs::Epochs,
        space::range::{size_of, Size},
        stock::{
            depot::Depot,
            magazine::{Chain, Clean, CleanId, CleanList, Empty, Filling, Sealed},
        },
    },
};

// A CPU counts the size of each class.
const _: () = assert!(size_of(MAX_PAGES) < PLACES);

struct Slot {
    clean: Option<Clean>,
    lazy: Option<Filling>,
    /// Clean areas outside of a magazine.
    kept: CleanList,
    /// Of the areas of `clean` the one that goes out next, or [`NO_ID`], and their number: so an allocation has its
    /// area before it has looked into the magazine.
    top: Id,
    len: u8,
    /// [`Class::span`], which each free needs.
    span: u16,
    /// [`Size`], which each operation counts: its place is the lower half of a byte.
    gross: u16,
    place_and_heat: u8,
    /// The CPU's last mixed magazine that got areas of this class. The upper half of the byte above counts them, up to
    /// [`HOT`]. A class with that many gets a lazy magazine of its own; the others would hand on theirs almost empty.
    turn: u8,
    /// Areas were kept since somebody last looked whether the kept ones are in use.
    in_use: bool,
}

// Of the first classes an allocator of powers of two wastes nothing.
const _: () = assert!(core::mem::size_of::<Slot>() == 32);

/// Classes of a piece.
const PIECE: usize = 128;

/// The slots of some of the classes that are seldom asked for: a CPU has these once it was asked.
pub struct Piece(Box<[Slot; PIECE]>);

impl Piece {
    /// That of `class`.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(class: Class, mode: Mode) -> Result<Self, NoMemory> {
        let from = class.index() / PIECE * PIECE;
        boxed_array(mode, |i| Slot::of(Class::at(from + i))).map(Self)
    }
}

/// The slots of all classes.
struct Slots {
    near: LargeBox<[Slot; NEAR]>,
    far: [Option<Piece>; (CLASSES - NEAR) / PIECE],
}

const _: () = assert!(NEAR % PIECE == 0 && CLASSES % PIECE == 0);

impl Slots {
    fn new(mode: Mode) -> Result<Self, NoMemory> {
        Ok(Self {
            near: large_array(mode, |index| Slot::of(Class::at(index)))?,
            far: [const { None }; (CLASSES - NEAR) / PIECE],
        })
    }

    #[inline(always)]
    fn get_mut(&mut self, index: usize) -> Option<&mut Slot> {
        match self.near.get_mut(index) {
            Some(slot) => Some(slot),
            None => Self::far_mut(&mut self.far, index),
        }
    }

    #[cold]
    #[inline(never)]
    fn far_mut(far: &mut [Option<Piece>], index: usize) -> Option<&mut Slot> {
        let at = index.checked_sub(NEAR)?;
        let Piece(slots) = far.get_mut(at / PIECE)?.as_mut()?;
        slots.get_mut(at % PIECE)
    }

    fn get(&self, index: usize) -> Option<&Slot> {
        let Some(at) = index.checked_sub(NEAR) else {
            return self.near.get(index);
        };
        let Piece(slots) = self.far.get(at / PIECE)?.as_ref()?;
        slots.get(at % PIECE)
    }
}

impl Slot {
    fn of(class: Option<Class>) -> Self {
        let size = Size::of(class.map_or(1, Class::pages));
        Self {
            clean: None,
            lazy: None,
            kept: CleanList::default(),
            span: class.map_or(0, Class::span) as u16,
            gross: size.gross,
            place_and_heat: size.place,
            top: NO_ID,
            len: 0,
            turn: 0,
            in_use: false,
        }
    }

    /// Takes the clean magazine out.
    fn unload(&mut self) -> Option<Clean> {
        self.top = NO_ID;
        let len = core::mem::take(&mut self.len);
        Some(self.clean.take()?.end_use(len))
    }

    /// Puts a clean magazine in place of another.
    fn load(&mut self, mut magazine: Clean) -> Option<Clean> {
        let old = self.unload();
        (self.top, self.len) = magazine.begin_use();
        self.clean = Some(magazine);
        old
    }

    /// Pages that the areas of the clean magazine keep from others, if it is as full as it has been here.
    fn clean_span(&self) -> u32 {
        let most = self.clean.as_ref().map_or(0, Clean::most);
        u32::from(most).wrapping_mul(self.span.into())
    }

    #[inline(always)]
    fn size(&self) -> Size {
        Size {
            gross: self.gross,
            place: self.place_and_heat & 0xf,
        }
    }

    /// Areas that were freed into one mixed magazine, up to [`HOT`].
    fn heat(&self) -> u8 {
        self.place_and_heat >> 4
    }

    fn set_heat(&mut self, areas: u8) {
        self.place_and_heat = self.place_and_heat & 0xf | areas << 4;
    }

    /// Notes an area that was freed into mixed magazine `turn`.
    fn heat_up(&mut self, turn: u8) {
        let before = if self.turn == turn { self.heat() } else { 0 };
        self.set_heat((before + 1).min(HOT));
        self.turn = turn;
    }
}

// The halves of a byte.
const _: () = assert!(PLACES <= 16 && HOT < 16);

/// Areas in one mixed magazine for which a class gets a lazy magazine of its own.
const HOT: u8 = 8;
/// If a class hands on a lazy magazine with fewer areas, it loses its own magazine again.
const SPARSE: u16 = 8;

/// A set of classes, on the heap: a stock has three, and a stack has no room for them.
struct Set(Box<[u64; CLASSES / 64]>);

impl Set {
    fn new(mode: Mode) -> Result<Self, NoMemory> {
        boxed_array(mode, |_| 0).map(Self)
    }

    fn mark(&mut self, class: Class) {
        let index = class.index();
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    /// The lowest class from place `from` on, or if there is none, the lowest.
    fn next(&self, from: usize) -> Option<Class> {
        let first = from / 64;
        let (below, above) = self.0.split_at_checked(first)?;
        let mut mask = (!0u64).wrapping_shl(from as u32 % 64);
        let above = (first..).zip(above);
        // The word of `from` comes once more for what is below it.
        let words = above
            .chain((0..).zip(below))
            .chain((first..).zip(self.0.get(first)));
        for (i, word) in words {
            let seen = word & core::mem::replace(&mut mask, !0);
            if seen != 0 {
                return Class::at(i * 64 + seen.trailing_zeros() as usize);
            }
        }
        None
    }

    /// Takes the lowest class from place `from` on out, or if there is none, the lowest.
    fn pick_from(&mut self, from: usize) -> Option<Class> {
        let class = self.next(from)?;
        self.unmark(class);
        Some(class)
    }

    fn unmark(&mut self, class: Class) {
        if let Some(word) = self.0.get_mut(class.index() / 64) {
            *word &= !(1 << (class.index() % 64));
        }
    }

    /// Takes the lowest class out.
    fn pick(&mut self) -> Option<Class> {
        let (i, word) = self
            .0
            .iter_mut()
            .enumerate()
            .find(|(_, word)| **word != 0)?;
        let bit = word.trailing_zeros();
        *word &= *word - 1;
        Class::at(i * 64 + bit as usize)
    }
}

/// Bounds of a CPU's stock, in pages that areas keep from others.
#[derive(Clone, Copy, Debug)]
pub struct Spans {
    /// Of a magazine, which has one area at least.
    pub magazine: u32,
    /// Of a mixed magazine.
    pub mixed: u32,
    /// Of all clean magazines together, without a promise of the depot.
    pub clean_share: u32,
}

/// How much of the arena is in no area, when a CPU may keep one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Much: it keeps any number.
    Ample,
    /// It keeps one of each class.
    Short,
    /// Too little to keep any.
    None,
}

impl Space {
    /// Of `free` pages of an arena of `pages` pages.
    pub fn of(free: u64, pages: u32) -> Self {
        let pages = u64::from(pages);
        if free >= pages / 5 {
            Self::Ample
        } else if free >= pages / 10 {
            Self::Short
        } else {
            Self::None
        }
    }
}

/// The stock of one CPU. Its holder runs on that CPU alone, or keeps the CPU from using it.
pub struct Local {
    slots: Slots,
    /// The classes for which the depot had none lately.
    growing: [Growth; GROWING],
    /// Which of these is the oldest.
    oldest: u8,
    /// The lazy magazine of classes that have none of their own.
    mixed: Option<Filling>,
    /// Classes whose lazy magazine may hold areas.
    lazy_set: Set,
    /// Classes whose clean magazine may hold areas.
    clean_set: Set,
    /// Classes that may have kept areas.
    kept_set: Set,
    /// Where to look for a class that gives up its kept areas.
    next_to_give: usize,
    /// Tells one mixed magazine from the next.
    turn: u8,
    /// Pages that areas in lazy magazines keep from others.
    lazy_span: u32,
    /// The same of clean magazines, each as full as it has been here.
    clean_span: u32,
    /// Bounds `clean_span`: this CPU's share of the arena, and what the depot has promised beyond that.
    clean_max: u32,
    clean_share: u32,
    /// Bounds the areas of a magazine: pages.
    magazine_span: u32,
    mixed_span: u32,
    /// Empty magazines, at most [`SPARES`].
    spares: Chain<Empty>,
    cpu: u16,
    /// Where to look for the next number of a lazy magazine.
    cursor: u32,
    /// The caller seen last, and what its areas are noted with.
    last_caller: (usize, Origin),
    counters: Shared<Padded<Cpu>>,
}

/// Classes at which [`Local::give_unused`] looks.
const LOOKS: usize = 8;

/// Most empty magazines that a CPU keeps.
const SPARES: u32 = 3;

/// A class that grows: [`Class::bits`], and the areas of its last batch.
#[derive(Clone, Copy)]
struct Growth {
    class: u16,
    areas: u8,
}

impl Growth {
    const NONE: Self = Self { class: 0, areas: 1 };
}

/// Classes whose batches grow at one time.
const GROWING: usize = 4;

/// Most areas in a batch, and most pages that it may keep from others.
const GROW_MAX: u32 = 16;
const GROW_SPAN: u32 = 128;

impl Local {
    /// An empty stock of `cpu` within the bounds `spans`, which counts in `counters`.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(
        cpu: u32,
        spans: Spans,
        counters: Shared<Padded<Cpu>>,
        mode: Mode,
    ) -> Result<Self, NoMemory> {
        Ok(Self {
            slots: Slots::new(mode)?,
            growing: [Growth::NONE; GROWING],
            oldest: 0,
            mixed: None,
            lazy_set: Set::new(mode)?,
            clean_set: Set::new(mode)?,
            kept_set: Set::new(mode)?,
            next_to_give: 0,
            turn: 0,
            lazy_span: 0,
            clean_span: 0,
            clean_max: spans.clean_share,
            clean_share: spans.clean_share,
            magazine_span: spans.magazine,
            mixed_span: spans.mixed,
            spares: Chain::new(),
            cpu: cpu as u16,
            // Far from those of other CPUs.
            cursor: cpu.wrapping_shl(12),
            last_caller: (0, Origin::new(OTHERS, cpu)),
            counters,
        })
    }

    #[inline(always)]
    fn slot(&mut self, class: Class) -> Option<&mut Slot> {
        self.slots.get_mut(class.index())
    }

    /// Whether there is room for areas of `class`: otherwise [`Self::put_piece`] makes some.
    pub fn has_place(&self, class: Class) -> bool {
        self.slots.get(class.index()).is_some()
    }

    /// Gives the CPU the slots of `class` and its neighbours. Gives them back if it has them.
    pub fn put_piece(&mut self, class: Class, piece: Piece) -> Option<Piece> {
        let at = class.index().checked_sub(NEAR).map(|at| at / PIECE);
        match at.and_then(|at| self.slots.far.get_mut(at)) {
            Some(place @ None) => place.replace(piece),
            _ => Some(piece),
        }
    }

    /// The counters of this CPU.
    #[inline(always)]
    pub fn counters(&self) -> &Cpu {
        &self.counters
    }

    /// Where allocations come from, of the caller at `address`.
    #[inline(always)]
    pub fn origin(&mut self, callers: &Callers, address: usize) -> Origin {
        if self.last_caller.0 != address {
            self.meet(callers, address);
        }
        self.last_caller.1
    }

    /// Whether the caller at `address` is the one seen last.
    #[inline(always)]
    pub fn is_last_caller(&self, address: usize) -> bool {
        self.last_caller.0 == address
    }

    /// Where allocations come from, of the caller seen last.
    #[inline(always)]
    pub fn last_origin(&self) -> Origin {
        self.last_caller.1
    }

    /// Forgets the caller seen last: its number may be another one now.
    pub fn forget_caller(&mut self) {
        self.last_caller = (0, Origin::new(OTHERS, self.cpu.into()));
    }

    #[cold]
    #[inline(never)]
    fn meet(&mut self, callers: &Callers, address: usize) {
        let number = callers.number(address);
        self.last_caller = (address, Origin::new(number, self.cpu.into()));
    }

    /// Takes a clean area of `class` for the caller seen last, and counts that. Returns its descriptor, too.
    #[inline(always)]
    pub fn pop<'d>(
        &mut self,
        class: Class,
        descriptors: &'d Descriptors,
    ) -> Option<(CleanId, &'d Descriptor)> {
        let slot = self.slots.get_mut(class.index())?;
        let stocked = match &mut slot.clean {
            Some(clean) => clean.pop_in_use(&mut slot.top, &mut slot.len, descriptors),
            None => None,
        };
        let (area, descriptor) = match stocked {
            Some(stocked) => stocked,
            None => slot.kept.pop_described(descriptors)?,
        };
        self.counters
            .alloc(self.last_caller.1.caller(), slot.size());
        Some((area, descriptor))
    }

    /// Whether there is a clean area of `class`.
    pub fn has_clean(&self, class: Class) -> bool {
        self.slots
            .get(class.index())
            .is_some_and(|slot| slot.top != NO_ID || !slot.kept.is_empty())
    }

    /// Puts a clean magazine of `class` in place of the empty one. Returns the empty one.
    pub fn load(&mut self, class: Class, magazine: Clean) -> Option<Clean> {
        let span = magazine.span();
        let Some(slot) = self.slot(class) else {
            return Some(magazine);
        };
        let before = slot.clean_span();
        let old = slot.load(magazine);
        self.clean_span = self.clean_span.saturating_sub(before).saturating_add(span);
        self.clean_set.mark(class);
        old
    }

    /// The size of the next batch of `class`: twice the last one, up to a limit, if the class is one of the few of
    /// which the depot had none lately. Of a class that is asked for now and then, one area is made: there are many such
    /// classes, what is made of them beyond what they need stays with the CPU, and soon all CPUs together have more
    /// than they may keep.
    pub fn next_batch(&mut self, class: Class) -> u32 {
        let rounds = class.rounds(self.magazine_span);
        let most = class.fit(GROW_SPAN).min(GROW_MAX) as u8;
        let bits = Class::bits(Some(class));
        if let Some(growth) = self.growing.iter_mut().find(|growth| growth.class == bits) {
            growth.areas = growth.areas.saturating_mul(2).min(most);
            return u32::from(u16::from(growth.areas).min(rounds));
        }
        if let Some(oldest) = self.growing.get_mut(usize::from(self.oldest)) {
            *oldest = Growth {
                class: bits,
                areas: 1,
            };
        }
        self.oldest = (self.oldest + 1) % GROWING as u8;
        1
    }

    /// Puts one clean area in.
    ///
    /// # Errors
    ///
    /// The area, if there is no room.
    pub fn stock(&mut self, class: Class, area: CleanId) -> Result<(), CleanId> {
        let rounds = class.rounds(self.magazine_span);
        let Some(slot) = self.slots.get_mut(class.index()) else {
            return Err(area);
        };
        if slot.clean.is_none() {
            if let Some(empty) = self.spares.pop() {
                slot.load(empty.stock(class));
            }
        }
        match &mut slot.clean {
            Some(magazine) if u16::from(slot.len) < rounds => {
                if magazine.push_in_use(&mut slot.top, &mut slot.len, area) {
                    self.clean_span = self.clean_span.saturating_add(slot.span.into());
                }
                self.clean_set.mark(class);
                Ok(())
            }
            _ => Err(area),
        }
    }

    /// Keeps a clean area of `class`.
    ///
    /// # Errors
    ///
    /// The area, if there is too little `space` for that.
    pub fn keep(
        &mut self,
        class: Class,
        area: CleanId,
        space: Space,
        descriptors: &Descriptors,
    ) -> Result<(), CleanId> {
        let Some(slot) = self.slots.get_mut(class.index()) else {
            return Err(area);
        };
        let first = slot.kept.is_empty();
        if space == Space::None || space == Space::Short && !first {
            return Err(area);
        }
        if first {
            self.kept_set.mark(class);
        }
        slot.kept.push(descriptors, area);
        slot.in_use = true;
        Ok(())
    }

    /// Takes out up to `most` kept areas of a class of which none came home for long. Looks at a few classes, and next time
    /// at others. Empty if it has found none.
    pub fn give_unused(&mut self, most: u32, descriptors: &Descriptors) -> CleanList {
        let mut first = None;
        for _ in 0..LOOKS {
            let Some(class) = self.kept_set.next(self.next_to_give) else {
                break;
            };
            if first == Some(class) {
                break;
            }
            self.next_to_give = class.index();
            let Some(slot) = self.slots.get_mut(class.index()) else {
                broken(NO_PLACE);
                break;
            };
            if slot.kept.is_empty() {
                self.kept_set.unmark(class);
            } else if !core::mem::take(&mut slot.in_use) {
                return self.give_kept(most, descriptors);
            } else {
                first = first.or(Some(class));
            }
            self.next_to_give += 1;
        }
        CleanList::default()
    }

    /// Takes out up to `most` kept areas of one class, and when it has no more, those of another. Empty if there are none.
    pub fn give_kept(&mut self, most: u32, descriptors: &Descriptors) -> CleanList {
        let mut given = CleanList::default();
        while let Some(class) = self.kept_set.pick_from(self.next_to_give) {
            self.next_to_give = class.index();
            let Some(slot) = self.slots.get_mut(class.index()) else {
                broken(NO_PLACE);
                break;
            };
            for area in (0..most).map_while(|_| slot.kept.pop(descriptors)) {
                given.push(descriptors, area);
            }
            if !slot.kept.is_empty() {
                self.kept_set.mark(class);
            }
            if !given.is_empty() {
                break;
            }
        }
        given
    }

    /// Takes out the clean magazine of one class, and next time that of another. `None` if no such magazine has
    /// an area.
    pub fn give_clean(&mut self) -> Option<Clean> {
        while let Some(class) = self.clean_set.pick_from(self.next_to_give) {
            self.next_to_give = class.index() + 1;
            let Some(slot) = self.slots.get_mut(class.index()) else {
                broken(NO_PLACE);
                return None;
            };
            self.clean_span = self.clean_span.saturating_sub(slot.clean_span());
            match slot.unload() {
                Some(magazine) if !magazine.is_empty() => return Some(magazine),
                // An empty one stays for the next areas of its class, and counts again with them.
                Some(magazine) => drop(slot.load(magazine)),
                None => {}
            }
        }
        None
    }

    /// Puts one freed area into the lazy magazine of its class, and the magazine's number into its link.
    /// Returns its size. `None`, and nothing changes, if the class is not [near](NEAR), if there is no such magazine, if
    /// that would be full then, or if lazy magazines would keep more than `most` pages from others.
    #[inline(always)]
    pub fn push_below(&mut self, descriptor: &Descriptor, id: Id, most: u32) -> Option<Size> {
        // An area without class has no place.
        let place = usize::from(Class::bits(descriptor.class())).wrapping_sub(1);
        let slot = self.slots.near.get_mut(place)?;
        let span = self.lazy_span.wrapping_add(u32::from(slot.span));
        if span > most {
            return None;
        }
        descriptor.set_link(slot.lazy.as_mut()?.push_below(id)?);
        self.lazy_span = span;
        Some(slot.size())
    }

    /// As [`Self::push_below`], for any class: into the mixed magazine, unless the class has one of its own, or is to
    /// get one.
    #[inline(always)]
    pub fn push_mixed_below(&mut self, descriptor: &Descriptor, id: Id, most: u32) -> Option<Size> {
        let slot = self.slots.get_mut(descriptor.class()?.index())?;
        let span = self.lazy_span.wrapping_add(u32::from(slot.span));
        if span > most {
            return None;
        }
        let hot = slot.heat() >= HOT;
        let link = match &mut slot.lazy {
            Some(magazine) => magazine.push_below(id)?,
            None if hot => return None,
            None => {
                let mixed = self.mixed.as_mut()?;
                let link = mixed.push_mixed_below(id, slot.gross, slot.span, self.mixed_span)?;
                slot.heat_up(self.turn);
                link
            }
        };
        descriptor.set_link(link);
        self.lazy_span = span;
        Some(slot.size())
    }

    /// Puts one freed area into the lazy magazine of its class, and the magazine's number into its
    /// link.
    pub fn push_own(&mut self, class: Class, descriptor: &Descriptor, id: Id) -> Pushed {
        let Some(slot) = self.slots.get_mut(class.index()) else {
            return Pushed::NoMagazine;
        };
        let span = u32::from(slot.span);
        let Some(magazine) = &mut slot.lazy else {
            return Pushed::NoMagazine;
        };
        let (link, full) = magazine.push(id);
        self.lazy_span = self.lazy_span.wrapping_add(span);
        descriptor.set_link(link);
        if full {
            Pushed::Full
        } else {
            Pushed::Kept
        }
    }

    /// As [`Self::push_own`], into the magazine of any lane.
    pub fn push(&mut self, lane: Lane, class: Class, descriptor: &Descriptor, id: Id) -> Pushed {
        if lane != Lane::Mixed {
            return self.push_own(class, descriptor, id);
        }
        let Some(slot) = self.slots.get_mut(class.index()) else {
            return Pushed::NoMagazine;
        };
        let Some(magazine) = &mut self.mixed else {
            return Pushed::NoMagazine;
        };
        slot.heat_up(self.turn);
        let (link, full) = magazine.push_mixed(id, class, self.mixed_span);
        self.lazy_span = self.lazy_span.wrapping_add(u32::from(slot.span));
        descriptor.set_link(link);
        if full {
            Pushed::Full
        } else {
            Pushed::Kept
        }
    }

    /// The lane in which freed areas of `class` wait.
    pub fn lane(&self, class: Class) -> Lane {
        match self.slots.get(class.index()) {
            Some(slot) if slot.heat() >= HOT => Lane::Own(class),
            _ => Lane::Mixed,
        }
    }

    /// Begins a lazy magazine in `lane`, with a spare one. False if there is none, or no number.
    pub fn begin(&mut self, lane: Lane, numbers: &Numbers) -> bool {
        let Some(empty) = self.spares.pop() else {
            return false;
        };
        let Some(number) = numbers.begin(&mut self.cursor) else {
            self.spares.push(empty);
            return false;
        };
        let full = match lane {
            Lane::Own(class) => class.rounds(self.magazine_span),
            Lane::Mixed => ROUNDS as u16,
        };
        let magazine = Some(empty.begin(lane, number, full, self.cpu));
        match lane {
            Lane::Mixed => {
                self.turn = self.turn.wrapping_add(1);
                self.mixed = magazine;
            }
            Lane::Own(class) => {
                self.lazy_set.mark(class);
                match self.slot(class) {
                    Some(slot) => slot.lazy = magazine,
                    None => return false,
                }
            }
        }
        true
    }

    /// Takes the lazy magazine of `lane` out.
    pub fn take(&mut self, lane: Lane) -> Option<Filling> {
        let magazine = match lane {
            Lane::Own(class) => self.slot(class)?.lazy.take()?,
            Lane::Mixed => self.mixed.take()?,
        };
        self.lazy_span = self.lazy_span.wrapping_sub(magazine.span());
        Some(magazine)
    }

    /// Pages that areas in lazy magazines keep from others.
    pub fn lazy_span(&self) -> u32 {
        self.lazy_span
    }

    /// Whether this CPU may have another clean magazine of `more` pages. If its share is used up, the depot may
    /// promise some, while it has much.
    pub fn has_room(&mut self, more: u32, depot: &Depot) -> bool {
        let needed = self.clean_span.saturating_add(more);
        if needed > self.clean_max {
            self.clean_max += depot.promise(needed - self.clean_max);
        }
        needed <= self.clean_max
    }

    /// Seals all lazy magazines, and hands each to `take`.
    pub fn spill_lazy(&mut self, epochs: &Epochs, mut take: impl FnMut(Sealed)) {
        while let Some(class) = self.lazy_set.pick() {
            if let Some(slot) = self.slot(class) {
                if let Some(magazine) = slot.lazy.take() {
                    if magazine.areas() < SPARSE {
                        slot.set_heat(0);
                    }
                    take(magazine.seal(epochs));
                }
            }
        }
        if let Some(magazine) = self.mixed.take() {
            take(magazine.seal(epochs));
        }
        self.lazy_span = 0;
    }

    /// Moves all clean magazines to `chain`, empty ones too, unless [`Self::give_clean`] has found them empty.
    pub fn spill_clean(&mut self, depot: &Depot, chain: &mut Chain<Clean>) {
        depot.take_back(self.clean_max - self.clean_share);
        self.clean_max = self.clean_share;
        self.growing = [Growth::NONE; GROWING];
        while let Some(class) = self.clean_set.pick() {
            if let Some(magazine) = self.slot(class).and_then(Slot::unload) {
                chain.push(magazine);
            }
        }
        self.clean_span = 0;
    }

    /// Hands all kept areas to `each`.
    pub fn spill_kept(&mut self, descriptors: &Descriptors, mut each: impl FnMut(CleanId)) {
        while let Some(class) = self.kept_set.pick() {
            if let Some(slot) = self.slot(class) {
                slot.kept.drain(descriptors).for_each(&mut each);
            }
        }
    }

    /// Whether an empty magazine is at hand.
    pub fn has_spare(&self) -> bool {
        !self.spares.is_empty()
    }

    /// Keeps an empty magazine; gives it back if there are enough.
    pub fn keep_spare(&mut self, empty: Empty) -> Option<Empty> {
        if self.spares.len() >= SPARES {
            return Some(empty);
        }
        self.spares.push(empty);
        None
    }
}

/// How [`Local::push`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The area is in the lazy magazine.
    Kept,
    /// The area is in the lazy magazine, which is full now: [`Local::take`] follows.
    Full,
    /// An empty magazine is needed first; the caller keeps the area.
    NoMagazine,
}
