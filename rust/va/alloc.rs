// SPDX-License-Identifier: GPL-2.0

//! The way in: an area out of this CPU's stock, else out of the depot, else made from the extents.

use crate::{
    sys::{
        mem::{Mode, NoMemory},
        sync::{
            cpu_hint,
            Ordering::{Acquire, Relaxed, Release},
            Owned,
        },
    },
    va::{
        area::{link, Descriptor, Id, Kind, NO_CLASS},
        space::range::Range,
        stock::magazine::{class_of, Chain, Local, Magazine, Taken},
        switches::Switch,
        AllocError, Env, Manager, Purge, GUARD,
    },
};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Pages, without the guard page.
    pub pages: u32,
    /// Alignment of the first page: a power of two, in pages.
    pub align: u32,
    /// Whether it may sleep: for memory, for a purge.
    pub mode: Mode,
    /// Who asks: a code address.
    pub caller: usize,
}

/// An allocated area that nobody else knows of yet. To be published or aborted.
#[must_use = "an area that is neither published nor aborted is lost"]
#[derive(Debug)]
pub struct Area<'m> {
    pub(super) descriptor: &'m Descriptor,
    pub(super) id: Id,
}

impl Area<'_> {
    /// First page.
    #[inline(always)]
    pub fn start(&self) -> u32 {
        self.descriptor.start()
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
    /// [`AllocError`]; then nothing has changed, except that a purge may have taken place.
    #[inline(always)]
    pub fn alloc(&self, request: Request) -> Result<Area<'_>, AllocError> {
        let class = class_of(request.pages, request.align);
        if class != NO_CLASS {
            if let Some(mut local) = self.local.enter() {
                if let Some(area) = self.pop(&mut local, class, request.caller) {
                    return Ok(area);
                }
            }
        }
        self.alloc_slow(request, class)
    }

    /// Takes an area out of this CPU's stock.
    #[inline(always)]
    fn pop(&self, local: &mut Owned<'_, Local>, class: u16, caller: usize) -> Option<Area<'_>> {
        let id = local.pop(class)?;
        self.take_out(local, id, class, caller)
    }

    /// Gives an area of the stock to `caller`.
    #[inline(always)]
    fn take_out(
        &self,
        local: &mut Owned<'_, Local>,
        id: Id,
        class: u16,
        caller: usize,
    ) -> Option<Area<'_>> {
        let descriptor = self.descriptors.get(id)?;
        let caller = local.caller(&self.callers, caller);
        local.counters().alloc(caller, descriptor.pages());
        descriptor.claim(class, caller, local.cpu());
        Some(Area { descriptor, id })
    }

    #[cold]
    #[inline(never)]
    fn alloc_slow(&self, request: Request, class: u16) -> Result<Area<'_>, AllocError> {
        let request = &request;
        let &Request { pages, align, .. } = request;
        if pages == 0 || !align.is_power_of_two() {
            return Err(AllocError::Invalid);
        }
        let in_magazines = class != NO_CLASS && self.switch(Switch::Magazines);
        let made = if in_magazines {
            match self.refill_or_purge(request, class) {
                Some(area) => return Ok(area),
                None => self.make_batch(request, class),
            }
        } else {
            self.make_or_reclaim(request, NO_CLASS)
        };
        match made {
            Ok(area) => {
                self.counters.alloc_shared(area.descriptor.caller(), pages);
                Ok(area)
            }
            Err(e) => {
                self.shared.failures.fetch_add(1, Relaxed);
                Err(e)
            }
        }
    }

    /// As [`Self::refill`]; where the depot has nothing although far more is lazy than should be,
    /// because the purge that was asked for has yet to get a CPU, purges a part rather than have more
    /// made.
    fn refill_or_purge(&self, request: &Request, class: u16) -> Option<Area<'_>> {
        self.refill(request, class).or_else(|| {
            let overdue = self.lazy_span.load(Relaxed) > self.high();
            if !overdue || request.mode == Mode::NoWait {
                return None;
            }
            self.shared.backpressure_steps.fetch_add(1, Relaxed);
            self.purge(Purge::Step);
            self.refill(request, class)
        })
    }

    /// Swaps this CPU's empty clean magazine for a full one of the depot, and takes an area out.
    fn refill(&self, request: &Request, class: u16) -> Option<Area<'_>> {
        let mut local = self.local.enter()?;
        // The stock may have been out of reach rather than empty.
        if let Some(area) = self.pop(&mut local, class, request.caller) {
            return Some(area);
        }
        if self.draining.load(Relaxed) {
            return None;
        }
        while let Some(left) = self.come_home(&mut local) {
            drop(local);
            self.shelve(left);
            local = self.local.enter()?;
            if let Some(area) = self.pop(&mut local, class, request.caller) {
                return Some(area);
            }
        }
        let full = match self.depot.take(class, local.cpu())? {
            Taken::Magazine(full) => full,
            Taken::One(id, empty) => {
                if let Some(empty) = empty {
                    self.put_spare(&mut local, empty);
                }
                return self.take_out(&mut local, id, class, request.caller);
            }
        };
        if local.clean_span() > self.local_clean_max {
            let mut chain = Chain::new();
            local.spill_clean(&mut chain);
            while let Some(magazine) = chain.pop() {
                self.shelve(magazine);
            }
        }
        if let Some(empty) = local.load(full) {
            self.put_spare(&mut local, empty);
        }
        self.pop(&mut local, class, request.caller)
    }

    /// Makes one area for the caller and, each time that the depot is found empty, more of the same
    /// for this CPU's stock.
    fn make_batch(&self, request: &Request, class: u16) -> Result<Area<'_>, AllocError> {
        let area = self.make_or_reclaim(request, class)?;
        let batch = match self.local.enter() {
            Some(mut local) => {
                if !local.has_spare() {
                    if let Some(spare) = self.depot.take_spare() {
                        drop(local.keep_spare(spare));
                    }
                }
                local.next_batch(class)
            }
            None => 1,
        };
        if batch > 1 {
            if let Ok(magazine) = Magazine::new(Mode::NoWait) {
                if let Some(mut local) = self.local.enter() {
                    self.put_spare(&mut local, magazine);
                }
            }
        }
        for _ in 1..batch {
            let Ok(extra) = self.make(request, class) else {
                break;
            };
            if !self.stock(class, extra.id) {
                self.dissolve(&[extra.id]);
                break;
            }
        }
        Ok(area)
    }

    /// Makes an area from the extents; where there is no space, purges and tries again.
    fn make_or_reclaim(&self, request: &Request, class: u16) -> Result<Area<'_>, AllocError> {
        // Each round but the last has seen space come back; the bound is for a load that takes it
        // away from us every time.
        for _ in 0..64 {
            let seen = self.shared.dissolved_gross.load(Acquire);
            match self.make(request, class) {
                Err(AllocError::NoSpace) => {}
                done => return done,
            }
            if request.pages.saturating_add(GUARD) > self.pages {
                return Err(AllocError::NoSpace);
            }
            match request.mode {
                Mode::Sleep => {
                    self.purge(Purge::Drain);
                }
                // What is clean can be had without a flush.
                Mode::NoWait => self.dissolve_depot(),
            }
            if self.shared.dissolved_gross.load(Acquire) == seen {
                return Err(AllocError::NoSpace);
            }
            self.shared.purge_retries.fetch_add(1, Relaxed);
        }
        Err(AllocError::NoSpace)
    }

    /// Makes an area from the extents.
    fn make(&self, request: &Request, class: u16) -> Result<Area<'_>, AllocError> {
        let &Request {
            pages, align, mode, ..
        } = request;
        let gross = pages.checked_add(GUARD).ok_or(AllocError::NoSpace)?;
        if gross > self.pages {
            return Err(AllocError::NoSpace);
        }
        let start = self.shards.take(gross, align, cpu_hint(), mode)?;
        let range = Range {
            start,
            pages: gross,
        };
        let (id, descriptor) = match self.describe(start, pages, class, mode) {
            Ok(described) => described,
            Err(e) => {
                self.shards.give_back(&[range], || self.env.now());
                return Err(e.into());
            }
        };
        self.shared.made_gross.fetch_add(u64::from(gross), Relaxed);
        self.shared.moved.fetch_add(1, Release);
        let caller = self.callers.number(request.caller);
        descriptor.claim(class, caller, cpu_hint());
        Ok(Area { descriptor, id })
    }

    /// Gives a range that the caller holds a descriptor, and names it in the index.
    fn describe(
        &self,
        start: u32,
        pages: u32,
        class: u16,
        mode: Mode,
    ) -> Result<(Id, &Descriptor), NoMemory> {
        self.index.prepare(start, pages, mode)?;
        let id = self.descriptors.take(mode)?;
        let descriptor = self.descriptors.get(id).ok_or(NoMemory)?;
        descriptor.shape(start, pages, class);
        descriptor.set_next(link::CLEAN);
        self.index.set(start, pages, id);
        Ok((id, descriptor))
    }

    /// Makes an area Live: from now on lookup, pin and free find it. Any context.
    #[inline(always)]
    pub fn publish(&self, area: Area<'_>, payload: usize, kind: Kind) {
        area.descriptor.publish(payload, kind);
    }

    /// Gives an area back that was never published; PTEs that were set in it are clear again. Not
    /// from interrupts.
    pub fn abort(&self, area: Area<'_>) {
        self.retire(area.descriptor, area.id);
    }
}
