// SPDX-License-Identifier: GPL-2.0

//! What the arena looks like: the cached record, callers, counters.

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
        space::shards,
        Env, Manager,
    },
};

/// What [`Manager::stats`] tells. Gross pages include guard pages.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Stats {
    /// Areas allocated and freed since the start.
    pub allocs: u64,
    pub frees: u64,
    /// Pages of live areas, of areas waiting for a flush, and of clean areas in magazines.
    pub live_gross: u64,
    pub lazy_gross: u64,
    pub stock_gross: u64,
    /// The extents.
    pub space: shards::FreeSpace,
    /// Requests that failed.
    pub failures: u64,
    /// Purges, and flushes by kind; spared: an earlier flush served.
    pub purges: u64,
    pub flushes_full: u64,
    pub flushes_range: u64,
    pub flushes_spared: u64,
    pub cleaned_areas: u64,
    pub cleaned_gross: u64,
    /// Tasks that waited for another's purge; searches repeated after a purge; backpressure.
    pub waits: u64,
    pub retries: u64,
    pub steps: u64,
    /// The longest that a lock was held to give areas back, in ns.
    pub hold_max_ns: u64,
    /// Misuse that was detected and had no effect.
    pub double_frees: u64,
    pub inner_frees: u64,
    pub foreign_frees: u64,
    pub bad_unpins: u64,
    /// Frees left to a work item; frees of pinned areas.
    pub deferred: u64,
    pub pinned_frees: u64,
    /// Extents looked at, in how many searches.
    pub visited: u64,
    pub searches: u64,
    /// Acquisitions of locks that CPUs share.
    pub shared_locks: u64,
    /// Descriptors made, and bytes of bookkeeping.
    pub descriptors: u32,
    pub descriptor_bytes: usize,
    pub index_bytes: usize,
    /// Readers of [`Manager::info`] that found the record fresh, and that did not.
    pub info_hits: u64,
    pub info_misses: u64,
}

impl<E: Env> Manager<E> {
    /// Switches the cached record of [`Self::info`].
    pub fn set_info_cache(&self, on: bool) {
        self.readers.cached.store(on, Relaxed);
    }

    /// What the arena looks like, and whether that came from the cache. Any context; no lock that an
    /// allocation or a free waits for is taken. Exact at rest; while others allocate, each part is
    /// what a sum over CPUs saw.
    pub fn info(&self) -> (Info, bool) {
        // The generations first: see the invariants of info.rs.
        let generations = self.generations();
        let cached = if self.readers.cached.load(Relaxed) {
            self.readers.cache.load()
        } else {
            None
        };
        if let Some(info) = cached.filter(|info| info.generations == generations) {
            self.readers.hits.fetch_add(1, Relaxed);
            return (info, true);
        }
        self.readers.misses.fetch_add(1, Relaxed);
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
        let current = self.readers.cached.load(Relaxed) && self.generations() == generations;
        if current {
            self.readers.hits.fetch_add(1, Relaxed);
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

    fn areas(&self) -> cache::Areas {
        // In this order no sum takes away what another has not yet seen come.
        let cleaned = self.shared.cleaned_gross.load(Acquire);
        let mut totals = counters::Totals::default();
        let top = cache::top(self.callers().inspect(|caller| totals.add(&caller.totals)));
        let dissolved = self.shared.dissolved_gross.load(Acquire);
        let lazy_gross = totals.free_gross.saturating_sub(cleaned);
        let cleaned = self.shared.cleaned_gross.load(Acquire);
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

    /// All counters, each exact at rest; while others allocate, they need not be of one moment.
    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        let areas = self.areas();
        let (descriptors, descriptor_bytes) = self.descriptors.footprint();
        let space = self.shards.space().free;
        Stats {
            allocs: areas.totals.allocs,
            frees: areas.totals.frees,
            live_gross: areas
                .totals
                .alloc_gross
                .wrapping_sub(areas.totals.free_gross),
            lazy_gross: areas.lazy_gross,
            stock_gross: areas.stock_gross,
            space,
            failures: shared.failures.load(Relaxed),
            purges: shared.purges.load(Relaxed),
            flushes_full: shared.flushes_full.load(Relaxed),
            flushes_range: shared.flushes_range.load(Relaxed),
            flushes_spared: shared.flushes_shared.load(Relaxed),
            cleaned_areas: shared.cleaned_areas.load(Relaxed),
            cleaned_gross: shared.cleaned_gross.load(Relaxed),
            waits: shared.waits.load(Relaxed),
            retries: shared.retries.load(Relaxed),
            steps: shared.steps.load(Relaxed),
            hold_max_ns: self.shards.hold_max.load(Relaxed),
            double_frees: shared.double_frees.load(Relaxed),
            inner_frees: shared.inner_frees.load(Relaxed),
            foreign_frees: shared.foreign_frees.load(Relaxed),
            bad_unpins: shared.bad_unpins.load(Relaxed),
            deferred: shared.deferred.load(Relaxed),
            pinned_frees: shared.pinned_frees.load(Relaxed),
            visited: self.shards.visited.load(Relaxed),
            searches: self.shards.searches.load(Relaxed),
            shared_locks: self
                .shards
                .locks
                .load(Relaxed)
                .wrapping_add(self.depot.locks.load(Relaxed))
                .wrapping_add(shared.lazy_locks.load(Relaxed)),
            descriptors,
            descriptor_bytes,
            index_bytes: self.index.footprint(),
            info_hits: self.readers.hits.load(Relaxed),
            info_misses: self.readers.misses.load(Relaxed),
        }
    }
}
