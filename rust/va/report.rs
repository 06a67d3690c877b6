// SPDX-License-Identifier: GPL-2.0

//! What the arena looks like: the cached record, and callers.

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

impl<E: Env> Manager<E> {
    /// What the arena looks like, and whether that came from the cache. Any context; no lock that an
    /// allocation or a free waits for is taken. Exact at rest; while others allocate, each part is
    /// what a sum over CPUs saw.
    pub fn info(&self) -> (Info, bool) {
        // The generations first: see the invariants of info.rs.
        let generations = self.generations();
        let cached = if self.switch(Switch::InfoCache) {
            self.readers.cache.load()
        } else {
            None
        };
        if let Some(info) = cached.filter(|info| info.generations == generations) {
            self.readers.info_hits.fetch_add(1, Relaxed);
            return (info, true);
        }
        self.readers.info_misses.fetch_add(1, Relaxed);
        let info = Info {
            generations,
            areas: match &cached {
                Some(info) if info.generations.areas == generations.areas => info.areas,
                _ => self.areas(),
            },
            space: match &cached {
                Some(info) if info.generations.space == generations.space => info.space,
                _ => self.shards.space(),
            },
        };
        self.readers.cache.store(&info);
        (info, false)
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

    /// Whether what a reader keeps, as of `generations`, still holds. Counts like [`Self::info`]:
    /// as a read that found its record if so, not at all if not.
    pub fn is_current(&self, generations: Generations) -> bool {
        let current = self.switch(Switch::InfoCache) && self.generations() == generations;
        if current {
            self.readers.info_hits.fetch_add(1, Relaxed);
        }
        current
    }

    /// All callers that there are, with what each holds and has done.
    pub fn callers(&self) -> impl Iterator<Item = cache::Top> + '_ {
        (0..callers::CALLERS as CallerId)
            .filter(|&id| id == callers::OTHERS || self.callers.address(id) != 0)
            .map(|caller| cache::Top {
                caller,
                totals: self.counters.caller(caller),
            })
    }

    pub(super) fn areas(&self) -> cache::Areas {
        // In this order no sum takes away what another has not yet seen come.
        let cleaned = self.shared.flushed_bytes.0.load(Acquire);
        let mut totals = counters::Totals::default();
        let top = cache::top(self.callers().inspect(|caller| totals.add(&caller.totals)));
        let dissolved = self.shared.dissolved_gross.load(Acquire);
        let lazy_gross = totals.free_gross.saturating_sub(cleaned);
        let cleaned = self.shared.flushed_bytes.0.load(Acquire);
        let made = self.shared.made_gross.load(Acquire);
        cache::Areas {
            totals,
            lazy_gross,
            stock_gross: made
                .wrapping_add(cleaned)
                .saturating_sub(totals.alloc_gross.wrapping_add(dissolved)),
            sizes: self.counters.sizes(),
            top,
        }
    }
}
