// SPDX-License-Identifier: GPL-2.0

//! Purge: gather lazy areas, flush once, hand them back to the depot and to the CPUs, dissolve the rest.
//! The worker calls `Manager::purge_due` when free.rs has woken it; an allocation that is short of space
//! calls `Manager::purge` itself.

#[cfg(faults)]
use crate::va::faults;
use crate::{
    sys::{
        broken,
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
    /// The magazines that CPUs have handed on. Filling magazines stay.
    Background,
    /// A bounded part of that. If another purge runs, nothing; but if that is late, it waits for it.
    Step,
    /// Everything lazy.
    Full,
    /// Everything lazy; and it dissolves all stocks.
    Drain,
}

/// Most magazines that a step purges. One flush must clean enough for many allocations, because each
/// step costs a flush.
const STEP_MAX: usize = 256;

/// Most magazines that a request dissolves which must not sleep. That takes some 100 us.
const DISSOLVE_MAX: usize = 8;

/// The lazy areas of one purge.
struct Gathered {
    magazines: Chain<Sealed>,
    /// Pages of the magazines that were handed on.
    handed_on: u64,
    /// Areas without a magazine.
    loose: LooseList,
    /// Their pages.
    loose_gross: u64,
}

/// Clean stock that is to be dissolved.
#[derive(Default)]
struct Surplus {
    magazines: Chain<Clean>,
    singles: CleanList,
}

/// A sum of lazy pages. A purge may subtract an area before the task that freed it has added it: below zero
/// the sum is 0 for readers.
pub(super) fn positive(sum: u64) -> u64 {
    u64::try_from(sum as i64).unwrap_or(0)
}

impl<E: Env> Manager<E> {
    /// Makes lazy areas clean, and hands them back. Sleeps.
    pub fn purge(&self, how: Purge) {
        #[cfg(faults)]
        if faults::Fault::NoPurge.on() && matches!(how, Purge::Step | Purge::Background) {
            return;
        }
        let guard = match self.purging.try_lock() {
            Some(guard) => guard,
            // The purging task may have no CPU. Then all wait with it, instead of going on from one
            // fresh address to the next.
            None if how == Purge::Step && self.lazy_pages() <= 2 * self.high() => return,
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

    /// Purges what CPUs have handed on, if that is still above the limit. Other tasks may have purged
    /// before this one got a CPU; then this would flush for the few areas freed since. Sleeps.
    pub fn purge_due(&self) {
        // First: a task that passes the limit from now on asks again.
        self.purge_kicked.swap(false, Acquire);
        if self.is_drain_wanted() {
            return self.purge(Purge::Drain);
        }
        let max = self.lazy_max.load(Relaxed).min(self.pages / 4);
        if self.lazy_pages() > u64::from(max) {
            self.purge(Purge::Background);
        }
    }

    /// As [`Self::purge`], unless another purge runs. For callers that must not wait for it, such as a
    /// shrinker. Sleeps for the flush.
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

    /// The first step: takes lazy areas, and has `planner` cover them. A drain also takes the clean
    /// stock of all CPUs.
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
        let mut loose_gross = 0;
        if how != Purge::Step || magazines.is_empty() {
            loose_gross = self.take_loose(&mut list);
        }
        let mut loose = LooseList::seal(list, &self.epochs);
        loose.cover(planner, &self.descriptors);
        Gathered {
            magazines,
            handed_on,
            loose,
            loose_gross,
        }
    }

    /// Takes the magazines that CPUs have handed on; a step takes a part of them.
    fn take_waiting(&self, how: Purge) -> Chain<Sealed> {
        let mut waiting = self.lazy.lock();
        match how {
            Purge::Step => waiting.take_first(STEP_MAX),
            _ => waiting.take(),
        }
    }

    /// Takes the loose areas. Returns their pages, all of which `lazy_span` has by then.
    fn take_loose(&self, list: &mut List) -> u64 {
        let mut gross = 0;
        for own in self.loose.iter() {
            let mut taken = own.stack.take();
            if !taken.is_empty() {
                let pending = own.pending.swap(0, Relaxed);
                self.lazy_span.fetch_add(u64::from(pending), Relaxed);
            }
            while let Some(id) = taken.pop(&self.descriptors) {
                let pages = self.descriptors.held(id).map_or(0, Descriptor::pages);
                gross += u64::from(pages.saturating_add(GUARD));
                list.push(&self.descriptors, id);
            }
        }
        gross
    }

    /// The second step: carries out the cheapest flush that covers the plan. Sleeps.
    pub(super) fn flush(&self, planner: Planner) -> Flushed {
        let planned = planner.plan(self.flush_ceiling);
        let (counter, calls) = match planned.plan() {
            Plan::None => (&self.shared.flushes_spared, 1),
            Plan::Full => (&self.shared.flushes_full, 1),
            Plan::Runs(_, count) => (&self.shared.flushes_range, *count as u64),
        };
        counter.fetch_add(calls, Relaxed);
        let full = matches!(planned.plan(), Plan::Full);
        let frees = if full { self.counters.frees() } else { 0 };
        let flushed = self.epochs.flush(planned, &self.env, self.pages);
        self.flushed_frees.fetch_max(frees, Release);
        flushed
    }

    /// The third step: puts clean magazines where CPUs find them, and turns loose areas into free
    /// extents. `surplus` gets the magazines that nobody keeps.
    fn hand_back(&self, how: Purge, gathered: Gathered, flushed: &Flushed, surplus: &mut Surplus) {
        self.sub_lazy(gathered.handed_on + gathered.loose_gross);
        self.hand_back_loose(gathered.loose, flushed);
        let keep = how != Purge::Drain && self.switch(Switch::Magazines);
        // The lane of all magazines in the depot, once that is known.
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

    /// Turns loose areas into free extents.
    fn hand_back_loose(&self, loose: LooseList, flushed: &Flushed) {
        match loose.clean(flushed) {
            Ok(mut clean) => {
                let (areas, gross) =
                    self.dissolve_all(clean.drain(&self.descriptors), || self.env.resched());
                self.cleaned(areas, gross);
            }
            Err(lazy) => self.still_lazy(lazy),
        }
    }

    /// Leaves areas that the flush has not covered to the next purge.
    pub(super) fn still_lazy(&self, mut list: List) {
        while let Some(id) = list.pop(&self.descriptors) {
            if let Some(descriptor) = self.descriptors.held(id) {
                self.leave_loose(id, descriptor.pages().saturating_add(GUARD), false);
            }
        }
    }

    /// Sends a mixed magazine home, unless enough wait there, and any other to the depot.
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
            let class = self.descriptors.held(area.id()).and_then(Descriptor::class);
            let Some(class) = class else {
                broken(c"an area that magazines do not keep was in one");
                continue;
            };
            let Err(area) = self.depot.put_one(class, area, &mut spare) else {
                continue;
            };
            // The depot needs another empty magazine for it.
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

    /// The last step: turns the surplus into free extents; a drain dissolves all stock.
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
            while let Some(chain) = self.depot.take_any(&mut bin, usize::MAX) {
                self.dissolve_chain(chain, || self.env.resched());
            }
        }
        self.draining.store(false, Relaxed);
        self.dissolve_chain(surplus.magazines, || self.env.resched());
    }

    /// If the depot is full, moves magazines of other lanes than `lane` to `surplus`: the returning
    /// areas were in use a moment ago, and these perhaps were not. False if there are none.
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
        self.lazy_span.fetch_sub(span, Relaxed);
    }

    /// Pages of all lazy areas, as far as CPUs have added theirs.
    pub(super) fn lazy_pages(&self) -> u64 {
        positive(self.lazy_span.load(Relaxed))
    }

    /// Flushes the TLB for all lazy areas, and leaves them where they are; unless a full flush has done so
    /// since the last one was freed. Sleeps.
    pub fn flush_lazy(&self) {
        // First: so this reads of each CPU at least the frees that the flush in question has covered. If
        // the sums are equal, so are all of their parts.
        let flushed = self.flushed_frees.load(Acquire);
        if self.counters.frees() != flushed {
            self.flush_all();
        }
    }

    /// Flushes the whole arena, whatever is lazy. Sleeps.
    pub fn flush_all(&self) {
        let frees = self.counters.frees();
        // Orders the PTEs cleared by the caller, as a stamp would.
        let _ = self.epochs.stamp();
        self.shared.flushes_full.fetch_add(1, Relaxed);
        self.epochs.flush_all(&self.env, self.pages);
        self.flushed_frees.fetch_max(frees, Release);
    }

    pub(super) fn cleaned(&self, areas: u64, gross: u64) {
        self.shared.flushed_areas.fetch_add(areas, Relaxed);
        self.shared.flushed_bytes.0.fetch_add(gross, Release);
        self.shared.moved.fetch_add(1, Release);
    }

    fn dissolve_chain(&self, mut chain: Chain<Clean>, pause: impl Fn() + Copy) {
        while let Some(magazine) = chain.pop() {
            self.dissolve_magazine(magazine, pause);
        }
    }

    fn dissolve_magazine(&self, mut magazine: Clean, pause: impl Fn()) {
        self.dissolve_all(magazine.drain(), pause);
    }

    /// Dissolves a few magazines: first those that wait at home, which nobody else finds, then those of
    /// the depot. Does not sleep.
    pub(super) fn dissolve_few(&self) {
        let mut left = DISSOLVE_MAX;
        for cpu in 0..self.depot.homes() {
            while left > 0 {
                let Some(magazine) = self.depot.come_home(cpu) else {
                    break;
                };
                self.dissolve_magazine(magazine, || {});
                left -= 1;
            }
        }
        let mut bin = 0;
        while left > 0 {
            let Some(chain) = self.depot.take_any(&mut bin, left) else {
                return;
            };
            left = left.saturating_sub(chain.len() as usize);
            self.dissolve_chain(chain, || {});
        }
    }

    /// Dissolves areas, with a `pause` after each [`STEP`] of them. Returns their number and their
    /// pages.
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

    /// Dissolves at most [`STEP`] clean areas. Returns their number and their pages, guard pages
    /// included.
    pub(super) fn dissolve_some(&self, areas: &mut impl Iterator<Item = CleanId>) -> (u64, u64) {
        let mut ranges = [const { CleanRange::NONE }; STEP];
        let mut ids = [NO_ID; STEP];
        let mut gross = 0u64;
        let mut len = 0;
        // The places come first in `zip`: without one it takes no area.
        for ((range, id), area) in ranges.iter_mut().zip(&mut ids).zip(areas) {
            (*range, *id) = area.vacate(&self.descriptors);
            let Range { start, pages } = range.range();
            self.index.set(start, pages.saturating_sub(GUARD), NO_ID);
            gross += u64::from(pages);
            len += 1;
        }
        if len > 0 {
            let ranges = ranges.get(..len).unwrap_or_default();
            let mut returning = self.shards.returning(ranges);
            while let Some(mut hold) = returning.hold() {
                let since = self.env.now();
                hold.give_back(&mut returning);
                let held = self.env.now().saturating_sub(since);
                drop(hold);
                if held > self.shared.hold_max_ns.load(Relaxed) {
                    self.shared.hold_max_ns.fetch_max(held, Relaxed);
                }
            }
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

    /// Moves the stock of `cpu`, which no longer runs, to where other CPUs find it. Sleeps.
    pub fn drain_cpu(&self, cpu: u32) {
        let mut surplus = Surplus::default();
        let mut lazy = Chain::new();
        self.local.with_each(|at, local| {
            if at == cpu {
                self.detach_lazy(local, &mut lazy);
                local.spill_clean(&mut surplus.magazines);
                local.spill_singles(|area| surplus.singles.push(&self.descriptors, area));
            }
        });
        self.queue_all(lazy);
        let mut back = self.depot.take_home(cpu);
        while let Some(magazine) = surplus.magazines.pop().or_else(|| back.pop()) {
            self.shelve(magazine);
        }
        // Their links named the next area of a list. Now they are in no list, and clean as before.
        let areas = surplus.singles.drain(&self.descriptors).inspect(|area| {
            if let Some(descriptor) = self.descriptors.held(area.id()) {
                descriptor.set_link(Link::CLEAN);
            }
        });
        self.sort_out(areas);
    }

    /// Pages that a [`Purge::Drain`] could turn into free extents, as far as CPUs have handed them on.
    /// That is two loads; the exact number would be a sum over all callers on all CPUs. Any context.
    pub fn reclaimable(&self) -> u64 {
        self.depot.span().saturating_add(self.lazy_pages())
    }

    /// Frees the empty magazines; returns their bytes. Any context.
    pub fn shrink(&self) -> usize {
        let spares = self.depot.take_spares();
        spares.len() as usize * Empty::BYTES
    }
}
