// SPDX-License-Identifier: GPL-2.0

//! Areas that travel together, and the proof that they are clean.
//!
//! Bonwick's magazines over vmem ("Magazines and Vmem", USENIX 2001), with one turn: a freed area is
//! not clean until the TLB is flushed. So a magazine has a state, and the state is its type:
//!
//! ```text
//! Empty  begin>  Filling  seal>  Sealed  clean>  Clean  into_empty>  Empty
//!                (a CPU frees    (waits for       (a CPU allocates
//!                 into it)        a flush)         from it)
//! ```
//!
//! Only [`Filling::seal`] puts a stamp on a magazine; nothing goes into it afterwards. [`Sealed::clean`]
//! takes a [`Flushed`]. Unless that flush began after the stamp or covered the areas, it returns the
//! magazine as it was. One area of a clean magazine is a [`CleanId`]. A CPU's clean stock, the depot and
//! the extents take nothing else. Loose areas go the same way: [`LooseList`], then [`CleanList`].
//!
//! # Invariants
//!
//! - No TLB holds a translation of an area in a [`Clean`] magazine or a [`CleanList`], nor of a
//!   [`CleanId`].
//! - All areas of a magazine are of its lane's class, unless that is [`Lane::Mixed`].

use crate::{
    sys::{
        mem::{boxed, Box, Mode, NoMemory},
        sync::Mailbox,
        Page,
    },
    va::{
        area::{
            class::{Class, Lane, ROUNDS},
            link::{Number, Numbers},
            Descriptor, Descriptors, Id, Link, NO_ID,
        },
        flush::{
            epochs::{Epochs, Flushed, Stamp},
            list::List,
            plan::Planner,
        },
        space::{
            range::{Range, GUARD},
            shards::{Untouched, Vacant},
        },
    },
};
use core::marker::PhantomData;
use state::State;

/// How many areas ahead a CPU fetches the descriptors of areas that it will allocate: others may have freed them, and it
/// has used many since.
const AHEAD: u8 = 8;

/// A stack of areas. The state types below own it, and decide what callers may do with it.
pub struct Magazine {
    next: Option<Box<Magazine>>,
    stamp: Stamp,
    /// Its number while it is lazy.
    number: Number,
    /// If it is mixed: the pages that its areas take, guard pages included, and the pages that they keep
    /// from others.
    mixed_gross: u16,
    mixed_span: u16,
    lane: Lane,
    len: u16,
    /// Most areas: those that make it full, while a CPU fills it; those that it has had there, while a CPU allocates
    /// from it.
    most: u16,
    /// The CPU that filled it.
    home: u16,
    ids: [Id; ROUNDS],
}

impl Magazine {
    fn pop(&mut self) -> Option<Id> {
        let len = self.len.checked_sub(1)?;
        let id = *self.ids.get(usize::from(len))?;
        self.len = len;
        Some(id)
    }

    fn push(&mut self, id: Id) {
        if let Some(slot) = self.ids.get_mut(usize::from(self.len)) {
            *slot = id;
            self.len = self.len.wrapping_add(1);
        }
    }

    fn gross(&self) -> u32 {
        match self.lane {
            Lane::Own(class) => u32::from(self.len) * class.gross(),
            Lane::Mixed => u32::from(self.mixed_gross),
        }
    }

    /// Pages of all areas, without guard pages.
    fn pages(&self) -> u32 {
        let guards = u32::from(self.len) * GUARD;
        self.gross().saturating_sub(guards)
    }

    fn span(&self) -> u32 {
        match self.lane {
            Lane::Own(class) => u32::from(self.len) * class.span(),
            Lane::Mixed => u32::from(self.mixed_span),
        }
    }
}

/// A magazine without areas.
pub struct Empty(Box<Magazine>);

impl Empty {
    /// Bytes that one takes.
    pub const BYTES: usize = core::mem::size_of::<Magazine>();

    /// A new one.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(mode: Mode) -> Result<Self, NoMemory> {
        let magazine = Magazine {
            next: None,
            stamp: Stamp::NEVER,
            number: Number::NONE,
            mixed_gross: 0,
            mixed_span: 0,
            lane: Lane::Mixed,
            len: 0,
            most: 0,
            home: 0,
            ids: [NO_ID; ROUNDS],
        };
        Ok(Self(boxed(magazine, mode)?))
    }

    /// Lets CPU `home` free areas of `lane` into it; `full` areas fill it.
    pub fn begin(self, lane: Lane, number: Number, full: u16, home: u16) -> Filling {
        let Self(mut magazine) = self;
        magazine.stamp = Stamp::NEVER;
        magazine.number = number;
        magazine.mixed_gross = 0;
        magazine.mixed_span = 0;
        magazine.lane = lane;
        magazine.most = full;
        magazine.home = home;
        Filling(magazine)
    }

    /// Makes it a clean magazine of `class`: no area in it is lazy.
    pub fn stock(self, class: Class) -> Clean {
        let Self(mut magazine) = self;
        magazine.lane = Lane::Own(class);
        Clean(magazine)
    }
}

/// A magazine into which a CPU frees. Its areas are lazy.
pub struct Filling(Box<Magazine>);

impl Filling {
    /// Puts an area of its class in, unless that would make it full. Returns the link for the descriptor.
    #[inline(always)]
    pub fn push_below(&mut self, id: Id) -> Option<Link> {
        let Self(magazine) = self;
        let at = magazine.len;
        let len = at.wrapping_add(1);
        if len >= magazine.most {
            return None;
        }
        *magazine.ids.get_mut(usize::from(at))? = id;
        magazine.len = len;
        Some(magazine.number.link())
    }

    /// As [`Self::push_below`], of an area of any class, that takes `gross` pages and keeps `span` from
    /// others, into a mixed magazine: `most` of these fill it, too.
    #[inline(always)]
    pub fn push_mixed_below(&mut self, id: Id, gross: u16, span: u16, most: u32) -> Option<Link> {
        let span = self.0.mixed_span.wrapping_add(span);
        if u32::from(span) >= most {
            return None;
        }
        let link = self.push_below(id)?;
        let Self(magazine) = self;
        magazine.mixed_gross = magazine.mixed_gross.wrapping_add(gross);
        magazine.mixed_span = span;
        Some(link)
    }

    /// Puts an area of its class in. Returns the link for the descriptor, and whether the magazine is
    /// full now.
    pub fn push(&mut self, id: Id) -> (Link, bool) {
        let Self(magazine) = self;
        magazine.push(id);
        (magazine.number.link(), magazine.len >= magazine.most)
    }

    /// As [`Self::push`], for any class, into a mixed magazine. That is full, too, if its areas keep
    /// `most` pages from others.
    pub fn push_mixed(&mut self, id: Id, class: Class, most: u32) -> (Link, bool) {
        let Self(magazine) = self;
        // No more than one area above what fills it, so that both sums fit.
        magazine.mixed_gross = magazine.mixed_gross.wrapping_add(class.gross() as u16);
        magazine.mixed_span = magazine.mixed_span.wrapping_add(class.span() as u16);
        let (link, full) = self.push(id);
        (link, full || self.span() >= most)
    }

    /// Number of areas.
    pub fn areas(&self) -> u16 {
        self.0.len
    }

    /// Pages that its areas keep from others.
    pub fn span(&self) -> u32 {
        self.0.span()
    }

    /// Ends the filling. The PTEs of all its areas must be clear. Any context.
    pub fn seal(self, epochs: &Epochs) -> Sealed {
        let Self(mut magazine) = self;
        magazine.stamp = epochs.stamp();
        Sealed(magazine)
    }
}

/// A magazine that waits for a flush.
#[must_use = "the areas of a magazine that is dropped are lost"]
pub struct Sealed(Box<Magazine>);

impl Sealed {
    /// Pages that its areas keep from others.
    pub fn span(&self) -> u32 {
        self.0.span()
    }

    /// Has `planner` cover its areas.
    pub fn cover(&mut self, planner: &mut Planner, descriptors: &Descriptors) {
        let pages = self.0.pages();
        let Magazine {
            stamp, ids, len, ..
        } = &mut *self.0;
        let ids = ids.get(..usize::from(*len)).unwrap_or_default();
        planner.cover(stamp, pages, ranges(ids.iter().copied(), descriptors));
    }

    /// The same magazine, clean, if `flushed` proves it. Then its areas no longer count as lazy.
    ///
    /// # Errors
    ///
    /// The magazine as it was; it needs another flush.
    pub fn clean(self, flushed: &Flushed, numbers: &Numbers) -> Result<Clean, Self> {
        let Self(mut magazine) = self;
        if !flushed.cleans(&magazine.stamp) {
            return Err(Self(magazine));
        }
        numbers.end(core::mem::replace(&mut magazine.number, Number::NONE));
        Ok(Clean(magazine))
    }

    /// Stamps it again, to wait for another flush.
    pub fn wait_again(self, epochs: &Epochs) -> Self {
        Filling(self.0).seal(epochs)
    }
}

/// A magazine of clean areas.
#[must_use = "the areas of a magazine that is dropped are lost"]
pub struct Clean(Box<Magazine>);

impl Clean {
    /// Takes an area out.
    pub fn pop(&mut self) -> Option<CleanId> {
        self.0.pop().map(CleanId)
    }

    /// Begins its use by a CPU, which keeps the area that goes out next, or [`NO_ID`], and the number of areas beside it.
    /// Returns these; the magazine has no areas before [`Self::end_use`].
    pub fn begin_use(&mut self) -> (Id, u8) {
        self.0.most = self.0.len;
        let len = core::mem::take(&mut self.0.len) as u8;
        (self.last(len), len)
    }

    /// Ends the use: it has `len` areas.
    pub fn end_use(mut self, len: u8) -> Self {
        self.0.len = len.into();
        self
    }

    /// Most areas that it has had since [`Self::begin_use`].
    pub fn most(&self) -> u16 {
        self.0.most
    }

    /// The last of `len` areas, or [`NO_ID`].
    #[inline(always)]
    fn last(&self, len: u8) -> Id {
        match self.0.ids.get(usize::from(len.wrapping_sub(1))) {
            Some(&id) => id,
            None => NO_ID,
        }
    }

    /// Takes area `top` of `len` out, with its descriptor. Takes nothing out if that is missing. Only in use.
    #[inline(always)]
    pub fn pop_in_use<'d>(
        &mut self,
        top: &mut Id,
        len: &mut u8,
        descriptors: &'d Descriptors,
    ) -> Option<(CleanId, &'d Descriptor)> {
        let id = *top;
        // Without a look whether there is an area: `NO_ID` has no descriptor.
        let descriptor = descriptors.get(id)?;
        let left = len.wrapping_sub(1);
        if let Some(&soon) = self.0.ids.get(usize::from(left.wrapping_sub(AHEAD))) {
            descriptors.prefetch(soon);
        }
        *top = self.last(left);
        *len = left;
        Some((CleanId(id), descriptor))
    }

    /// Puts an area of its class in, which goes out next. There must be room. Returns whether it has more areas than
    /// [`Self::most`] then. Only in use.
    pub fn push_in_use(&mut self, top: &mut Id, len: &mut u8, area: CleanId) -> bool {
        let Some(place) = self.0.ids.get_mut(usize::from(*len)) else {
            return false;
        };
        *place = area.0;
        *top = area.0;
        *len = len.wrapping_add(1);
        let more = u16::from(*len) > self.0.most;
        self.0.most = self.0.most.max(u16::from(*len));
        more
    }

    /// Puts an area of its class in. There must be room.
    pub fn push(&mut self, area: CleanId) {
        self.0.push(area.0);
    }

    /// Takes all areas out, in the order in which they were put in.
    pub fn drain(&mut self) -> impl Iterator<Item = CleanId> + '_ {
        let Magazine { ids, len, .. } = &mut *self.0;
        let len = core::mem::take(len);
        ids.iter().take(usize::from(len)).map(|&id| CleanId(id))
    }

    /// Offers each area to `take`, and keeps those that it gives back. For mixed magazines only. Nobody
    /// counts their pages any more: the depot counts the areas that it gets.
    pub fn offer(&mut self, mut take: impl FnMut(CleanId) -> Result<(), CleanId>) {
        let Self(magazine) = self;
        let all = core::mem::take(&mut magazine.len);
        magazine.mixed_gross = 0;
        magazine.mixed_span = 0;
        for at in 0..usize::from(all) {
            let Some(&id) = magazine.ids.get(at) else {
                return;
            };
            if let Err(CleanId(id)) = take(CleanId(id)) {
                magazine.push(id);
            }
        }
    }

    /// The lane of its areas.
    pub fn lane(&self) -> Lane {
        self.0.lane
    }

    /// The CPU that filled it.
    pub fn home(&self) -> u16 {
        self.0.home
    }

    /// Number of areas.
    pub fn len(&self) -> u16 {
        self.0.len
    }

    /// Whether it has no area.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pages that its areas take, guard pages included.
    pub fn gross(&self) -> u32 {
        self.0.gross()
    }

    /// Pages that its areas keep from others.
    pub fn span(&self) -> u32 {
        self.0.span()
    }

    /// The magazine for another use.
    ///
    /// # Errors
    ///
    /// The magazine, if it has areas.
    pub fn into_empty(self) -> Result<Empty, Self> {
        if self.is_empty() {
            Ok(Empty(self.0))
        } else {
            Err(self)
        }
    }
}

/// One clean area that belongs to nobody. An area has only one of these at a time.
#[must_use = "an area that is dropped is lost"]
#[derive(Debug, PartialEq, Eq)]
pub struct CleanId(Id);

impl CleanId {
    /// A new area of `space`, under descriptor `id`. It needs no flush: the space was clean when it
    /// became free, and nobody has mapped anything there since.
    pub fn made(id: Id, _space: Untouched) -> Self {
        Self(id)
    }

    /// The area that [`super::ordered`] kept as the bit of its first page, and took out just now.
    pub(super) fn again(id: Id) -> Self {
        Self(id)
    }

    /// Gives the area to a caller that may map it.
    #[inline(always)]
    pub fn into_id(self) -> Id {
        self.0
    }

    /// The area's descriptor, to look at.
    pub fn id(&self) -> Id {
        self.0
    }

    /// The pages of the area, guard page included, which become free.
    pub fn vacate(self, descriptors: &Descriptors) -> CleanRange {
        let range = descriptors.held(self.0).map(|descriptor| Range {
            start: descriptor.start(),
            pages: descriptor.pages().saturating_add(GUARD),
        });
        CleanRange(range.unwrap_or_default(), 1)
    }
}

/// The pages of clean areas that were dissolved, and the number of these areas.
#[derive(Debug)]
pub struct CleanRange(Range, u32);

impl CleanRange {
    /// No pages.
    pub const NONE: Self = Self(
        Range {
            start: Page::new(0),
            pages: 0,
        },
        0,
    );

    /// Adds the range that begins where this one ends.
    ///
    /// # Errors
    ///
    /// The other one, if it begins elsewhere.
    pub fn join(&mut self, next: Self) -> Result<(), Self> {
        if next.0.start != self.0.end() {
            return Err(next);
        }
        self.0.pages = self.0.pages.saturating_add(next.0.pages);
        self.1 += next.1;
        Ok(())
    }
}

impl Vacant for CleanRange {
    fn range(&self) -> Range {
        self.0
    }

    fn areas(&self) -> u32 {
        self.1
    }
}

fn ranges<'a>(
    ids: impl Iterator<Item = Id> + 'a,
    descriptors: &'a Descriptors,
) -> impl Iterator<Item = Range> + 'a {
    ids.filter_map(|id| descriptors.held(id))
        .map(|descriptor| Range {
            start: descriptor.start(),
            pages: descriptor.pages(),
        })
}

/// Loose areas, gathered for one flush.
#[must_use = "the areas of a list that is dropped are lost"]
pub struct LooseList {
    list: List,
    stamp: Stamp,
}

impl LooseList {
    /// Ends the gathering. The PTEs of all areas in `list` must be clear.
    pub fn seal(list: List, epochs: &Epochs) -> Self {
        let stamp = epochs.stamp();
        Self { list, stamp }
    }

    /// Has `planner` cover the areas.
    pub fn cover(&mut self, planner: &mut Planner, descriptors: &Descriptors) {
        planner.cover(
            &mut self.stamp,
            0,
            ranges(self.list.iter(descriptors), descriptors),
        );
    }

    /// The same areas, clean, if `flushed` proves it.
    ///
    /// # Errors
    ///
    /// The areas; they need another flush.
    pub fn clean(self, flushed: &Flushed) -> Result<CleanList, List> {
        if flushed.cleans(&self.stamp) {
            Ok(CleanList(self.list))
        } else {
            Err(self.list)
        }
    }
}

/// Clean areas outside of magazines.
#[must_use = "the areas of a list that is dropped are lost"]
#[derive(Default)]
pub struct CleanList(List);

impl CleanList {
    /// Puts an area in front.
    #[inline(always)]
    pub fn push(&mut self, descriptors: &Descriptors, area: CleanId) {
        self.0.push_clean(descriptors, area.0);
    }

    /// Takes the first area out.
    pub fn pop(&mut self, descriptors: &Descriptors) -> Option<CleanId> {
        self.0.pop(descriptors).map(CleanId)
    }

    /// As [`Self::pop`], with the area's descriptor. Takes nothing out if that is missing.
    #[inline(always)]
    pub fn pop_described<'d>(
        &mut self,
        descriptors: &'d Descriptors,
    ) -> Option<(CleanId, &'d Descriptor)> {
        let (id, descriptor) = self.0.pop_described(descriptors)?;
        Some((CleanId(id), descriptor))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the areas out, the last one that was put in first.
    pub fn drain<'a>(
        &'a mut self,
        descriptors: &'a Descriptors,
    ) -> impl Iterator<Item = CleanId> + 'a {
        core::iter::from_fn(move || self.pop(descriptors))
    }
}

/// Most magazines that wait for one CPU. A CPU that only frees never collects them.
const HOME_MAX: usize = 16;

/// Clean mixed magazines that wait for the CPU that filled them. Any task puts them there and takes them; none
/// waits for another one.
pub struct Home([Mailbox<Magazine>; HOME_MAX]);

impl Home {
    /// Without a magazine.
    pub fn new() -> Self {
        Self(core::array::from_fn(|_| Mailbox::new()))
    }

    /// Puts a magazine there.
    ///
    /// # Errors
    ///
    /// The magazine, if there is no room.
    pub fn put(&self, magazine: Clean) -> Result<(), Clean> {
        let mut left = magazine.into_box();
        for place in &self.0 {
            match place.put(left) {
                Ok(()) => return Ok(()),
                Err(full) => left = full,
            }
        }
        Err(Clean::from_box(left))
    }

    /// Takes a magazine out.
    pub fn take(&self) -> Option<Clean> {
        self.0.iter().find_map(Mailbox::take).map(Clean::from_box)
    }
}

/// Private to this file, so that no other file can change a magazine's state.
mod state {
    use super::{Box, Clean, Empty, Magazine, Sealed};

    /// A state in which magazines are kept in a chain.
    pub trait State {
        fn from_box(magazine: Box<Magazine>) -> Self;
        fn into_box(self) -> Box<Magazine>;
    }

    macro_rules! states {
        ($($state:ident)*) => {$(
            impl State for $state {
                fn from_box(magazine: Box<Magazine>) -> Self {
                    Self(magazine)
                }
                fn into_box(self) -> Box<Magazine> {
                    self.0
                }
            }
        )*};
    }
    states!(Empty Sealed Clean);
}

/// A list of magazines in one state.
pub struct Chain<S: State> {
    head: Option<Box<Magazine>>,
    span: u64,
    len: u32,
    state: PhantomData<S>,
}

impl<S: State> Default for Chain<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: State> Chain<S> {
    /// No magazine.
    pub const fn new() -> Self {
        Self {
            head: None,
            span: 0,
            len: 0,
            state: PhantomData,
        }
    }

    /// One magazine.
    pub fn of(magazine: S) -> Self {
        let mut chain = Self::new();
        chain.push(magazine);
        chain
    }

    /// Puts a magazine in front.
    pub fn push(&mut self, magazine: S) {
        let mut magazine = magazine.into_box();
        self.span += u64::from(magazine.span());
        self.len += 1;
        magazine.next = self.head.take();
        self.head = Some(magazine);
    }

    /// Takes the first magazine out.
    pub fn pop(&mut self) -> Option<S> {
        self.pop_behind(0)
    }

    /// Takes the whole list out.
    pub fn take(&mut self) -> Self {
        core::mem::take(self)
    }

    /// Takes out the first `most` magazines, in their order.
    pub fn take_first(&mut self, most: usize) -> Self {
        // Without a look at each: there may be thousands, and the caller may have a lock.
        if most >= self.len as usize {
            return self.take();
        }
        let mut first = Self::new();
        let mut link = &mut self.head;
        for _ in 0..most {
            let Some(magazine) = link.as_mut() else {
                return self.take();
            };
            first.span += u64::from(magazine.span());
            first.len += 1;
            link = &mut magazine.next;
        }
        let rest = link.take();
        first.head = core::mem::replace(&mut self.head, rest);
        self.span -= first.span;
        self.len -= first.len;
        first
    }

    /// Removes the magazine at position `before`.
    fn pop_behind(&mut self, before: usize) -> Option<S> {
        let mut link = &mut self.head;
        for _ in 0..before {
            link = &mut link.as_mut()?.next;
        }
        let mut magazine = link.take()?;
        *link = magazine.next.take();
        self.span -= u64::from(magazine.span());
        self.len -= 1;
        Some(S::from_box(magazine))
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

impl Chain<Clean> {
    /// The lane of the first magazine.
    pub fn first_lane(&self) -> Option<Lane> {
        Some(self.head.as_ref()?.lane)
    }

    /// Areas in the first magazine.
    pub fn first_len(&self) -> Option<u16> {
        Some(self.head.as_ref()?.len)
    }

    /// Takes out the first magazine that `cpu` filled, if that is among the first `near`; else the
    /// first of all.
    pub fn pop_near(&mut self, cpu: u16, near: usize) -> Option<Clean> {
        let all = core::iter::successors(self.head.as_deref(), |m| m.next.as_deref());
        let before = all
            .take(near)
            .position(|magazine| magazine.home == cpu)
            .unwrap_or(0);
        self.pop_behind(before)
    }

    /// Puts an area of `class` into the first magazine, which is of that class.
    ///
    /// # Errors
    ///
    /// The area, if there is no magazine, or the first one has `rounds` areas.
    pub fn push_one(&mut self, area: CleanId, class: Class, rounds: u16) -> Result<(), CleanId> {
        match &mut self.head {
            Some(first) if first.len < rounds => {
                first.push(area.0);
                self.span += u64::from(class.span());
                Ok(())
            }
            _ => Err(area),
        }
    }

    /// Takes one area of `class` out of the first magazine, which is of that class.
    pub fn pop_one(&mut self, class: Class) -> Option<CleanId> {
        let id = self.head.as_mut()?.pop()?;
        self.span -= u64::from(class.span());
        Some(CleanId(id))
    }
}

impl<S: State> Drop for Chain<S> {
    // One by one: the derived drop would recurse once per magazine.
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}
