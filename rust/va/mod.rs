// SPDX-License-Identifier: GPL-2.0

//! The area manager: it knows which addresses of the arena are free, live or lazy, places areas, finds
//! them, and purges.
//!
//! Plain safe Rust that names no kernel type: tests, fuzzing and the model checker build the same files
//! on the host. A position in the arena is a [`Page`], a number of pages is a `u32`. What the manager
//! needs from its surroundings comes in through [`Env`].
//!
//! The way of one allocation: [`Manager::alloc`] (alloc.rs) takes an area from this CPU's
//! [stock](stock::local), else from the depot, else makes one from the [`space::extents`] of a [shard](space::shards); the
//! caller maps pages into it and [`Manager::publish`]es it. The way back: [`Manager::begin_free`]
//! (free.rs) finds the area by the [`area::index`] and ends its life; the caller clears the PTEs;
//! [`Manager::finish_free`] leaves it in this CPU's lazy magazine, from which [`Manager::purge`]
//! (purge.rs) brings it back to the depot or the extents. Documentation/design.rst tells both ways step
//! by step, and explains the words.
//!
//! # Invariants
//!
//! Those of Documentation/design.rst, which has the only numbered list. The manager keeps 1 (no
//! address again before a flush) and 2 (no overlap, a guard page), as far as its callers clear PTEs
//! before they finish a free; and 3 to 6.

#![forbid(unsafe_code)]

pub mod area;
pub mod count;
pub mod env;
pub mod error;
#[cfg(faults)]
pub mod faults;
pub mod flush;
pub mod info;
pub mod sort;
pub mod space;
pub mod stats;
pub mod stock;
pub mod switches;

// The manager's verbs, one file each.
mod alloc;
mod free;
mod lookup;
mod purge;
mod report;
mod room;
mod trim;

pub use alloc::{Area, Request};
pub use env::Env;
pub use error::{AllocError, BadPin, FreeError};
pub use free::{Dying, Freed};
pub use lookup::{Pin, Ticket, Unpinned, Walked};
pub use purge::Purge;
pub use space::range::GUARD;
pub use switches::Switch;

use crate::sys::{
    mem::{boxed, Box, Table},
    sync::{
        cpu_hint, AtomicBool, AtomicU32, AtomicU64, Lock, Mutex, Ordering::Relaxed, Owned, PerCpu,
    },
    LockClass, Mode, NoMemory, Padded, Page,
};
use area::{class::Class, index::Index, link::Numbers, Descriptors};
use core::num::NonZeroU32;
use count::{callers::Callers, counters::Counters};
use flush::{epochs::Epochs, list::Stack};
use space::shards::Shards;
use stats::SharedCounters;
use stock::{
    depot::Depot,
    local::{Local, Piece, Spans},
    magazine::{Chain, Sealed},
    ordered::Ordered,
};
use switches::Switches;
use trim::Trims;

/// How a manager is set up.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Pages of the arena.
    pub pages: u32,
    /// CPUs that may ever run.
    pub cpus: u32,
    /// Shards of the free space.
    pub shards: u32,
    /// Lazy pages that start a purge; 0 flushes on every free.
    pub lazy_max_pages: u32,
    /// Number of purges at the beginning that come earlier: the last of them at half of that, each one before
    /// at half of the next.
    pub early_purges: u32,
    /// Pages up to which a flush of ranges is cheaper than a full one.
    pub flush_ceiling: u32,
}

/// The loose areas that one CPU freed.
struct Loose {
    stack: Stack,
    /// Pages pushed since they were last added to the shared total.
    pending: AtomicU32,
}

/// Words that readers write, on cache lines of their own.
struct Readers {
    cache: info::cache::Cache,
    info_hits: AtomicU64,
    info_misses: AtomicU64,
}

impl Readers {
    /// Nobody has read yet. May sleep.
    fn new() -> Result<Box<Padded<Self>>, NoMemory> {
        let readers = Self {
            cache: info::cache::Cache::new()?,
            info_hits: AtomicU64::new(0),
            info_misses: AtomicU64::new(0),
        };
        boxed(Padded(readers), Mode::Sleep)
    }
}

/// Words that a purge writes and other tasks read.
#[derive(Default)]
struct Purges {
    /// Somebody has asked for one.
    kicked: AtomicBool,
    /// A drain is under way: no CPU takes from the depot what the drain has not reached yet.
    draining: AtomicBool,
    /// All areas were clean after a full flush that began when this many frees were counted.
    flushed_frees: AtomicU64,
}

/// Lazy pages that a CPU may keep to itself however many CPUs there are.
const LOCAL_LAZY_MIN: u32 = 2048;

/// The area manager of one arena. Most fields with cache lines of their own are boxed: [`Self::new`]
/// makes a manager on the stack, which has no room for cache lines that hold only a word.
pub struct Manager<E: Env> {
    env: E,
    pages: u32,
    flush_ceiling: u32,
    /// Bound of one CPU's lazy stock: pages.
    local_lazy_max: AtomicU32,
    /// Those of the rest of it.
    spans: Spans,

    lazy_max: AtomicU32,
    /// Early purges that are still to come: see [`Config::early_purges`].
    early_purges: AtomicU32,
    switches: Switches,

    descriptors: Descriptors,
    index: Index,
    shards: Shards,
    /// Of the CPUs that have allocated or freed: see [`Self::equip`].
    local: PerCpu<Local>,
    numbers: Numbers,
    depot: Depot,

    /// Magazines that wait for a flush.
    lazy: Box<Padded<Lock<Chain<Sealed>>>>,
    /// Span of these and of the loose areas, as far as CPUs have added theirs: see [`Self::lazy_pages`].
    lazy_span: Box<Padded<AtomicU64>>,
    /// Apart from the other fields: each free reads some of them, and a purge that writes beside them would slow it down.
    purges: Box<Padded<Purges>>,
    /// What the last request asked for that failed because it must not sleep: a [`room::Gap`].
    wanted: AtomicU64,
    loose: Table<Padded<Loose>>,
    deferred: Stack,
    epochs: Epochs,
    /// The purging task has it, and what it dissolves.
    purging: Mutex<Ordered>,
    trims: Box<Trims>,

    callers: Callers,
    counters: Counters,
    shared: Padded<SharedCounters>,
    readers: Box<Padded<Readers>>,
}

impl<E: Env> Manager<E> {
    /// A manager of an arena that is all free. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    // Not inlined: its caller must not keep this stack frame while it goes on.
    #[inline(never)]
    pub fn new(config: Config, env: E) -> Result<Self, NoMemory> {
        let pages = config.pages;
        // A division by a number of this type cannot panic.
        let cpus = NonZeroU32::new(config.cpus).unwrap_or(NonZeroU32::MIN);
        let spans = Spans {
            magazine: (pages / 256).min(16384),
            mixed: (pages / 64).min(16384),
            clean_share: pages / 8 / cpus,
        };
        let cpus = cpus.get();
        let counters = Counters::new(cpus)?;
        let manager = Self {
            env,
            pages,
            flush_ceiling: config.flush_ceiling,
            local_lazy_max: AtomicU32::new(0),
            spans,
            lazy_max: AtomicU32::new(0),
            early_purges: AtomicU32::new(0),
            switches: Switches::new(),
            descriptors: Descriptors::new(pages)?,
            index: Index::new(pages)?,
            shards: Shards::new(pages, config.shards)?,
            local: PerCpu::new(cpus)?,
            numbers: Numbers::new(cpus)?,
            depot: Depot::new(cpus, spans.magazine, pages)?,
            lazy: boxed(
                Padded(Lock::new(Chain::new(), LockClass::Lazy)?),
                Mode::Sleep,
            )?,
            lazy_span: boxed(Padded(AtomicU64::new(0)), Mode::Sleep)?,
            purges: boxed(Padded(Purges::default()), Mode::Sleep)?,
            wanted: AtomicU64::new(0),
            loose: Table::new(cpus as usize, Mode::Sleep, |_| {
                Padded(Loose {
                    stack: Stack::new(),
                    pending: AtomicU32::new(0),
                })
            })?,
            deferred: Stack::new(),
            epochs: Epochs::new(),
            purging: Mutex::new(Ordered::new(pages)?)?,
            trims: Trims::new(pages)?,
            callers: Callers::new()?,
            counters,
            shared: Padded(SharedCounters::default()),
            readers: Readers::new()?,
        };
        manager.set_lazy_max(config.lazy_max_pages);
        manager.early_purges.store(config.early_purges, Relaxed);
        Ok(manager)
    }

    /// The surroundings: for tests, whose surroundings note the manager's calls.
    #[allow(dead_code, reason = "only tests on the host call it")]
    pub fn env(&self) -> &E {
        &self.env
    }

    /// Room that CPUs were promised for clean magazines: pages.
    #[allow(dead_code, reason = "only tests on the host call it")]
    pub fn promised(&self) -> u64 {
        self.depot.promised()
    }

    /// Pages of the arena.
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// The end of the arena: the position behind its last page.
    #[inline(always)]
    fn end(&self) -> Page {
        Page::new(self.pages)
    }

    /// Lazy pages that start a purge.
    pub fn lazy_max(&self) -> u32 {
        self.lazy_max.load(Relaxed)
    }

    /// Lazy pages that start the next purge.
    fn limit(&self) -> u64 {
        let max = self.lazy_max.load(Relaxed).min(self.pages / 4);
        u64::from(max >> self.early_purges.load(Relaxed).min(31))
    }

    /// Sets how many lazy pages start a purge, from the next one on; with 0 every free flushes. The manager
    /// never uses more than a quarter of the arena as this limit. May sleep.
    pub fn set_lazy_max(&self, pages: u32) {
        self.early_purges.store(0, Relaxed);
        let max = pages.min(self.pages / 4);
        // A share for each CPU. On machines with many CPUs it has a minimum, so that no CPU hands on
        // magazines of large areas too early, unless all CPUs together had much of the arena then.
        let cpus = self.counters.cpus().max(1);
        let least = (max / 4).min(LOCAL_LAZY_MIN).min(self.pages / 8 / cpus);
        self.local_lazy_max.store((max / cpus).max(least), Relaxed);
        if self.lazy_max.swap(pages, Relaxed) != 0 && pages == 0 {
            self.end_lazy();
        }
    }

    /// Gives this CPU a stock, if it has none, and room in it for areas of `class`: whoever allocates or frees there
    /// for the first time pays for that, with memory of the CPU's node. Without memory, the CPU does without for now. May
    /// sleep, for memory as `mode` says.
    #[cold]
    #[inline(never)]
    fn equip(&self, class: Option<Class>, mode: Mode) {
        let cpu = cpu_hint();
        if !self.local.has(cpu) {
            self.equip_cpu(cpu, mode);
        }
        if let Some(class) = class.filter(|class| !class.is_near()) {
            self.equip_far(class, mode);
        }
    }

    /// Gives this CPU's stock room for areas of `class`, which is not near, if it has none.
    fn equip_far(&self, class: Class, mode: Mode) {
        let lacks = |local: Owned<'_, Local>| !local.has_place(class);
        if !self.local.enter().is_some_and(lacks) {
            return;
        }
        let Ok(piece) = Piece::new(class, mode) else {
            return;
        };
        // This function drops a surplus piece only when it has let go of the stock.
        let _surplus = match self.local.enter() {
            Some(mut local) => local.put_piece(class, piece),
            None => Some(piece),
        };
    }

    fn equip_cpu(&self, cpu: u32, mode: Mode) {
        let counters = self.counters.of(cpu, mode);
        let made = counters.and_then(|counters| Local::new(cpu, self.spans, counters, mode));
        if let Ok(local) = made {
            // This or another task's: it has one, or it does without.
            let _ = self.local.put(cpu, local, mode);
        }
    }

    /// Whether CPUs keep freed areas in lazy magazines.
    fn keeps_lazy(&self) -> bool {
        self.lazy_max.load(Relaxed) != 0 && self.switch(Switch::Magazines)
    }

    /// Hands on the lazy magazines of all CPUs. If [`Self::keeps_lazy`] is false by now, no CPU begins
    /// another one.
    fn end_lazy(&self) {
        let mut chain = Chain::new();
        self.local
            .with_each(|_, local| self.detach_lazy(local, &mut chain));
        self.queue_all(chain);
    }
}
