// SPDX-License-Identifier: GPL-2.0

//! Purge: one flush for all that is lazy; then the depot, or the extents, have it back.

#[cfg(faults)]
use crate::va::faults;
use crate::{
    sys::sync::Ordering::{Acquire, Relaxed, Release},
    va::{
        area::{link, Id, NO_CLASS, NO_ID},
        flush::{
            list::List,
            plan::{Plan, Planner},
        },
        space::{range::Range, shards},
        stock::magazine::{Chain, Magazine},
        switches::Switch,
        Env, Manager, GUARD,
    },
};

/// How much to purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge {
    /// The batches that were handed on. What CPUs are still filling stays.
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
        let mut clean = Chain::new();
        let mut singles = List::default();
        let mut lazy = Chain::new();
        // Seen by every later owner of a stock, since `with_each` waits for the earlier ones.
        self.draining.store(how == Purge::Drain, Relaxed);
        if matches!(how, Purge::Full | Purge::Drain) {
            self.local.with_each(|_, local| {
                local.spill_lazy(&mut lazy, self.epochs.stamp());
                if how == Purge::Drain {
                    local.spill_clean(&mut clean);
                    local.spill_singles(|id| singles.push(&self.descriptors, id));
                }
            });
        }
        let spilled = lazy.span();
        {
            let mut sealed = self.lazy.lock();
            match how {
                Purge::Step => {
                    for _ in 0..STEP_MAX {
                        match sealed.pop() {
                            Some(magazine) => lazy.push(magazine),
                            None => break,
                        }
                    }
                }
                _ => {
                    let mut all = sealed.take();
                    drop(sealed);
                    // Moves one by one, but not under the lock.
                    while let Some(magazine) = all.pop() {
                        lazy.push(magazine);
                    }
                }
            }
        }
        let sealed = lazy.span().wrapping_sub(spilled);

        let mut planner = Planner::new();
        for magazine in lazy.iter() {
            if self.epochs.is_clean(magazine.stamp) {
                continue;
            }
            self.plan_ids(&mut planner, magazine.ids().iter().copied());
            if planner.is_full() {
                break;
            }
        }
        let mut loose = List::default();
        if how != Purge::Step || lazy.is_empty() {
            for own in self.loose.iter() {
                let mut list = own.stack.take();
                if !list.is_empty() {
                    own.pending.store(0, Relaxed);
                }
                while let Some(id) = list.pop(&self.descriptors) {
                    loose.push(&self.descriptors, id);
                }
            }
            self.plan_ids(&mut planner, loose.iter(&self.descriptors));
        }
        self.flush(planner);
        let (loose_areas, loose_gross) = self.dissolve_list(loose);
        self.cleaned(loose_areas, loose_gross);
        self.sub_lazy(sealed + loose_gross);

        let keep = how != Purge::Drain && self.switch(Switch::Magazines);
        // The class that all of the depot is of, once that was found.
        let mut alone = None;
        while let Some(magazine) = lazy.pop() {
            let areas = magazine.ids().len() as u64;
            self.cleaned(areas, u64::from(magazine.gross()));
            self.batches.end(magazine.batch);
            let class = magazine.class();
            if !keep || alone == Some(class) || !self.make_room(class, &mut clean) {
                alone = keep.then_some(class);
                clean.push(magazine);
            } else if class == NO_CLASS {
                self.give_home(magazine);
            } else {
                self.shelve(magazine);
            }
            self.env.resched();
        }
        if how == Purge::Drain {
            for cpu in 0..self.returned.len() {
                let mut back = self.take_returned(cpu);
                while let Some(magazine) = back.pop() {
                    clean.push(magazine);
                }
            }
            self.dissolve_list(singles);
            let mut bin = 0;
            while let Some(mut chain) = self.depot.take_any(&mut bin) {
                while let Some(magazine) = chain.pop() {
                    self.dissolve_magazine(&magazine);
                }
            }
        }
        self.draining.store(false, Relaxed);
        while let Some(magazine) = clean.pop() {
            self.dissolve_magazine(&magazine);
        }
    }

    /// Where the depot is full, takes magazines of other classes than `class` out, into `clean`: what
    /// comes back was in use a moment ago, of them nobody knows. False if there are none.
    fn make_room(&self, class: u16, clean: &mut Chain) -> bool {
        while self.depot.span() > self.depot_max {
            match self.depot.take_other(class) {
                Some(other) => clean.push(other),
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

    fn plan_ids(&self, planner: &mut Planner, ids: impl Iterator<Item = Id>) {
        for id in ids {
            if planner.is_full() {
                return;
            }
            if let Some(descriptor) = self.descriptors.get(id) {
                planner.add(descriptor.start(), descriptor.pages());
            }
        }
    }

    pub(super) fn flush(&self, planner: Planner) {
        match planner.plan(self.flush_ceiling) {
            Plan::None => {
                self.shared.flushes_spared.fetch_add(1, Relaxed);
            }
            Plan::Full => self.flush_all(),
            // No epoch: ranges clean only what was planned, a full flush everything.
            Plan::Runs(runs, count) => {
                for run in runs.iter().take(count) {
                    self.shared.flushes_range.fetch_add(1, Relaxed);
                    self.env
                        .flush(run.start, run.start.saturating_add(run.pages));
                }
            }
        }
    }

    fn flush_all(&self) {
        let number = self.epochs.begin();
        self.shared.flushes_full.fetch_add(1, Relaxed);
        self.env.flush(0, self.pages);
        self.epochs.end(number);
    }

    /// Flushes the TLB of all that is lazy, and leaves it where it is. Sleeps.
    pub fn flush_lazy(&self) {
        // Orders the PTEs cleared by the caller, as a stamp would.
        let _ = self.epochs.stamp();
        self.flush_all();
    }

    pub(super) fn cleaned(&self, areas: u64, gross: u64) {
        self.shared.flushed_areas.fetch_add(areas, Relaxed);
        self.shared.flushed_bytes.0.fetch_add(gross, Release);
        self.shared.moved.fetch_add(1, Release);
    }

    fn dissolve_magazine(&self, magazine: &Magazine) {
        for ids in magazine.ids().chunks(shards::STEP) {
            self.dissolve(ids);
            self.env.resched();
        }
    }

    /// Dissolves a list of clean areas; returns how many they were, and their pages.
    fn dissolve_list(&self, mut list: List) -> (u64, u64) {
        let mut gross = 0;
        let mut areas = 0;
        loop {
            let mut ids = [NO_ID; shards::STEP];
            let mut len = 0;
            for slot in &mut ids {
                let Some(id) = list.pop(&self.descriptors) else {
                    break;
                };
                *slot = id;
                len += 1;
            }
            let ids = ids.get(..len).unwrap_or_default();
            if ids.is_empty() {
                break;
            }
            areas += len as u64;
            gross += self.dissolve(ids);
            self.env.resched();
        }
        (areas, gross)
    }

    /// Turns all magazines of the depot, and those that wait for their CPU, into free extents. Does
    /// not sleep.
    pub(super) fn dissolve_depot(&self) {
        let dissolve = |mut chain: Chain| {
            while let Some(magazine) = chain.pop() {
                for ids in magazine.ids().chunks(shards::STEP) {
                    self.dissolve(ids);
                }
            }
        };
        for cpu in 0..self.returned.len() {
            dissolve(self.take_returned(cpu));
        }
        let mut bin = 0;
        while let Some(chain) = self.depot.take_any(&mut bin) {
            dissolve(chain);
        }
    }

    /// Turns clean areas, at most [`shards::STEP`], into free extents. Returns their pages, guard
    /// pages included.
    pub(super) fn dissolve(&self, ids: &[Id]) -> u64 {
        let mut ranges = [Range::default(); shards::STEP];
        let mut len = 0;
        let mut gross = 0u64;
        for (&id, range) in ids.iter().zip(&mut ranges) {
            if let Some(descriptor) = self.descriptors.get(id) {
                let (start, pages) = (descriptor.start(), descriptor.pages());
                self.index.set(start, pages, NO_ID);
                *range = Range {
                    start,
                    pages: pages.saturating_add(GUARD),
                };
                gross += u64::from(range.pages);
            }
            len += 1;
        }
        let ranges = ranges.get(..len).unwrap_or_default();
        self.shards.give_back(ranges, || self.env.now());
        for &id in ids {
            self.descriptors.give_back(id);
        }
        self.shared.dissolved_gross.fetch_add(gross, Release);
        self.shared.moved.fetch_add(1, Release);
        gross
    }

    /// Moves the stock of `cpu`, which no longer runs, to where others find it. Sleeps.
    pub fn drain_cpu(&self, cpu: u32) {
        let mut clean = Chain::new();
        let mut singles = List::default();
        self.local.with_each(|at, local| {
            if at == cpu {
                self.hand_on(local);
                local.spill_clean(&mut clean);
                local.spill_singles(|id| singles.push(&self.descriptors, id));
            }
        });
        let mut back = self.take_returned(cpu as usize);
        while let Some(magazine) = clean.pop().or_else(|| back.pop()) {
            self.shelve(magazine);
        }
        self.sort_out(core::iter::from_fn(|| {
            let id = singles.pop(&self.descriptors)?;
            // It is in no list any more, and clean as before.
            self.descriptors.get(id)?.set_next(link::CLEAN);
            Some(id)
        }));
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
        spares.len() as usize * core::mem::size_of::<Magazine>()
    }
}
