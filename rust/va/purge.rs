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
        area::{
            class::{Lane, ROUNDS},
            Descriptor,
        },
        env::Purged,
        flush::{
            epochs::Flushed,
            list::List,
            plan::{Plan, Planner},
        },
        stock::{
            magazine::{Chain, Clean, CleanId, CleanList, Empty, LooseList, Sealed},
            ordered::{Batch, Ordered},
        },
        switches::Switch,
        Env, Manager, GUARD,
    },
};
use core::ffi::CStr;

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

impl Purge {
    /// Its name, for those who trace.
    pub fn name(self) -> &'static CStr {
        match self {
            Self::Background => c"background",
            Self::Step => c"step",
            Self::Full => c"full",
            Self::Drain => c"drain",
        }
    }
}

/// Most magazines that a step purges. One flush must clean enough for many allocations, because each
/// step costs a flush.
const STEP_MAX: usize = 256;

/// Most magazines that a request dissolves which must not sleep. That takes some 100 us.
const DISSOLVE_MAX: usize = 8;

/// Most magazines that go into the depot under one lock.
const BACK_MAX: u32 = 16;

/// Areas to put in order before other tasks may run.
const PUT_MAX: usize = 1024;

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
    kept: CleanList,
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
        let mut ordered = match self.purging.try_lock() {
            Some(ordered) => ordered,
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
        self.purge_locked(how, &mut ordered);
    }

    /// Purges what CPUs have handed on, if that is still above the limit. Other tasks may have purged
    /// before this one got a CPU; then this would flush for the few areas freed since. Sleeps.
    pub fn purge_due(&self) {
        // First: a task that passes the limit from now on asks again.
        self.purges.kicked.swap(false, Acquire);
        if self.is_drain_wanted() {
            return self.purge(Purge::Drain);
        }
        if self.lazy_pages() > self.limit() {
            let early = self.early_purges.load(Relaxed);
            if let Some(left) = early.checked_sub(1) {
                // Unless somebody has set a limit meanwhile.
                let _ = self
                    .early_purges
                    .compare_exchange(early, left, Relaxed, Relaxed);
            }
            self.purge(Purge::Background);
        }
    }

    /// As [`Self::purge`], unless another purge runs. For callers that must not wait for it, such as a
    /// shrinker. Sleeps for the flush.
    pub fn try_purge(&self, how: Purge) -> bool {
        match self.purging.try_lock() {
            Some(mut ordered) => {
                self.purge_locked(how, &mut ordered);
                true
            }
            None => false,
        }
    }

    fn purge_locked(&self, how: Purge, ordered: &mut Ordered) {
        self.env.purge_begins(how.name(), self.lazy_pages());
        self.shared.purges.fetch_add(1, Relaxed);
        self.purges.kicked.store(false, Relaxed);
        // Every later owner of a stock sees it, since `with_each` waits for the earlier ones.
        self.purges.draining.store(how == Purge::Drain, Relaxed);
        let mut surplus = Surplus::default();
        let mut planner = Planner::new(&self.epochs, self.flush_ceiling);
        let gathered = self.gather(how, &mut planner, &mut surplus);
        let (flushed, flushes) = self.flush(planner);
        let (areas, pages) = self.hand_back(how, gathered, &flushed, &mut surplus, ordered);
        self.dissolve(how, surplus, ordered);
        let purged = Purged {
            areas,
            pages,
            flushes,
            left: self.lazy_pages(),
        };
        self.env.purge_ends(how.name(), &purged);
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
                    local.spill_clean(&self.depot, &mut surplus.magazines);
                    local.spill_kept(&self.descriptors, |area| {
                        surplus.kept.push(&self.descriptors, area);
                    });
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

    /// The second step: carries out the cheapest flush that covers the plan. Returns its proof, and how many
    /// calls it took. Sleeps.
    #[inline(always)]
    pub(super) fn flush(&self, planner: Planner) -> (Flushed, u64) {
        let planned = planner.plan();
        let (counter, calls) = match planned.plan() {
            Plan::None => (&self.shared.flushes_spared, 0),
            Plan::Full => (&self.shared.flushes_full, 1),
            Plan::Runs(_, count) => (&self.shared.flushes_range, *count as u64),
        };
        // One that it spared is counted, too.
        counter.fetch_add(calls.max(1), Relaxed);
        let full = matches!(planned.plan(), Plan::Full);
        let frees = if full { self.counters.frees() } else { 0 };
        let flushed = self.epochs.flush(planned, &self.env, self.pages);
        self.purges.flushed_frees.fetch_max(frees, Release);
        (flushed, calls)
    }

    /// The third step: puts clean magazines where CPUs find them, and turns loose areas into free
    /// extents. `surplus` gets the magazines that nobody keeps. Returns how many areas are clean now, and their
    /// pages.
    fn hand_back(
        &self,
        how: Purge,
        gathered: Gathered,
        flushed: &Flushed,
        surplus: &mut Surplus,
        ordered: &mut Ordered,
    ) -> (u64, u64) {
        self.sub_lazy(gathered.handed_on + gathered.loose_gross);
        let mut clean = self.hand_back_loose(gathered.loose, flushed, ordered);
        let keep = how != Purge::Drain && self.switch(Switch::Magazines);
        // The lane of all magazines in the depot, once that is known.
        let mut alone = None;
        // Magazines of one lane, which go back together.
        let mut back = Chain::new();
        let mut lazy = gathered.magazines;
        while let Some(magazine) = lazy.pop() {
            let magazine = match magazine.clean(flushed, &self.numbers) {
                Ok(magazine) => magazine,
                Err(lazy) => {
                    self.queue(lazy.wait_again(&self.epochs));
                    continue;
                }
            };
            let (areas, gross) = (u64::from(magazine.len()), u64::from(magazine.gross()));
            self.cleaned(areas, gross);
            clean.0 += areas;
            clean.1 += gross;
            let lane = magazine.lane();
            let room = keep && alone != Some(lane) && self.make_room(lane, back.span(), surplus);
            if room {
                let other = back.first_lane().is_some_and(|before| before != lane);
                if other || back.len() >= BACK_MAX {
                    self.send_back(back.take());
                }
                back.push(magazine);
            } else {
                alone = keep.then_some(lane);
                surplus.magazines.push(magazine);
            }
            self.env.resched();
        }
        self.send_back(back);
        clean
    }

    /// Turns loose areas into free extents. Returns their number and their pages.
    fn hand_back_loose(
        &self,
        loose: LooseList,
        flushed: &Flushed,
        ordered: &mut Ordered,
    ) -> (u64, u64) {
        match loose.clean(flushed) {
            Ok(mut clean) => {
                self.put_in_order(clean.drain(&self.descriptors), ordered);
                let (areas, gross) = self.dissolve_ordered(ordered);
                self.cleaned(areas, gross);
                (areas, gross)
            }
            Err(lazy) => {
                self.still_lazy(lazy);
                (0, 0)
            }
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

    /// Sends mixed magazines home, unless enough wait there, and any other to the depot. All are of one
    /// lane.
    fn send_back(&self, mut magazines: Chain<Clean>) {
        match magazines.first_lane() {
            None => {}
            Some(Lane::Own(class)) => {
                drop(self.depot.put_spares(self.depot.put(class, magazines)));
            }
            Some(Lane::Mixed) => {
                while let Some(magazine) = magazines.pop() {
                    if let Err(magazine) = self.depot.send_home(magazine) {
                        self.shelve(magazine);
                    }
                }
            }
        }
    }

    /// Puts a clean magazine, full or not, into the depot.
    pub(super) fn shelve(&self, mut magazine: Clean) {
        if let (Lane::Own(class), false) = (magazine.lane(), magazine.is_empty()) {
            drop(
                self.depot
                    .put_spares(self.depot.put(class, Chain::of(magazine))),
            );
            return;
        }
        self.sort_out(magazine.drain());
        if let Ok(empty) = magazine.into_empty() {
            drop(self.depot.put_spares(Chain::of(empty)));
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
            drop(self.depot.put_spares(Chain::of(spare)));
        }
    }

    /// The last step: turns the surplus into free extents; a drain dissolves all stock.
    fn dissolve(&self, how: Purge, mut surplus: Surplus, ordered: &mut Ordered) {
        if how == Purge::Drain {
            for cpu in 0..self.depot.homes() {
                self.put_chain_in_order(self.depot.take_home(cpu), ordered);
            }
            self.put_in_order(surplus.kept.drain(&self.descriptors), ordered);
            let mut bin = 0;
            while let Some(chain) = self.depot.take_any(&mut bin, usize::MAX) {
                self.put_chain_in_order(chain, ordered);
            }
        }
        self.purges.draining.store(false, Relaxed);
        self.put_chain_in_order(surplus.magazines, ordered);
        self.dissolve_ordered(ordered);
    }

    fn put_chain_in_order(&self, mut chain: Chain<Clean>, ordered: &mut Ordered) {
        while let Some(mut magazine) = chain.pop() {
            self.put_in_order(magazine.drain(), ordered);
        }
    }

    fn put_in_order(&self, mut areas: impl Iterator<Item = CleanId>, ordered: &mut Ordered) {
        let mut more = true;
        while more {
            more = false;
            for area in areas.by_ref().take(PUT_MAX) {
                ordered.put(area, &self.descriptors);
                more = true;
            }
            self.env.resched();
        }
    }

    /// Dissolves what was put in order. Returns the number of these areas and their pages.
    fn dissolve_ordered(&self, ordered: &mut Ordered) -> (u64, u64) {
        let mut total = (0, 0);
        while let Some(batch) = ordered.take(&self.index, &self.descriptors, &self.shards) {
            total.0 += batch.areas();
            total.1 += batch.gross();
            self.dissolve_batch(batch);
            self.env.resched();
        }
        total
    }

    /// If the depot is full with the `coming` pages that are on their way to it, moves magazines of other
    /// lanes than `lane` to `surplus`: the returning areas were in use a moment ago, and these perhaps were
    /// not. False if there are none.
    fn make_room(&self, lane: Lane, coming: u64, surplus: &mut Surplus) -> bool {
        while !self.depot.has_room(coming) {
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

    /// Pages of all lazy areas, as far as CPUs have handed theirs on. Any context.
    pub fn lazy_pages(&self) -> u64 {
        positive(self.lazy_span.load(Relaxed))
    }

    /// Flushes the TLB for all lazy areas, and leaves them where they are; unless a full flush has done so
    /// since the last one was freed. Sleeps.
    pub fn flush_lazy(&self) {
        // First: so this reads of each CPU at least the frees that the flush in question has covered. If
        // the sums are equal, so are all of their parts.
        let flushed = self.purges.flushed_frees.load(Acquire);
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
        self.purges.flushed_frees.fetch_max(frees, Release);
    }

    pub(super) fn cleaned(&self, areas: u64, gross: u64) {
        self.shared.flushed_areas.fetch_add(areas, Relaxed);
        self.shared.flushed_bytes.0.fetch_add(gross, Release);
        self.shared.moved.fetch_add(1, Release);
    }

    /// Dissolves a few magazines: first those that wait at home, which nobody else finds, then those of
    /// the depot, then those of this CPU, and as many areas that it keeps. Does not sleep.
    pub(super) fn dissolve_few(&self) {
        let mut left = DISSOLVE_MAX;
        for cpu in 0..self.depot.homes() {
            while left > 0 {
                let Some(mut magazine) = self.depot.come_home(cpu) else {
                    break;
                };
                self.dissolve_all(magazine.drain());
                left -= 1;
            }
        }
        let mut bin = 0;
        while left > 0 {
            let Some(mut chain) = self.depot.take_any(&mut bin, left) else {
                break;
            };
            left = left.saturating_sub(chain.len() as usize);
            while let Some(mut magazine) = chain.pop() {
                self.dissolve_all(magazine.drain());
            }
        }
        while left > 0 && self.dissolve_own() {
            left -= 1;
        }
    }

    /// Dissolves one clean magazine of this CPU or, if it has none, as many areas that it keeps. False if it has neither.
    fn dissolve_own(&self) -> bool {
        let Some(mut local) = self.local.enter() else {
            return false;
        };
        if let Some(mut magazine) = local.give_clean() {
            drop(local);
            self.dissolve_all(magazine.drain());
            return true;
        }
        let mut kept = local.give_kept(ROUNDS as u32, &self.descriptors);
        drop(local);
        let some = !kept.is_empty();
        self.dissolve_all(kept.drain(&self.descriptors));
        some
    }

    /// Dissolves a few areas. Does not sleep.
    pub(super) fn dissolve_all(&self, areas: impl Iterator<Item = CleanId>) {
        let mut areas = areas.peekable();
        while areas.peek().is_some() {
            let mut batch = Batch::new();
            while batch.has_room() {
                let Some(area) = areas.next() else {
                    break;
                };
                batch.add(area, &self.index, &self.descriptors, &self.shards);
            }
            self.dissolve_batch(batch);
        }
    }

    /// Dissolves the areas of a clean magazine. Does not sleep.
    pub(super) fn dissolve_magazine(&self, mut magazine: Clean) {
        self.dissolve_all(magazine.drain());
        if let Ok(empty) = magazine.into_empty() {
            drop(self.depot.put_spares(Chain::of(empty)));
        }
    }

    /// Makes the ranges of a batch free extents.
    fn dissolve_batch(&self, batch: Batch) {
        let mut returning = self.shards.returning(batch.ranges());
        while let Some(mut hold) = returning.hold() {
            let since = self.env.now();
            hold.give_back(&mut returning);
            let held = self.env.now().saturating_sub(since);
            drop(hold);
            if held > self.shared.hold_max_ns.load(Relaxed) {
                self.shared.hold_max_ns.fetch_max(held, Relaxed);
            }
        }
        self.shared
            .dissolved_gross
            .fetch_add(batch.gross(), Release);
        self.shared.moved.fetch_add(1, Release);
    }

    /// Dissolves one area. Does not sleep.
    pub(super) fn dissolve_one(&self, area: CleanId) {
        self.dissolve_all(core::iter::once(area));
    }

    /// Moves the stock of `cpu`, which no longer runs, to where other CPUs find it. Sleeps.
    pub fn drain_cpu(&self, cpu: u32) {
        let mut surplus = Surplus::default();
        let mut lazy = Chain::new();
        self.local.with_each(|at, local| {
            if at == cpu {
                self.detach_lazy(local, &mut lazy);
                local.spill_clean(&self.depot, &mut surplus.magazines);
                local.spill_kept(&self.descriptors, |area| {
                    surplus.kept.push(&self.descriptors, area);
                });
            }
        });
        self.queue_all(lazy);
        let mut back = self.depot.take_home(cpu);
        while let Some(magazine) = surplus.magazines.pop().or_else(|| back.pop()) {
            self.shelve(magazine);
        }
        self.sort_out(surplus.kept.drain(&self.descriptors));
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
