// SPDX-License-Identifier: GPL-2.0

//! The verbs of readers: sums of all counters, the cached record of the arena, what each caller holds.
//! Nothing here takes a lock that an allocation waits for.

use crate::{
    sys::sync::Ordering::{Acquire, Relaxed, Release},
    va::{
        count::{
            callers::{self, CallerId},
            counters,
        },
        info::{
            cache::{self, Info},
            record::Generations,
        },
        switches::Switch,
        Env, Manager,
    },
};

/// The totals of all callers, and what follows from them.
pub(super) struct Flows {
    pub(super) totals: counters::Totals,
    pub(super) lazy_gross: u64,
    pub(super) stock_gross: u64,
}

/// What [`Manager::look`] and [`Manager::glance`] see: pages, guard pages included.
#[derive(Clone, Copy, Debug, Default)]
pub struct Glance {
    /// Free extents and stock.
    pub free: u64,
    /// The largest free extent.
    pub largest: u64,
    /// Lazy areas.
    pub lazy: u64,
}

impl<E: Env> Manager<E> {
    /// Makes `info` what the arena looks like. Returns whether that came from the cache. Any
    /// context; this takes no lock that an allocation or a free waits for. Exact at rest; while
    /// others allocate, each part is what a sum over CPUs saw.
    pub fn info(&self, info: &mut Info) -> bool {
        // The generations first: see the invariants of info/cache.rs.
        let generations = self.generations();
        let kept = self.switch(Switch::InfoCache) && self.readers.cache.load(info);
        if kept && info.generations == generations {
            self.readers.info_hits.fetch_add(1, Relaxed);
            return true;
        }
        self.readers.info_misses.fetch_add(1, Relaxed);
        if !kept || info.generations.areas != generations.areas {
            self.add_up(&mut info.areas);
        }
        if !kept || info.generations.space != generations.space {
            info.space = self.shards.space();
        }
        info.generations = generations;
        self.readers.cache.store(info);
        false
    }

    fn generations(&self) -> Generations {
        Generations {
            areas: self
                .counters
                .generation()
                .wrapping_add(self.shared.moved.load(Acquire)),
            space: self.shards.generation(),
        }
    }

    /// Whether a reader's own record of `generations` is still fresh. If so, counts a hit, like
    /// [`Self::info`]; otherwise counts nothing.
    pub fn is_current(&self, generations: Generations) -> bool {
        let current = self.switch(Switch::InfoCache) && self.generations() == generations;
        if current {
            self.readers.info_hits.fetch_add(1, Relaxed);
        }
        current
    }

    /// All callers, with the areas that each holds, has allocated and has freed.
    pub fn callers(&self) -> impl Iterator<Item = cache::Top> + '_ {
        (0..callers::CALLERS as CallerId)
            .filter(|&id| id == callers::OTHERS || self.callers.is_taken(id))
            .map(|caller| cache::Top {
                caller,
                totals: self.counters.caller(caller),
            })
    }

    /// Those of [`Self::callers`] that are unaware: they asked another allocator, and got our areas.
    pub fn unaware_callers(&self) -> impl Iterator<Item = cache::Top> + '_ {
        self.callers()
            .filter(|top| self.callers.is_unaware(top.caller))
    }

    /// Whether the caller at `address` has a number, or gets one now. All others share [`callers::OTHERS`].
    /// Any context.
    pub fn has_number(&self, address: usize) -> bool {
        self.callers.number(address) != callers::OTHERS
    }

    /// The state of the arena from a few loads, for a report from a context that has no time for more:
    /// without what CPUs keep to themselves. Any context.
    pub fn glance(&self) -> Glance {
        let space = self.shards.space().free;
        Glance {
            free: space.pages.saturating_add(self.depot.span()),
            largest: space.largest.into(),
            lazy: self.lazy_pages(),
        }
    }

    /// Ends the use of the numbers for which `gone` is true: the code of these callers goes, and other code
    /// may come to its address. They keep their areas and counts; without areas, their counts go to
    /// [`callers::OTHERS`]. `keep` sees each that is kept. Sleeps.
    pub fn retire_callers(
        &self,
        gone: impl Fn(usize) -> bool,
        mut keep: impl FnMut(CallerId, usize),
    ) {
        let mut any = false;
        for id in 1..callers::CALLERS as CallerId {
            let address = self.callers.address(id);
            if address == 0 || !gone(address) {
                continue;
            }
            any = true;
            if self.counters.bequeath(id, callers::OTHERS) {
                self.callers.give_up(id);
            } else {
                keep(id, address);
                self.callers.retire(id);
            }
        }
        if any {
            self.local.with_each(|_, local| local.forget_caller());
            self.shared.moved.fetch_add(1, Release);
        }
    }

    /// Brings `areas` up to date.
    fn add_up(&self, areas: &mut cache::Areas) {
        areas.top.fill(cache::Top::default());
        let flows = self.flows(|caller| cache::rank(&mut areas.top, caller));
        areas.totals = flows.totals;
        areas.lazy_gross = flows.lazy_gross;
        areas.stock_gross = flows.stock_gross;
        areas.sizes = self.counters.sizes();
    }

    /// Adds up all callers, and shows each to `look`.
    pub(super) fn flows(&self, mut look: impl FnMut(cache::Top)) -> Flows {
        // Reads what leaves a state before what enters it, so that no difference goes below zero.
        let cleaned = self.shared.flushed_bytes.0.load(Acquire);
        let mut totals = counters::Totals::default();
        for caller in self.callers() {
            totals.add(&caller.totals);
            look(caller);
        }
        let dissolved = self.shared.dissolved_gross.load(Acquire);
        let lazy_gross = totals.free_gross.saturating_sub(cleaned);
        let cleaned = self.shared.flushed_bytes.0.load(Acquire);
        let made = self.shared.made_gross.load(Acquire);
        Flows {
            totals,
            lazy_gross,
            stock_gross: made
                .wrapping_add(cleaned)
                .saturating_sub(totals.alloc_gross.wrapping_add(dissolved)),
        }
    }
}
