// SPDX-License-Identifier: GPL-2.0

//! Purge: gather what is lazy, flush once, hand it back to the depot and to the CPUs, dissolve the rest.

#[cfg(faults)]
use crate::va::faults;
use crate::{
    sys::{
        mem::Mode,
        sync::Ordering::{Acquire, Relaxed, Release},
    },
    va::{
        area::{class::Lane, Descriptor, Link, NO_ID},
        flush::{
            epochs::Flushed,
            list::List,
            plan::{Plan, Planner},
        },
        space::{
            range::Range,
            shards::{Vacant, STEP},
        },
        stock::magazine::{Chain, Clean, CleanId, CleanList, CleanRange, Empty, LooseList, Sealed},
        switches::Switch,
        Env, Manager, GUARD,
    },
};

/// How much to purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge {
    /// The magazines that were handed on. Those that CPUs are still filling stay.
    Background,
    /// A bounded part of that. Nothing, if somebody else purges, unless that is late: then it waits.
    Step,
    /// Everything lazy.
    Full,
    /// Everything lazy, and all stocks: their space goes back to the extents.
    Drain,
}

/// Magazines that a step purges at most. Few would cost a flush each time: what one flush cleans is to
/// be used up before the next.
const STEP_MAX: usize = 256;

/// The lazy areas of one purge.
struct Gathered {
    magazines: Chain<Sealed>,
    /// Pages of the magazines that were handed on.
    handed_on: u64,
    /// Areas without a magazine.
    loose: LooseList,
}

/// Clean stock that is to be dissolved.
#[derive(Default)]
struct Surplus {
    magazines: Chain<Clean>,
    singles: CleanList,
}

impl<E: Env> Manager<E> {
    /// Flushes what is lazy and hands it back. Sleeps.
    pub fn purge(&self, how: Purge) {
        #[cfg(faults)]
        if faults::Fault::NoPurge.on() && matches!(how, Purge::Step | Purge::Background) {
            return;
        }
        let guard = match self.purging.try_lock() {
            Some(guard) => guard,
            // Whoever has the purge may not have a CPU: then all wait with it, rather than go on
            // from one fresh address to the next.
            None if how == Purge::Step && self.lazy_span.load(Relaxed) <= 2 * self.high() => return,
            #[cfg(faults)]
            None if faults::Fault::NoWait.on() => return,
            None => {
                self.shared.purge_waits.fetch_add(1, Relaxed);
                self.purging.lock()
            }
        };
        self.purge_locked(how);
        drop(guard);
    }

    /// Purges what was handed on, if that is still more than should be. Tasks that could not wait may
    /// have done it before this one got a CPU, and a flush for the little that came since would be
    /// one too many. Sleeps.
    pub fn purge_due(&self) {
        // First: who passes the limit from now on asks again.
        self.purge_kicked.swap(false, Acquire);
        let max = self.lazy_max.load(Relaxed).min(self.pages / 4);
        if self.lazy_span.load(Relaxed) > u64::from(max) {
            self.purge(Purge::Background);
        }
    }

    /// As [`Self::purge`], unless somebody else purges. For callers that must not wait, such as a
    /// shrinker; still sleeps for the flush.
    pub fn try_purge(&self, how: Purge) -> bool {
        match self.purging.try_lock() {
            Some(_guard) => {
                self.purge_locked(how);
                true
            }
            None => false,
        }
    }

    fn purge_locked(&self, how: Purge) {
        self.shared.purges.fetch_add(1, Relaxed);
        self.purge_kicked.store(false, Relaxed);
        // Every later owner of a stock sees it, since `with_each` waits for the earlier ones.
        self.draining.store(how == Purge::Drain, Relaxed);
        let mut surplus = Surplus::default();
        let mut planner = Planner::new(&self.epochs);
        let gathered = self.gather(how, &mut planner, &mut surplus);
        let flushed = self.flush(planner);
        self.hand_back(how, gathered, &flushed, &mut surplus);
        self.dissolve(how, surplus);
    }

    /// The first step: takes what is lazy and has `planner` cover it; a drain takes the clean stock of
    /// all CPUs, too.
    fn gather(&self, how: Purge, planner: &mut Planner, surplus: &mut Surplus) -> Gathered {
        let mut magazines = Chain::new();
        let mut keep = |mut magazine: Sealed| {
            magazine.cover(planner, &self.descriptors);
            magazines.push(magazine);
        };
        if matches!(how, Purge::Full | Purge::Drain) {
            self.local.with_each(|_, local| {
                local.spill_lazy(&self.epochs, &mut keep);
                if how == Purge::Drain {
                    local.spill_clean(&mut surplus.magazines);
                    local.spill_singles(|area| surplus.singles.push(&self.descriptors, area));
                }
            });
        }
        let mut waiting = self.take_waiting(how);
        let handed_on = waiting.span();
        // One by one, but not under the lock.
        while let Some(magazine) = waiting.pop() {
            keep(magazine);
        }
        let mut list = List::default();
        if how != Purge::Step || magazines.is_empty() {
            self.take_loose(&mut list);
        }
        let mut loose = LooseList::seal(list, &self.epochs);
        loose.cover(planner, &self.descriptors);
        Gathered {
            magazines,
            handed_on,
            loose,
        }
    }

    /// Takes the magazines that were handed on; a step takes a part of them.
    fn take_waiting(&self, how: Purge) -> Chain<Sealed> {
        let mut waiting = self.lazy.lock();
        match how {
            Purge::Step => waiting.take_first(STEP_MAX),
            _ => waiting.take(),
        }
    }

    /// Takes the lazy areas that no magazine holds.
    fn take_loose(&self, list: &mut List) {
        for own in self.loose.iter() {
            let mut taken = own.stack.take();
            if !taken.is_empty() {
                own.pending.store(0, Relaxed);
            }
            while let Some(id) = taken.pop(&self.descriptors) {
                list.push(&self.descriptors, id);
            }
        }
    }

    /// The second step: the cheapest flush that covers what was planned. Sleeps.
    pub(super) fn flush(&self, planner: Planner) -> Flushed {
        let planned = planner.plan(self.flush_ceiling);
        let (counter, calls) = match planned.plan() {
            Plan::None => (&self.shared.flushes_spared, 1),
            Plan::Full => (&self.shared.flushes_full, 1),
            Plan::Runs(_, count) => (&self.shared.flushes_range, *count as u64),
        };
        counter.fetch_add(calls, Relaxed);
        self.epochs.flush(planned, &self.env, self.pages)
    }

    /// The third step: what is clean now goes where CPUs find it, and loose areas to the extents.
    /// `surplus` gets the magazines that are not to be kept.
    fn hand_back(&self, how: Purge, gathered: Gathered, flushed: &Flushed, surplus: &mut Surplus) {
        let loose_gross = self.hand_back_loose(gathered.loose, flushed);
        self.sub_lazy(gathered.handed_on + loose_gross);
        let keep = how != Purge::Drain && self.switch(Switch::Magazines);
        // The lane that all of the depot is of, once that was found.
        let mut alone = None;
        let mut lazy = gathered.magazines;
        while let Some(magazine) = lazy.pop() {
            let magazine = match magazine.clean(flushed, &self.numbers) {
                Ok(magazine) => magazine,
                Err(lazy) => {
                    self.queue(lazy.wait_again(&self.epochs));
                    continue;
                }
            };
            self.cleaned(u64::from(magazine.len()), u64::from(magazine.gross()));
            let lane = magazine.lane();
            let room = keep && alone != Some(lane) && self.make_room(lane, surplus);
            if room {
                self.send_back(magazine);
            } else {
                alone = keep.then_some(lane);
                surplus.magazines.push(magazine);
            }
            self.env.resched();
        }
    }

    /// Returns the pages of the areas, guard pages included.
    fn hand_back_loose(&self, loose: LooseList, flushed: &Flushed) -> u64 {
        match loose.clean(flushed) {
            Ok(mut clean) => {
                let (areas, gross) =
                    self.dissolve_all(clean.drain(&self.descriptors), || self.env.resched());
                self.cleaned(areas, gross);
                gross
            }
            Err(lazy) => {
                self.still_lazy(lazy);
                0
            }
        }
    }

    /// Leaves areas that a flush has not covered to the next purge.
    pub(super) fn still_lazy(&self, mut list: List) {
        while let Some(id) = list.pop(&self.descriptors) {
            if let Some(descriptor) = self.descriptors.get(id) {
                self.leave_loose(id, descriptor.pages().saturating_add(GUARD), false);
            }
        }
    }

    /// Sends a mixed magazine to the CPU that filled it, unless that has enough, and any other to the
    /// depot.
    fn send_back(&self, magazine: Clean) {
        match magazine.lane() {
            Lane::Own(_) => self.shelve(magazine),
            Lane::Mixed => {
                if let Err(magazine) = self.depot.send_home(magazine) {
                    self.shelve(magazine);
                }
            }
        }
    }

    /// Puts a clean magazine, full or not, into the depot.
    pub(super) fn shelve(&self, mut magazine: Clean) {
        let rest = match magazine.lane() {
            _ if magazine.is_empty() => Some(magazine),
            Lane::Own(class) => self.depot.put(class, magazine),
            Lane::Mixed => {
                self.sort_out(magazine.drain());
                Some(magazine)
            }
        };
        if let Some(Ok(empty)) = rest.map(Clean::into_empty) {
            drop(self.depot.put_spare(empty));
        }
    }

    /// Puts clean areas into the depot, each where it belongs.
    pub(super) fn sort_out(&self, areas: impl Iterator<Item = CleanId>) {
        let mut spare = None;
        for area in areas {
            let class = self.descriptors.get(area.id()).and_then(Descriptor::class);
            let Some(class) = class else {
                continue;
            };
            let Err(area) = self.depot.put_one(class, area, &mut spare) else {
                continue;
            };
            // It takes a magazine more.
            spare = self
                .depot
                .take_spare()
                .or_else(|| Empty::new(Mode::NoWait).ok());
            if let Err(area) = self.depot.put_one(class, area, &mut spare) {
                self.dissolve_one(area);
            }
        }
        if let Some(spare) = spare {
            drop(self.depot.put_spare(spare));
        }
    }

    /// The last step: what is left becomes free extents; of a drain, all stock does.
    fn dissolve(&self, how: Purge, mut surplus: Surplus) {
        if how == Purge::Drain {
            for cpu in 0..self.depot.homes() {
                let mut back = self.depot.take_home(cpu);
                while let Some(magazine) = back.pop() {
                    surplus.magazines.push(magazine);
                }
            }
            self.dissolve_all(surplus.singles.drain(&self.descriptors), || {
                self.env.resched()
            });
            let mut bin = 0;
            while let Some(chain) = self.depot.take_any(&mut bin) {
                self.dissolve_chain(chain, || self.env.resched());
            }
        }
        self.draining.store(false, Relaxed);
        self.dissolve_chain(surplus.magazines, || self.env.resched());
    }

    /// Where the depot is full, takes magazines of other lanes than `lane` out, into `surplus`: what
    /// comes back was in use a moment ago, nobody knows that of them. False if there are none.
    fn make_room(&self, lane: Lane, surplus: &mut Surplus) -> bool {
        while self.depot.span() > self.depot_max {
            match self.depot.take_other(lane) {
                Some(other) => surplus.magazines.push(other),
                None => return false,
            }
        }
        true
    }

    fn sub_lazy(&self, span: u64) {
        // Loose pages are handed in late, so the total may lag behind what is taken out.
        let mut total = self.lazy_span.load(Relaxed);
        loop {
            let left = total.saturating_sub(span);
            match self
                .lazy_span
                .compare_exchange(total, left, Relaxed, Relaxed)
            {
                Ok(_) => return,
                Err(now) => total = now,
            }
        }
    }

    /// Flushes the TLB of all that is lazy, and leaves it where it is. Sleeps.
    pub fn flush_lazy(&self) {
        // Orders the PTEs cleared by the caller, as a stamp would.
        let _ = self.epochs.stamp();
        self.shared.flushes_full.fetch_add(1, Relaxed);
        self.epochs.flush_all(&self.env, self.pages);
    }

    pub(super) fn cleaned(&self, areas: u64, gross: u64) {
        self.shared.flushed_areas.fetch_add(areas, Relaxed);
        self.shared.flushed_bytes.0.fetch_add(gross, Release);
        self.shared.moved.fetch_add(1, Release);
    }

    fn dissolve_chain(&self, mut chain: Chain<Clean>, pause: impl Fn() + Copy) {
        while let Some(mut magazine) = chain.pop() {
            self.dissolve_all(magazine.drain(), pause);
        }
    }

    /// Turns all magazines of the depot, and those that wait for their CPU, into free extents. Does
    /// not sleep.
    pub(super) fn dissolve_depot(&self) {
        for cpu in 0..self.depot.homes() {
            self.dissolve_chain(self.depot.take_home(cpu), || {});
        }
        let mut bin = 0;
        while let Some(chain) = self.depot.take_any(&mut bin) {
            self.dissolve_chain(chain, || {});
        }
    }

    /// Turns areas into free extents, with a `pause` after each [`STEP`] of them. Returns how many
    /// they were, and their pages.
    fn dissolve_all(
        &self,
        mut areas: impl Iterator<Item = CleanId>,
        pause: impl Fn(),
    ) -> (u64, u64) {
        let mut total = (0, 0);
        loop {
            let (number, gross) = self.dissolve_some(&mut areas);
            if number == 0 {
                return total;
            }
            total.0 += number;
            total.1 += gross;
            pause();
        }
    }

    /// Turns clean areas, [`STEP`] at most, into free extents. Returns how many they were, and their
    /// pages, guard pages included.
    pub(super) fn dissolve_some(&self, areas: &mut impl Iterator<Item = CleanId>) -> (u64, u64) {
        let mut ranges = [const { CleanRange::NONE }; STEP];
        let mut ids = [NO_ID; STEP];
        let mut gross = 0u64;
        let mut len = 0;
        // The places first: without one, no area is taken.
        for ((range, id), area) in ranges.iter_mut().zip(&mut ids).zip(areas) {
            (*range, *id) = area.vacate(&self.descriptors);
            let Range { start, pages } = range.range();
            self.index.set(start, pages.saturating_sub(GUARD), NO_ID);
            gross += u64::from(pages);
            len += 1;
        }
        if len > 0 {
            let ranges = ranges.get(..len).unwrap_or_default();
            self.shards.give_back(ranges, || self.env.now());
            for &id in ids.iter().take(len) {
                self.descriptors.give_back(id);
            }
            self.shared.dissolved_gross.fetch_add(gross, Release);
            self.shared.moved.fetch_add(1, Release);
        }
        (len as u64, gross)
    }

    /// As [`Self::dissolve_some`], of one area. Does not sleep.
    pub(super) fn dissolve_one(&self, area: CleanId) {
        self.dissolve_some(&mut core::iter::once(area));
    }

    /// Moves the stock of `cpu`, which no longer runs, to where others find it. Sleeps.
    pub fn drain_cpu(&self, cpu: u32) {
        let mut surplus = Surplus::default();
        self.local.with_each(|at, local| {
            if at == cpu {
                self.hand_on(local);
                local.spill_clean(&mut surplus.magazines);
                local.spill_singles(|area| surplus.singles.push(&self.descriptors, area));
            }
        });
        let mut back = self.depot.take_home(cpu);
        while let Some(magazine) = surplus.magazines.pop().or_else(|| back.pop()) {
            self.shelve(magazine);
        }
        // They are in no list any more, and clean as before.
        let areas = surplus.singles.drain(&self.descriptors).inspect(|area| {
            if let Some(descriptor) = self.descriptors.get(area.id()) {
                descriptor.set_link(Link::CLEAN);
            }
        });
        self.sort_out(areas);
    }

    /// Pages that a [`Purge::Drain`] could turn into free extents or join to them, as far as CPUs have
    /// handed them on: two loads, where the exact number is a sum over all callers on all CPUs. Any context.
    pub fn reclaimable(&self) -> u64 {
        self.depot
            .span()
            .saturating_add(self.lazy_span.load(Relaxed))
    }

    /// Frees the empty magazines; returns their bytes. Any context.
    pub fn shrink(&self) -> usize {
        let spares = self.depot.take_spares();
        spares.len() as usize * Empty::BYTES
    }
}
