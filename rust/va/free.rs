// SPDX-License-Identifier: GPL-2.0

//! The way out: the end of an area's life, the lazy magazine or list in which it waits, and the call for a
//! purge when too much is lazy.

use crate::{
    sys::{
        broken,
        mem::Mode,
        sync::{
            cpu_hint,
            Ordering::{Relaxed, Release},
            Owned, Reading,
        },
        Page,
    },
    va::{
        area::{
            class::{Class, Lane},
            Descriptor, Id, Kill, Kind, Link,
        },
        flush::{list::List, plan::Planner},
        purge::positive,
        space::range::Size,
        stock::{
            local::{Local, Pushed},
            magazine::{Chain, CleanId, Empty, LooseList, Sealed},
        },
        switches::Switch,
        Area, Env, FreeError, Manager, Purge, Ticket, GUARD,
    },
};

/// An area whose life has ended. Its holder must clear the PTEs, then finish the free.
#[must_use = "a dying area that is not finished is lost"]
#[derive(Debug)]
pub struct Dying<'m> {
    pub(super) descriptor: &'m Descriptor,
    pub(super) id: Id,
}

impl Dying<'_> {
    /// First page.
    #[inline(always)]
    pub fn start(&self) -> Page {
        self.descriptor.start()
    }

    /// Pages, without the guard page.
    #[inline(always)]
    pub fn pages(&self) -> u32 {
        self.descriptor.pages()
    }

    /// The payload that it was published with.
    #[inline(always)]
    pub fn payload(&self) -> usize {
        self.descriptor.payload()
    }

    /// If somebody has noted the area with [`Manager::note`], its number, once: its holder must tell them
    /// that the area goes.
    #[inline(always)]
    pub fn take_note(&self) -> Option<u32> {
        self.descriptor.take_note().then(|| self.id.word())
    }

    /// Its use.
    #[inline(always)]
    pub fn kind(&self) -> Kind {
        self.descriptor.kind()
    }
}

/// How [`Manager::begin_free`] went.
#[must_use]
#[derive(Debug)]
pub enum Freed<'m> {
    /// The caller must finish the free.
    Now(Dying<'m>),
    /// The last unpin will finish it; [`Manager::is_gone`] tells when.
    Deferred(Ticket),
}

/// Where [`Manager::finish_free`] left an area.
enum Retired {
    /// In this CPU's lazy magazine.
    Kept,
    /// The same, and these magazines are to be handed on.
    Full(Chain<Sealed>),
    /// Nowhere: there is no empty magazine.
    Not,
}

/// When more than `HIGH` times the limit is lazy, tasks help to purge. A flush costs as much for a few
/// large areas as for thousands of small ones. So the limit itself only starts the work item, and all
/// areas freed until that gets a CPU share its flush.
const HIGH: u64 = 4;

impl<E: Env> Manager<E> {
    /// Ends the life of the area that starts at `page`. Any context; of several callers one wins.
    ///
    /// # Errors
    ///
    /// [`FreeError`]; then nothing has changed.
    #[inline(always)]
    pub fn begin_free(&self, page: Page) -> Result<Freed<'_>, FreeError> {
        self.begin(page, Descriptor::kill)
    }

    /// As [`Self::begin_free`], of an area that nobody has pinned or noted: [`Dying::take_note`] has nothing
    /// to say. `None`, and nothing has changed, if it is another one, or there is none.
    #[inline(always)]
    pub fn begin_free_plain(&self, page: Page) -> Option<Dying<'_>> {
        let id = Id::of(page);
        let reading = Reading::begin();
        let descriptor = self.descriptors.look(id, &reading)?;
        if !descriptor.kill_plain(page) {
            return None;
        }
        let descriptor = self.descriptors.keep(descriptor);
        Some(Dying { descriptor, id })
    }

    /// As [`Self::begin_free`]. But if the area is pinned, the caller has a pin from now on, too: it can
    /// wait until [`Self::is_last`], and its own unpin finishes the free.
    ///
    /// # Errors
    ///
    /// [`FreeError`]; then nothing has changed.
    pub fn begin_free_sync(&self, page: Page) -> Result<Freed<'_>, FreeError> {
        self.begin(page, Descriptor::kill_and_pin)
    }

    fn begin(
        &self,
        page: Page,
        kill: impl FnOnce(&Descriptor, Page) -> Kill,
    ) -> Result<Freed<'_>, FreeError> {
        let id = Id::of(page);
        let reading = Reading::begin();
        let Some(descriptor) = self.descriptors.look(id, &reading) else {
            return Err(self.refuse(page));
        };
        match kill(descriptor, page) {
            Kill::Dead => {
                let descriptor = self.descriptors.keep(descriptor);
                Ok(Freed::Now(Dying { descriptor, id }))
            }
            Kill::Pinned(version) => {
                self.shared.frees_pinned.fetch_add(1, Relaxed);
                Ok(Freed::Deferred(Ticket { id, version }))
            }
            Kill::Elsewhere | Kill::NotLive => Err(self.refuse(page)),
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse(&self, page: Page) -> FreeError {
        let reading = Reading::begin();
        let (error, counter) = match self.descriptors.look(self.index.get(page), &reading) {
            _ if page >= self.end() => (FreeError::Foreign, &self.shared.errors_foreign_free),
            None => (FreeError::NoArea, &self.shared.errors_foreign_free),
            Some(d) if d.start() != page && d.snapshot().is_some() => {
                (FreeError::Inner, &self.shared.errors_inner_free)
            }
            Some(d) if d.start() != page => (FreeError::NoArea, &self.shared.errors_foreign_free),
            Some(_) => (FreeError::DoubleFree, &self.shared.errors_double_free),
        };
        counter.fetch_add(1, Relaxed);
        error
    }

    /// Counts a free of an address inside `page` that is not the page's own.
    #[cold]
    pub fn refuse_unaligned(&self, page: Page) -> FreeError {
        self.shared.errors_unaligned_free.fetch_add(1, Relaxed);
        match self.lookup(page) {
            Some(_) => FreeError::Inner,
            None => FreeError::Foreign,
        }
    }

    /// Puts an area whose PTEs are clear into the lazy magazine of this CPU. Task context, even if it
    /// must not sleep; elsewhere use [`Self::defer_free`].
    #[inline(always)]
    pub fn finish_free(&self, dying: Dying<'_>) {
        self.retire(dying.descriptor, dying.id, Mode::Sleep);
    }

    /// Leaves an area to the work item, which gets it from [`Self::take_deferred`]. Any context.
    pub fn defer_free(&self, dying: Dying<'_>) {
        self.shared.frees_deferred.fetch_add(1, Relaxed);
        if self.deferred.push(&self.descriptors, dying.id) {
            self.env.kick_deferred();
        }
    }

    /// As [`Self::defer_free`], for an area that was never published: the work item clears `payload`.
    pub fn defer_abort(&self, area: Area<'_>, payload: usize) {
        area.descriptor.unclaim();
        area.descriptor
            .replace_payload(area.descriptor.payload(), payload);
        self.defer_free(Dying {
            descriptor: area.descriptor,
            id: area.id,
        });
    }

    /// Replaces the payload of the area that starts at `page`, which the caller owns. False if there is
    /// no such area, or its payload is not `old`.
    pub fn replace_payload(&self, page: Page, old: usize, new: usize) -> bool {
        self.descriptors
            .get(Id::of(page))
            .is_some_and(|descriptor| descriptor.replace_payload(old, new))
    }

    /// The payload of the area that starts at `page`, which the caller owns.
    #[inline(always)]
    pub fn payload(&self, page: Page) -> Option<usize> {
        Some(self.descriptors.get(Id::of(page))?.payload())
    }

    /// The deferred areas. Their PTEs are not clear yet.
    pub fn take_deferred(&self) -> impl Iterator<Item = Dying<'_>> + '_ {
        let mut list = self.deferred.take();
        core::iter::from_fn(move || {
            let id = list.pop(&self.descriptors)?;
            let descriptor = self.descriptors.held(id)?;
            Some(Dying { descriptor, id })
        })
    }

    /// Makes a dead area lazy. Helps to purge only if both `mode` and the context allow it to sleep.
    #[inline(always)]
    pub(super) fn retire(&self, descriptor: &Descriptor, id: Id, mode: Mode) {
        // If CPUs do not keep areas, there is no lazy magazine: see `push_lazy`.
        let Some(mut local) = self.local.enter() else {
            return self.retire_full(descriptor, id, mode);
        };
        match local.push_below(descriptor, id, self.local_lazy_max.load(Relaxed)) {
            Some(size) => local.counters().free(descriptor.caller(), size),
            None => self.retire_mixed(local, descriptor, id, mode),
        }
    }

    /// [`Self::retire`] for an area of a class without a magazine of its own.
    #[inline(never)]
    fn retire_mixed(
        &self,
        mut local: Owned<'_, Local>,
        descriptor: &Descriptor,
        id: Id,
        mode: Mode,
    ) {
        match local.push_mixed_below(descriptor, id, self.local_lazy_max.load(Relaxed)) {
            Some(size) => local.counters().free(descriptor.caller(), size),
            None => {
                drop(local);
                self.retire_full(descriptor, id, mode);
            }
        }
    }

    /// [`Self::retire`] for an area that fills a magazine up, or for which there is none.
    #[inline(never)]
    fn retire_full(&self, descriptor: &Descriptor, id: Id, mode: Mode) {
        let class = descriptor.class();
        if let Some(class) = class {
            if let Some(mut local) = self.local.enter() {
                let retired = self.push_lazy(&mut local, descriptor, class, id);
                drop(local);
                match retired {
                    Retired::Kept => return,
                    Retired::Full(chain) => {
                        self.queue_all(chain);
                        return self.push_back(mode);
                    }
                    Retired::Not => {}
                }
            }
        }
        self.retire_slow(id, descriptor, class, mode);
    }

    /// Pushes to this CPU's lazy magazine.
    fn push_lazy(
        &self,
        local: &mut Local,
        descriptor: &Descriptor,
        class: Class,
        id: Id,
    ) -> Retired {
        let mut lane = Lane::Own(class);
        let mut pushed = local.push_own(class, descriptor, id);
        if pushed == Pushed::NoMagazine {
            if !self.keeps_lazy() || !local.has_place(class) {
                return Retired::Not;
            }
            lane = local.lane(class);
            pushed = local.push(lane, class, descriptor, id);
        }
        if pushed == Pushed::NoMagazine {
            self.fetch_spare(local);
            if !local.begin(lane, &self.numbers) {
                return Retired::Not;
            }
            pushed = local.push(lane, class, descriptor, id);
        }
        local
            .counters()
            .free(descriptor.caller(), Size::of(descriptor.pages()));
        let mut chain = Chain::new();
        if pushed == Pushed::Full {
            if let Some(full) = local.take(lane) {
                chain.push(full.seal(&self.epochs));
            }
        } else if local.lazy_span() > self.local_lazy_max.load(Relaxed) {
            self.detach_lazy(local, &mut chain);
        } else {
            return Retired::Kept;
        }
        Retired::Full(chain)
    }

    /// Takes all lazy magazines of a CPU, for [`Self::queue_all`]. That takes a lock for each, and so
    /// follows when the caller has let go of the CPU's stock.
    #[cold]
    pub(super) fn detach_lazy(&self, local: &mut Local, chain: &mut Chain<Sealed>) {
        local.spill_lazy(&self.epochs, |magazine| chain.push(magazine));
    }

    /// Hands on magazines to the next purge.
    #[cold]
    pub(super) fn queue_all(&self, mut chain: Chain<Sealed>) {
        while let Some(magazine) = chain.pop() {
            self.queue(magazine);
        }
    }

    /// Hands on one magazine to the next purge.
    pub(super) fn queue(&self, magazine: Sealed) {
        let total = self.add_lazy(u64::from(magazine.span()));
        self.shared.lazy_locks.fetch_add(1, Relaxed);
        self.lazy.lock().push(magazine);
        self.ask_for_purge(total);
    }

    /// Counts pages as lazy. Returns all lazy pages.
    fn add_lazy(&self, span: u64) -> u64 {
        positive(self.lazy_span.fetch_add(span, Relaxed).wrapping_add(span))
    }

    /// Asks for a purge if `total` lazy pages are too many.
    fn ask_for_purge(&self, total: u64) {
        // Pairs with the acquire in `purge_due`, which then sees this sum.
        if total > self.limit() && !self.purges.kicked.swap(true, Release) {
            self.env.kick_purge();
        }
    }

    #[cold]
    #[inline(never)]
    fn retire_slow(&self, id: Id, descriptor: &Descriptor, class: Option<Class>, mode: Mode) {
        if mode == Mode::Sleep && self.env.may_sleep() {
            // Reclaim may wait for what the caller holds.
            self.equip(class, Mode::Gentle);
        }
        let has_place = |class: &Class| {
            let local = self.local.enter();
            local.is_some_and(|local| local.has_place(*class))
        };
        if let Some(class) = class.filter(|class| self.keeps_lazy() && has_place(class)) {
            // The CPU has no empty magazine left, or somebody else has its stock.
            let spare = Empty::new(Mode::NoWait);
            if let (Ok(spare), Some(mut local)) = (spare, self.local.enter()) {
                self.put_spare(&mut local, spare);
                let retired = self.push_lazy(&mut local, descriptor, class, id);
                drop(local);
                match retired {
                    Retired::Kept => return self.push_back(mode),
                    Retired::Full(chain) => {
                        self.queue_all(chain);
                        return self.push_back(mode);
                    }
                    Retired::Not => {}
                }
            }
        }
        self.counters
            .free_shared(descriptor.caller(), descriptor.pages());
        let eager = self.lazy_max.load(Relaxed) == 0;
        if eager && mode == Mode::Sleep && self.env.may_sleep() {
            return self.flush_one(id, class);
        }
        self.leave_loose(id, descriptor.pages().saturating_add(GUARD), eager);
        self.push_back(mode);
    }

    /// Leaves a loose area of `gross` pages to the next purge. The CPU's loose areas count against the
    /// limit once they are enough, or at once if the caller wants the purge `now`.
    pub(super) fn leave_loose(&self, id: Id, gross: u32, now: bool) {
        let cpu = cpu_hint() as usize;
        let Some(loose) = self.loose.get(cpu).or_else(|| self.loose.first()) else {
            return broken(c"there is no CPU");
        };
        let pending = loose.pending.fetch_add(gross, Relaxed).wrapping_add(gross);
        loose.stack.push(&self.descriptors, id);
        if now || pending > self.local_lazy_max.load(Relaxed) {
            self.ask_for_purge(self.add_lazy(u64::from(loose.pending.swap(0, Relaxed))));
        }
    }

    /// Flushes one area that was just freed and makes it clean at once.
    fn flush_one(&self, id: Id, class: Option<Class>) {
        let mut list = List::default();
        list.push(&self.descriptors, id);
        let mut one = LooseList::seal(list, &self.epochs);
        let mut planner = Planner::new(&self.epochs, self.flush_ceiling);
        one.cover(&mut planner, &self.descriptors);
        let (flushed, _) = self.flush(planner);
        match one.clean(&flushed) {
            Ok(mut clean) => {
                for area in clean.drain(&self.descriptors) {
                    self.take_back(area, class);
                }
            }
            Err(lazy) => self.still_lazy(lazy),
        }
    }

    /// Puts an area that was flushed alone into this CPU's stock, or back to the extents.
    fn take_back(&self, area: CleanId, class: Option<Class>) {
        if let Some(descriptor) = self.descriptors.held(area.id()) {
            self.cleaned(1, u64::from(descriptor.pages().saturating_add(GUARD)));
            descriptor.set_link(Link::CLEAN);
        }
        let left = match class.filter(|_| self.switch(Switch::Magazines)) {
            Some(class) => self.stock(class, area),
            None => Err(area),
        };
        if let Err(area) = left {
            self.dissolve_one(area);
        }
    }

    /// Tasks help to purge when more pages than this are lazy.
    pub(super) fn high(&self) -> u64 {
        u64::from(self.lazy_max.load(Relaxed)) * HIGH
    }

    /// Backpressure: if frees outrun the purge, the freeing task purges a step itself.
    #[cold]
    #[inline(never)]
    fn push_back(&self, mode: Mode) {
        let behind = self.lazy_pages() > self.high();
        if behind && mode == Mode::Sleep && self.env.may_sleep() {
            self.shared.backpressure_steps.fetch_add(1, Relaxed);
            self.purge(Purge::Step);
        }
    }
}
