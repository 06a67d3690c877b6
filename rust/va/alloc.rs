// SPDX-License-Identifier: GPL-2.0

//! The way in: an area out of this CPU's stock, else down the ladder of [`Manager::climb`]: magazines that
//! came home to this CPU, the depot, an overdue purge, new space, and at last a drain.

use crate::{
    sys::{
        broken,
        mem::{Mode, NoMemory},
        sync::{
            cpu_hint,
            Ordering::{Acquire, Relaxed, Release},
            Owned,
        },
        Page,
    },
    va::{
        area::{
            class::{Class, ROUNDS},
            Descriptor, Id, Kind, Link, Origin,
        },
        room::Gap,
        space::{
            range::Size,
            shards::{Untouched, Vacant},
        },
        stock::{
            depot::Taken,
            local::{Local, Space},
            magazine::{Chain, Clean, CleanId, Empty},
        },
        switches::Switch,
        AllocError, Env, Manager, Purge, GUARD,
    },
};

/// A request that finds no space after this many drains fails. Each drain brought space back; the bound
/// is for a load that takes it away every time.
const DRAINS_MAX: u32 = 63;

/// A request for an area.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Pages, without the guard page.
    pub pages: u32,
    /// Alignment of the first page: a power of two, in pages.
    pub align: u32,
    /// Whether it may sleep: for memory, for a purge.
    pub mode: Mode,
    /// The code address that asks.
    pub caller: usize,
}

/// An allocated area that nobody else knows of yet. Its holder must publish or abort it.
#[must_use = "an area that is neither published nor aborted is lost"]
#[derive(Debug)]
pub struct Area<'m> {
    pub(super) descriptor: &'m Descriptor,
    pub(super) id: Id,
}

impl Area<'_> {
    /// First page.
    #[inline(always)]
    pub fn start(&self) -> Page {
        self.id.start()
    }

    /// Pages, without the guard page.
    #[inline(always)]
    pub fn pages(&self) -> u32 {
        self.descriptor.pages()
    }
}

impl<E: Env> Manager<E> {
    /// Allocates an area. Sleeps only where the request allows.
    ///
    /// # Errors
    ///
    /// [`AllocError`]; then nothing has changed, except that a purge may have run.
    #[inline(always)]
    pub fn alloc(&self, request: Request) -> Result<Area<'_>, AllocError> {
        let class = Class::from(request.pages, request.align);
        if let Some(class) = class {
            if let Some(mut local) = self.local.enter() {
                if let Some(area) = self.pop(&mut local, class, request.caller) {
                    return Ok(area);
                }
            }
        }
        self.alloc_slow(request, class)
    }

    /// As [`Self::alloc`], at a multiple of `best` pages if there is such a place. The failure of that alone does not
    /// count.
    pub fn alloc_best(&self, request: Request, best: u32) -> Result<Area<'_>, AllocError> {
        let wish = Request {
            align: request.align.max(best),
            ..request
        };
        let class = Class::from(wish.pages, wish.align);
        self.alloc_uncounted(wish, class)
            .or_else(|_| self.alloc(request))
    }

    /// Allocates and publishes an area out of this CPU's stock, for the caller that allocated here last.
    /// Returns its first page. `None`, and nothing has changed, if it is another caller, or there is no such
    /// area: [`Self::alloc`] serves that.
    #[inline(always)]
    pub fn alloc_stocked(
        &self,
        class: Class,
        caller: usize,
        payload: usize,
        kind: Kind,
    ) -> Option<Page> {
        let mut local = self.local.enter()?;
        if !local.is_last_caller(caller) {
            return None;
        }
        let (area, descriptor) = local.pop(class, &self.descriptors)?;
        descriptor.claim_live(Some(class), local.last_origin(), payload, kind);
        let start = area.into_id().start();
        // Not at the end of all ways out of here: the compiler would have to tell them apart there.
        drop(local);
        Some(start)
    }

    /// Takes an area out of this CPU's stock.
    #[inline(always)]
    fn pop(&self, local: &mut Owned<'_, Local>, class: Class, caller: usize) -> Option<Area<'_>> {
        let origin = local.origin(&self.callers, caller);
        let (area, descriptor) = local.pop(class, &self.descriptors)?;
        descriptor.claim(Some(class), origin);
        let id = area.into_id();
        Some(Area { descriptor, id })
    }

    /// Gives an area of the depot to `caller`.
    fn take_out(
        &self,
        local: &mut Owned<'_, Local>,
        area: CleanId,
        class: Class,
        caller: usize,
    ) -> Option<Area<'_>> {
        let id = area.into_id();
        let descriptor = self.descriptors.held(id)?;
        let origin = local.origin(&self.callers, caller);
        let size = Size::of(class.pages());
        local.counters().alloc(origin.caller(), size);
        descriptor.claim(Some(class), origin);
        Some(Area { descriptor, id })
    }

    /// Serves a request that this CPU's stock could not.
    #[cold]
    #[inline(never)]
    fn alloc_slow(&self, request: Request, class: Option<Class>) -> Result<Area<'_>, AllocError> {
        self.alloc_uncounted(request, class).inspect_err(|_| {
            self.shared.failures.fetch_add(1, Relaxed);
        })
    }

    fn alloc_uncounted(
        &self,
        request: Request,
        class: Option<Class>,
    ) -> Result<Area<'_>, AllocError> {
        if request.pages == 0 || !request.align.is_power_of_two() {
            return Err(AllocError::Invalid);
        }
        if request.mode != Mode::NoWait {
            self.equip(class, request.mode);
        }
        self.climb(&request, class.filter(|_| self.switch(Switch::Magazines)))
    }

    /// The ladder: each step costs more than the one before it. Only areas of a class that is kept in
    /// magazines (`class`) begin at the first step.
    fn climb(&self, request: &Request, class: Option<Class>) -> Result<Area<'_>, AllocError> {
        if let Some(class) = class {
            for helped in [false, true] {
                let found = self
                    .ask_stock(request, class)
                    .or_else(|| self.ask_home(request, class))
                    .or_else(|| self.ask_depot(request, class));
                if let Some(area) = found {
                    return Ok(area);
                }
                if helped || !self.help_to_purge(request) {
                    break;
                }
            }
        }
        let mut asked = false;
        let made = loop {
            match self.make_with_drains(request, class) {
                Err(AllocError::NoSpace) if !asked && self.ask_others(request) => asked = true,
                made => break made?,
            }
        };
        let area = self.claim(made, request, class)?;
        if let Some(class) = class {
            self.make_more(request, class);
        }
        Ok(area)
    }

    /// Looks once more: the stock may have been out of reach, not empty.
    fn ask_stock(&self, request: &Request, class: Class) -> Option<Area<'_>> {
        let mut local = self.local.enter()?;
        let area = self.pop(&mut local, class, request.caller);
        if area.is_none() && local.has_clean(class) {
            broken(c"a clean area has no descriptor");
        }
        area
    }

    /// Puts areas of mixed magazines that came home to this CPU into its stock, until one of them serves
    /// the request.
    fn ask_home(&self, request: &Request, class: Class) -> Option<Area<'_>> {
        while !self.purges.draining.load(Relaxed) {
            let mut local = self.local.enter()?;
            let mut back = self.depot.come_home(local.cpu())?;
            let space = self.space();
            back.offer(|area| {
                let class = self.descriptors.held(area.id()).and_then(Descriptor::class);
                match class {
                    Some(class) => local.keep(class, area, space, &self.descriptors),
                    None => Err(area),
                }
            });
            let area = self.pop(&mut local, class, request.caller);
            match back.into_empty() {
                Ok(empty) => self.put_spare(&mut local, empty),
                Err(back) => {
                    // The areas that come home were in use a moment ago. Those that this CPU has kept perhaps were not.
                    let mut unused = local.give_unused(ROUNDS as u32, &self.descriptors);
                    drop(local);
                    self.dissolve_magazine(back);
                    self.dissolve_all(unused.drain(&self.descriptors));
                }
            }
            if area.is_some() {
                return area;
            }
        }
        None
    }

    /// How much of the arena is in no area: with nobody, not lazy, not in stock.
    fn space(&self) -> Space {
        // In this order: what was dissolved was made before.
        let dissolved = self.shared.dissolved_gross.load(Acquire);
        let taken = self.shared.made_gross.load(Relaxed).wrapping_sub(dissolved);
        Space::of(u64::from(self.pages).saturating_sub(taken), self.pages)
    }

    /// Swaps this CPU's empty clean magazine for a full one of the depot, and takes an area out.
    fn ask_depot(&self, request: &Request, class: Class) -> Option<Area<'_>> {
        if self.purges.draining.load(Relaxed) {
            return None;
        }
        let mut local = self.local.enter()?;
        if !local.has_place(class) {
            return None;
        }
        let full = match self.depot.take(class, local.cpu())? {
            Taken::Magazine(full) => full,
            Taken::One(area, empty) => {
                if let Some(empty) = empty {
                    self.put_spare(&mut local, empty);
                }
                return self.take_out(&mut local, area, class, request.caller);
            }
        };
        let mut spilled = Chain::new();
        if !local.has_room(full.span(), &self.depot) {
            local.spill_clean(&self.depot, &mut spilled);
        }
        match local.load(class, full).map(Clean::into_empty) {
            None => {}
            Some(Ok(empty)) => self.put_spare(&mut local, empty),
            Some(Err(magazine)) => spilled.push(magazine),
        }
        let area = self.pop(&mut local, class, request.caller);
        // There may be one magazine for each class: not while nobody else gets this CPU.
        drop(local);
        while let Some(magazine) = spilled.pop() {
            self.shelve(magazine);
        }
        area
    }

    /// Purges a step before the ladder makes new areas, if far more is lazy than allowed: then the purge
    /// that was asked for still waits for a CPU. False if the request must not wait, or no purge is
    /// overdue.
    fn help_to_purge(&self, request: &Request) -> bool {
        let overdue = self.lazy_pages() > self.high();
        if !overdue || request.mode == Mode::NoWait {
            return false;
        }
        self.shared.backpressure_steps.fetch_add(1, Relaxed);
        self.purge(Purge::Step);
        true
    }

    /// Makes an area from the extents, after drains if they can help.
    fn make_with_drains(
        &self,
        request: &Request,
        class: Option<Class>,
    ) -> Result<CleanId, AllocError> {
        let mut drains = 0;
        loop {
            let seen = self.shared.dissolved_gross.load(Acquire);
            match self.make(request, class) {
                Err(AllocError::NoSpace) if drains < DRAINS_MAX && self.drain(request, seen) => {
                    drains += match request.mode {
                        Mode::Sleep | Mode::Gentle => 1,
                        // Once: the budget is for the whole request.
                        Mode::NoWait => DRAINS_MAX,
                    }
                }
                Err(AllocError::NoSpace) if request.mode == Mode::NoWait => {
                    // For the next request.
                    if self.could_ever_fit(request) {
                        self.want(Gap::of(request.pages, request.align));
                    }
                    return Err(AllocError::NoSpace);
                }
                made => return made,
            }
        }
    }

    /// Asks other users of address space to give some back. True if they did.
    fn ask_others(&self, request: &Request) -> bool {
        request.mode != Mode::NoWait && self.could_ever_fit(request) && self.env.ask_others()
    }

    /// Whether an empty arena could serve the request.
    fn could_ever_fit(&self, request: &Request) -> bool {
        request.pages.saturating_add(GUARD) <= self.pages
    }

    /// Makes an area from the extents.
    fn make(&self, request: &Request, class: Option<Class>) -> Result<CleanId, AllocError> {
        let &Request {
            pages, align, mode, ..
        } = request;
        let gross = pages.checked_add(GUARD).ok_or(AllocError::NoSpace)?;
        if gross > self.pages {
            return Err(AllocError::NoSpace);
        }
        let space = self.shards.take(gross, align, cpu_hint(), mode)?;
        let area = match self.descriptor_for(&space, pages, mode) {
            Ok(id) => self.describe(space, id, pages, class),
            Err(e) => {
                self.shards.give_back(&[space]);
                return Err(e.into());
            }
        };
        self.shared.made_gross.fetch_add(u64::from(gross), Relaxed);
        self.shared.moved.fetch_add(1, Release);
        Ok(area)
    }

    /// Gets all memory that [`Self::describe`] needs for the first `pages` pages of `space`.
    fn descriptor_for(&self, space: &Untouched, pages: u32, mode: Mode) -> Result<Id, NoMemory> {
        let start = space.range().start;
        self.index.prepare(start, pages, mode)?;
        self.descriptors.prepare(start, mode)
    }

    /// Gives a range its descriptor, and puts it into the index.
    fn describe(&self, space: Untouched, id: Id, pages: u32, class: Option<Class>) -> CleanId {
        let start = space.range().start;
        if let Some(descriptor) = self.descriptors.held(id) {
            descriptor.shape(start, pages, class);
            descriptor.set_link(Link::CLEAN);
        }
        self.index.set(start, pages, id);
        CleanId::made(id, space)
    }

    /// Gives a new area to the caller of the request.
    fn claim(
        &self,
        made: CleanId,
        request: &Request,
        class: Option<Class>,
    ) -> Result<Area<'_>, AllocError> {
        let id = made.into_id();
        let descriptor = self.descriptors.held(id).ok_or(AllocError::NoMemory)?;
        let caller = self.callers.number(request.caller);
        descriptor.claim(class, Origin::new(caller, cpu_hint()));
        self.counters.alloc_shared(caller, request.pages);
        Ok(Area { descriptor, id })
    }

    /// Makes space: purges everything lazy and dissolves all stocks. False if that cannot help, or did
    /// not: nobody has dissolved an area since the caller read `seen`.
    fn drain(&self, request: &Request, seen: u64) -> bool {
        if !self.could_ever_fit(request) {
            return false;
        }
        match request.mode {
            Mode::Sleep | Mode::Gentle => {
                self.env.finish_deferred();
                if !self.has_room(Gap::of(request.pages, request.align)) {
                    return false;
                }
                self.purge(Purge::Drain);
            }
            // Clean areas need no flush; but there may be millions of them.
            Mode::NoWait => self.dissolve_few(),
        }
        let helped = self.shared.dissolved_gross.load(Acquire) != seen;
        if helped {
            self.shared.purge_retries.fetch_add(1, Relaxed);
        }
        helped
    }

    /// Makes more areas of the same class for this CPU's stock: see [`Local::next_batch`].
    fn make_more(&self, request: &Request, class: Class) {
        let Some(mut local) = self.local.enter() else {
            return;
        };
        let batch = local.next_batch(class);
        if batch > 1 {
            self.fetch_spare(&mut local);
        }
        let bare = batch > 1 && !local.has_spare();
        drop(local);
        if bare {
            if let Ok(empty) = Empty::new(Mode::NoWait) {
                if let Some(mut local) = self.local.enter() {
                    self.put_spare(&mut local, empty);
                }
            }
        }
        for _ in 1..batch {
            let Ok(extra) = self.make(request, Some(class)) else {
                return;
            };
            if let Err(extra) = self.stock(class, extra) {
                self.dissolve_one(extra);
                return;
            }
        }
    }

    /// Puts one clean area into this CPU's stock.
    ///
    /// # Errors
    ///
    /// The area, if there is no room, or somebody else has the stock.
    pub(super) fn stock(&self, class: Class, area: CleanId) -> Result<(), CleanId> {
        match self.local.enter() {
            Some(mut local) => local.stock(class, area),
            None => Err(area),
        }
    }

    /// Fetches an empty magazine from the depot, if this CPU has none.
    pub(super) fn fetch_spare(&self, local: &mut Local) {
        if !local.has_spare() {
            if let Some(spare) = self.depot.take_spare() {
                drop(local.keep_spare(spare));
            }
        }
    }

    /// Keeps an empty magazine with this CPU, or else in the depot. Frees nothing: with a CPU held,
    /// PREEMPT_RT does not allow it.
    pub(super) fn put_spare(&self, local: &mut Local, empty: Empty) {
        if let Some(empty) = local.keep_spare(empty) {
            self.depot.put_spare(empty);
        }
    }

    /// Makes an area Live: from now on lookup, pin and free find it. Any context.
    #[inline(always)]
    pub fn publish(&self, area: Area<'_>, payload: usize, kind: Kind) {
        area.descriptor.publish(payload, kind);
    }

    /// Gives back an area that was never published. If PTEs were set in it, they are clear again. Not
    /// from interrupts; waits for a purge only if `mode` allows it.
    pub fn abort(&self, area: Area<'_>, mode: Mode) {
        area.descriptor.unclaim();
        self.retire(area.descriptor, area.id, mode);
    }
}
