// SPDX-License-Identifier: GPL-2.0

//! The verbs of readers: sums of all counters, the cached record of the arena, what each caller holds.
//! Nothing here takes a lock that an allocation waits for.

use crate::{
    sys::sync::Ordering::{Acquire, Relaxed},
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
            .filter(|&id| id == callers::OTHERS || self.callers.address(id) != 0)
            .map(|caller| cache::Top {
                caller,
                totals: self.counters.caller(caller),
            })
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
