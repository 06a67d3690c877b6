// SPDX-License-Identifier: GPL-2.0

//! Every counter, one entry each: its name, its unit, what it means.
//!
//! The table below makes the atomics (`SharedCounters`), their values at one moment ([`Stats`]) and
//! the lines of debugfs `stats` ([`Stats::lines`]). `scripts/check-keys` compares
//! Documentation/ABI/testing/debugfs-vmapcache with it, and writes that part of the file with `--write`.
//! So a new counter is one entry here, and the place that counts.
//!
//! A counter has the name of its key in debugfs. rust/va knows no bytes: values that debugfs shows in
//! bytes are [`Pages`] here, and only [`Stats::lines`] multiplies.

use crate::{
    sys::{
        found_broken,
        sync::{
            AtomicU64,
            Ordering::{self, Relaxed},
        },
    },
    va::{report::Flows, space::shards::FreeSpace, Env, Manager},
};

/// The unit of a counter that debugfs shows as it is.
pub type Number<T = u64> = T;

/// The unit of a counter of pages, which debugfs shows in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pages<T = u64>(pub T);

impl From<u32> for Pages {
    fn from(pages: u32) -> Self {
        Self(pages.into())
    }
}

/// A counter that can be read.
trait Read {
    type Value;
    fn read(&self, order: Ordering) -> Self::Value;
}

impl Read for AtomicU64 {
    type Value = u64;
    fn read(&self, order: Ordering) -> u64 {
        self.load(order)
    }
}

impl Read for Pages<AtomicU64> {
    type Value = Pages;
    fn read(&self, order: Ordering) -> Pages {
        Pages(self.0.load(order))
    }
}

/// A value as debugfs shows it.
trait Shown {
    fn shown(self, page_shift: usize) -> u64;
}

impl Shown for u64 {
    fn shown(self, _: usize) -> u64 {
        self
    }
}

impl Shown for Pages {
    fn shown(self, page_shift: usize) -> u64 {
        self.0 << page_shift
    }
}

/// The sources of values that nobody counts directly.
struct Seen<'m, E: Env> {
    manager: &'m Manager<E>,
    areas: Flows,
    space: FreeSpace,
    descriptors: (u32, usize),
}

macro_rules! counters {
    (
        // Values of now, computed for a reader.
        now($seen:ident) { $($(#[$now_doc:meta])* $now:ident: $now_unit:ident = $now_how:expr,)* }
        // Counters that all CPUs share, off the fast path.
        counted { $($(#[$doc:meta])* $key:ident: $unit:ident,)* }
        // The same, but no reader sees them directly.
        inner { $($(#[$inner_doc:meta])* $inner:ident: $inner_unit:ident,)* }
        // Counters of other rooms, and values that follow from counters.
        sums { $($(#[$sum_doc:meta])* $sum:ident: $sum_unit:ident = $sum_how:expr,)* }
    ) => {
        /// Counters that all CPUs write, off the fast path.
        #[derive(Default)]
        pub(super) struct SharedCounters {
            $($(#[$doc])* pub(super) $key: $unit<AtomicU64>,)*
            $($(#[$inner_doc])* pub(super) $inner: $inner_unit<AtomicU64>,)*
        }

        /// All counters, by the keys of debugfs `stats`.
        #[derive(Clone, Copy, Debug)]
        pub struct Stats {
            $($(#[$now_doc])* pub $now: $now_unit,)*
            $($(#[$doc])* pub $key: $unit,)*
            $($(#[$sum_doc])* pub $sum: $sum_unit,)*
        }

        impl Stats {
            /// Each counter's key, and its value with pages in bytes.
            pub fn lines(&self, page_shift: usize) -> impl Iterator<Item = (&'static str, u64)> {
                [
                    $((stringify!($now), self.$now.shown(page_shift)),)*
                    $((stringify!($key), self.$key.shown(page_shift)),)*
                    $((stringify!($sum), self.$sum.shown(page_shift)),)*
                ]
                .into_iter()
            }
        }

        impl<E: Env> Manager<E> {
            /// All counters, each exact at rest; while others allocate, they need not be of one
            /// moment.
            pub fn stats(&self) -> Stats {
                let $seen = Seen {
                    manager: self,
                    areas: self.flows(|_| {}),
                    space: self.shards.space().free,
                    descriptors: self.descriptors.footprint(),
                };
                $(let $key = self.shared.$key.read(Relaxed);)*
                Stats {
                    $($now: $now_how,)*
                    $($key,)*
                    $($sum: $sum_how,)*
                }
            }
        }
    };
}

counters! {
    now(seen) {
        /// Areas that are allocated.
        areas: Number = seen.areas.totals.areas(),
        /// Their memory.
        bytes_live: Pages = Pages(seen.areas.totals.pages()),
        /// The guard pages behind them.
        bytes_guard: Pages = Pages(
            seen.areas.totals.gross().saturating_sub(seen.areas.totals.pages())
        ),
        /// Areas that were freed and wait for a TLB flush, with guard pages.
        bytes_lazy: Pages = Pages(seen.areas.lazy_gross),
        /// What can be allocated without a flush: free extents, and bytes_stock.
        bytes_free: Pages = Pages(seen.space.pages.wrapping_add(seen.areas.stock_gross)),
        /// Clean areas in magazines, already cut to size, with guard pages.
        bytes_stock: Pages = Pages(seen.areas.stock_gross),
        /// Size of the arena.
        bytes_arena: Pages = seen.manager.pages().into(),
        /// The largest free extent.
        largest_free_bytes: Pages = seen.space.largest.into(),
        /// Free extents. One that spans shards counts in each.
        free_extents: Number = seen.space.extents,
        /// Area descriptors in existence.
        descriptors: Number = seen.descriptors.0.into(),
        /// Memory for area descriptors.
        descriptor_bytes: Number = seen.descriptors.1 as u64,
        /// Memory for the index, which finds the area of an address.
        index_bytes: Number = seen.manager.index.footprint() as u64,
        /// Memory for free extents, and for those that there will be when all areas are gone.
        extent_bytes: Number = seen.manager.shards.bytes() as u64,
        /// Lazy pages that start a purge; see the file of that name.
        lazy_max_pages: Number = seen.manager.lazy_max().into(),
    }
    counted {
        /// Frees left to a work item, because the context did not allow more.
        frees_deferred: Number,
        /// Frees of pinned areas, which the last unpin finishes.
        frees_pinned: Number,
        /// Allocations that failed for lack of space, or of memory for bookkeeping.
        failures: Number,
        /// Purges of any size.
        purges: Number,
        /// Tasks that waited for another's purge.
        purge_waits: Number,
        /// Searches for space that were repeated after a purge brought some back.
        purge_retries: Number,
        /// Bounded purges by tasks, while frees outran the purge.
        backpressure_steps: Number,
        /// Flushes of the whole arena.
        flushes_full: Number,
        /// Flushes of a part of the arena.
        flushes_range: Number,
        /// Purges that an earlier flush served.
        flushes_spared: Number,
        /// Areas that became clean.
        flushed_areas: Number,
        /// The memory of areas that became clean, with guard pages.
        flushed_bytes: Pages,
        /// The longest that a lock was held to give areas back, in ns.
        hold_max_ns: Number,
        /// Frees of an area that was freed already. They had no effect, as all errors below.
        errors_double_free: Number,
        /// Frees of an address inside an area.
        errors_inner_free: Number,
        /// Frees of an address outside of the arena, or where no area is.
        errors_foreign_free: Number,
        /// Frees of an address that is no multiple of the page size.
        errors_unaligned_free: Number,
        /// Unpins without a pin.
        errors_unpin: Number,
    }
    inner {
        /// Pages that came from the extents.
        made_gross: Number,
        /// Pages that went back to the extents.
        dissolved_gross: Number,
        /// Changes of `made_gross`, `dissolved_gross`, `flushed_areas` and `flushed_bytes`, counted
        /// after each.
        moved: Number,
        /// Acquisitions of the lazy list's lock, and of those of magazines that came home.
        lazy_locks: Number,
    }
    sums {
        /// Areas allocated.
        allocations: Number = seen.areas.totals.allocs,
        /// Areas freed.
        frees: Number = seen.areas.totals.frees,
        /// Calls of flush_tlb_kernel_range().
        flushes: Number = flushes_full.wrapping_add(flushes_range),
        /// Bugs of vmapcache itself: something happened that cannot. The kernel log has the first one,
        /// with a backtrace.
        errors_internal: Number = found_broken(),
        /// Searches for free space.
        extent_searches: Number = seen.manager.shards.extent_searches.load(Relaxed),
        /// Extents that these searches looked at.
        extents_visited: Number = seen.manager.shards.extents_visited.load(Relaxed),
        /// Acquisitions of a lock that CPUs share.
        shared_locks: Number = {
            let manager = seen.manager;
            let (shards, depot) = (&manager.shards.locks, &manager.depot.locks);
            let lazy = manager.shared.lazy_locks.load(Relaxed);
            shards.load(Relaxed).wrapping_add(depot.load(Relaxed)).wrapping_add(lazy)
        },
        /// Reads of info that found nothing changed.
        info_hits: Number = seen.manager.readers.info_hits.load(Relaxed),
        /// Reads of info that found something changed.
        info_misses: Number = seen.manager.readers.info_misses.load(Relaxed),
    }
}
