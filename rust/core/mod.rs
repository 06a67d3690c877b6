// SPDX-License-Identifier: GPL-2.0

//! The area manager: placement, lookup, lazy purge, and the caches over them.
//!
//! Plain safe Rust. No kernel type is named here, and the same files are built on the host for tests,
//! fuzzing, benchmarks and the model checker. All positions are page numbers within the arena; what
//! the core needs from its surroundings comes in through [`Env`].
//!
//! The way of one allocation: [`Manager::alloc`] takes an area from this CPU's [`magazine`], else
//! from the depot, else makes one from the [`extents`] of a [shard](shards); the caller maps pages
//! into it and [`Manager::publish`]es it. The way back: [`Manager::begin_free`] finds the area by the
//! [`index`] and ends its life; the caller clears the PTEs; [`Manager::finish_free`] leaves it in this
//! CPU's lazy batch, from which a [`purge`] brings it back to the depot or the extents.
//!
//! # Invariants
//!
//! 1. An address is handed out again only after a TLB flush that began after its PTEs were cleared
//!    has completed.
//! 2. Live areas never overlap; each is followed by an unmapped guard page.
//! 3. Nothing sleeps and nothing allocates under a spinlock; no two spinlocks are held together,
//!    except that the lazy list's, the depot's or a shard's may be taken while [`sync::PerCpu::enter`]'s
//!    value is held.

#![forbid(unsafe_code)]

pub mod area;
pub mod batch;
pub mod callers;
pub mod counters;
pub mod extents;
#[cfg(faults)]
pub mod faults;
pub mod index;
pub mod info;
pub mod magazine;
pub mod mem;
pub mod purge;
pub mod record;
pub mod seqcount;
pub mod shards;
pub mod sync;

use area::{Descriptor, Descriptors, Found, Id, Kill, Kind, Snapshot, NO_CLASS, NO_ID};
use batch::Batches;
use callers::{CallerId, Callers};
use counters::Counters;
use index::Index;
use info::Info;
use magazine::{class_of, Chain, Depot, Local, Magazine, Pushed, Taken};
use mem::{Box, Mode, NoMemory, Table};
use purge::{Epochs, List, Plan, Planner, Range, Stack};
use record::Generations;
use shards::{Fail, Shards};
use sync::{
    cpu_hint, AtomicBool, AtomicU32, AtomicU64, Class, Lock, Mutex,
    Ordering::{Acquire, Relaxed, Release},
    Owned, Padded, PerCpu,
};

/// Unmapped pages behind each area.
pub const GUARD: u32 = 1;

/// What the core needs from its surroundings.
pub trait Env: Send + Sync {
    /// Flushes the TLB entries of arena pages `start..end` on all CPUs, and returns when that is
    /// done. Called where sleeping is allowed and no lock is held but the purge mutex.
    fn flush(&self, start: u32, end: u32);

    /// Asks for [`Manager::purge_due`] soon. Any context.
    fn kick_purge(&self);

    /// Asks for the areas of [`Manager::take_deferred`] to be finished soon. Any context.
    fn kick_deferred(&self);

    /// Lets others run, where no lock is held but the purge mutex.
    fn resched(&self);

    /// Whether the caller may sleep and send interrupts to other CPUs right now.
    fn may_sleep(&self) -> bool;

    /// Nanoseconds of this CPU's clock. Any context.
    fn now(&self) -> u64;
}

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
    /// Pages up to which a flush of ranges is cheaper than a full one.
    pub flush_ceiling: u32,
}

/// Whether an operation may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// May sleep: for memory, for a purge.
    MaySleep,
    /// May not.
    NoWait,
}

impl Context {
    fn mode(self) -> Mode {
        match self {
            Self::MaySleep => Mode::Sleep,
            Self::NoWait => Mode::NoWait,
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Pages, without the guard page.
    pub pages: u32,
    /// Alignment of the first page: a power of two, in pages.
    pub align: u32,
    /// Whether it may sleep.
    pub context: Context,
    /// Who asks: a code address.
    pub caller: usize,
}

/// Why there is no area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocError {
    /// No pages asked for, or an alignment that is no power of two.
    Invalid,
    /// The arena has no free extent for it, not even after a purge.
    NoSpace,
    /// No memory to keep track of it.
    NoMemory,
}

/// Why nothing was freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// Not a page of the arena.
    Foreign,
    /// No area there.
    NoArea,
    /// Inside an area, but not its start.
    Inner,
    /// Freed already.
    DoubleFree,
}

/// An allocated area that nobody else knows of yet. To be published or aborted.
#[must_use = "an area that is neither published nor aborted is lost"]
#[derive(Debug)]
pub struct Area<'m> {
    descriptor: &'m Descriptor,
    id: Id,
}

impl Area<'_> {
    /// First page.
    #[inline(always)]
    pub fn start(&self) -> u32 {
        self.descriptor.start()
    }

    /// Pages, without the guard page.
    #[inline(always)]
    pub fn pages(&self) -> u32 {
        self.descriptor.pages()
    }
}

/// An area whose life has ended; its PTEs are to be cleared, then it is to be finished.
#[must_use = "a dying area that is not finished is lost"]
#[derive(Debug)]
pub struct Dying<'m> {
    descriptor: &'m Descriptor,
    id: Id,
}

impl Dying<'_> {
    /// First page.
    #[inline(always)]
    pub fn start(&self) -> u32 {
        self.descriptor.start()
    }

    /// Pages, without the guard page.
    #[inline(always)]
    pub fn pages(&self) -> u32 {
        self.descriptor.pages()
    }

    /// What the owner put there.
    #[inline(always)]
    pub fn payload(&self) -> usize {
        self.descriptor.payload()
    }

    /// What it was used for.
    #[inline(always)]
    pub fn kind(&self) -> Kind {
        self.descriptor.kind()
    }
}

/// How [`Manager::begin_free`] went.
#[must_use]
#[derive(Debug)]
pub enum Freed<'m> {
    /// The caller finishes the free.
    Now(Dying<'m>),
    /// The last unpin will; [`Manager::is_gone`] tells when.
    Deferred(Ticket),
}

/// One life of one area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    id: Id,
    version: u32,
}

/// Keeps an area mapped. To be given back with [`Manager::unpin`].
#[must_use = "a pin that is not given back keeps the area mapped"]
#[derive(Debug, PartialEq, Eq)]
pub struct Pin(Ticket);

impl Pin {
    /// The pin as one word, never 0.
    pub fn into_raw(self) -> u64 {
        u64::from(self.0.version) << 32 | (u64::from(self.0.id) + 1)
    }

    /// The pin that [`Self::into_raw`] made into `raw`. Nonsense is found out by
    /// [`Manager::unpin`].
    pub fn from_raw(raw: u64) -> Self {
        Self(Ticket {
            id: (raw as u32).wrapping_sub(1),
            version: (raw >> 32) as u32,
        })
    }
}

/// The pin was given back already, or never taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPin;

/// Where [`Manager::finish_free`] left an area.
enum Retired {
    /// In this CPU's lazy magazine.
    Kept,
    /// The same, and magazines were handed on.
    HandedOn,
    /// Nowhere: there is no empty magazine.
    Not,
}

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

/// What a walk shows.
#[derive(Clone, Copy, Debug)]
pub struct Walked {
    /// First page.
    pub start: u32,
    /// Pages, without the guard page.
    pub pages: u32,
    /// What is known of it while it lives; `None` when it was freed and not yet dissolved.
    pub live: Option<Snapshot>,
    /// It was freed, and waits for a flush; else, if it does not live, it is clean and in stock.
    pub lazy: bool,
}

/// Counters that all CPUs write, off the fast path.
#[derive(Default)]
struct SharedCounters {
    /// Pages that came from the extents, and went back there.
    made_gross: AtomicU64,
    dissolved_gross: AtomicU64,
    /// Lazy pages that became clean.
    cleaned_gross: AtomicU64,
    cleaned_areas: AtomicU64,
    /// Counts changes of the four above, after each.
    moved: AtomicU64,
    failures: AtomicU64,
    purges: AtomicU64,
    flushes_full: AtomicU64,
    flushes_range: AtomicU64,
    flushes_shared: AtomicU64,
    waits: AtomicU64,
    retries: AtomicU64,
    steps: AtomicU64,
    lazy_locks: AtomicU64,
    double_frees: AtomicU64,
    inner_frees: AtomicU64,
    foreign_frees: AtomicU64,
    bad_unpins: AtomicU64,
    deferred: AtomicU64,
    pinned_frees: AtomicU64,
}

/// Areas that magazines do not keep, freed on one CPU.
struct Loose {
    stack: Stack,
    /// Pages pushed since they were last added to the shared total.
    pending: AtomicU32,
}

/// Mixed magazines that are clean, for the CPU that filled them.
struct Returned {
    chain: Lock<Chain>,
    /// Whether there is one: a hint, written under the lock.
    any: AtomicBool,
}

/// So many wait for their CPU at most. One that only frees never asks for them.
const RETURNED_MAX: u32 = 4;

/// What readers write, on cache lines that nobody else looks at.
struct Readers {
    cache: info::Cache,
    /// Whether it is used.
    cached: AtomicBool,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Magazines that a step purges at most. Few would cost a flush each time: what one flush cleans is to
/// be used up before the next.
const STEP_MAX: usize = 256;

/// Lazy pages that a CPU may keep to itself however many CPUs there are.
const LOCAL_LAZY_MIN: u32 = 2048;

/// Pages of the arena that are walked before others may run.
const PART: u32 = 1 << 16;

/// The area manager of one arena.
pub struct Manager<E: Env> {
    env: E,
    pages: u32,
    flush_ceiling: u32,
    magazine_gross: u32,
    /// Bounds of one CPU's lazy and clean stock, and of the depot: pages.
    local_lazy_max: AtomicU32,
    local_clean_max: u32,
    depot_max: u64,

    lazy_max: AtomicU32,
    magazines: AtomicBool,
    lookup_cache: AtomicBool,

    descriptors: Descriptors,
    index: Index,
    shards: Shards,
    local: PerCpu<Local>,
    batches: Batches,
    returned: Table<Padded<Returned>>,
    depot: Depot,

    /// Sealed batches that wait for a flush.
    lazy: Padded<Lock<Chain>>,
    /// Pages in them and in the loose lists, as far as handed in.
    lazy_gross: Padded<AtomicU64>,
    purge_kicked: AtomicBool,
    /// A drain is under way: no CPU takes from the depot what it has not reached yet.
    draining: AtomicBool,
    loose: Table<Padded<Loose>>,
    deferred: Stack,
    epochs: Epochs,
    purging: Mutex<()>,

    callers: Callers,
    counters: Counters,
    shared: Padded<SharedCounters>,
    readers: Padded<Readers>,
}

impl<E: Env> Manager<E> {
    /// A manager of an arena that is all free. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(config: Config, env: E) -> Result<Self, NoMemory> {
        let pages = config.pages;
        let cpus = config.cpus.max(1);
        let magazine_gross = (pages / 256).min(16384);
        let counters = Counters::new(cpus)?;
        let manager = Self {
            env,
            pages,
            flush_ceiling: config.flush_ceiling,
            magazine_gross,
            local_lazy_max: AtomicU32::new(0),
            local_clean_max: pages / cpus.saturating_mul(8),
            depot_max: u64::from(pages / 4),
            lazy_max: AtomicU32::new(0),
            magazines: AtomicBool::new(true),
            lookup_cache: AtomicBool::new(true),
            // An area takes two pages at least.
            descriptors: Descriptors::new(pages / (1 + GUARD) + 1)?,
            index: Index::new(pages)?,
            shards: Shards::new(pages, config.shards)?,
            local: PerCpu::new(cpus, |cpu| {
                Local::new(cpu, magazine_gross, counters.of(cpu).ok_or(NoMemory)?)
            })?,
            batches: Batches::new(cpus)?,
            returned: Table::try_new(cpus as usize, Mode::Sleep, |_| {
                Ok(Padded(Returned {
                    chain: Lock::new(Chain::new(), Class::Depot)?,
                    any: AtomicBool::new(false),
                }))
            })?,
            depot: Depot::new()?,
            lazy: Padded(Lock::new(Chain::new(), Class::Lazy)?),
            lazy_gross: Padded(AtomicU64::new(0)),
            purge_kicked: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            loose: Table::new(cpus as usize, Mode::Sleep, |_| {
                Padded(Loose {
                    stack: Stack::new(),
                    pending: AtomicU32::new(0),
                })
            })?,
            deferred: Stack::new(),
            epochs: Epochs::new(),
            purging: Mutex::new(())?,
            callers: Callers::new()?,
            counters,
            shared: Padded(SharedCounters::default()),
            readers: Padded(Readers {
                cache: info::Cache::new()?,
                cached: AtomicBool::new(true),
                hits: AtomicU64::new(0),
                misses: AtomicU64::new(0),
            }),
        };
        manager.set_lazy_max(config.lazy_max_pages);
        Ok(manager)
    }

    /// The surroundings.
    pub fn env(&self) -> &E {
        &self.env
    }

    /// Pages of the arena.
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// Lazy pages that start a purge.
    pub fn lazy_max(&self) -> u32 {
        self.lazy_max.load(Relaxed)
    }

    /// Sets how many lazy pages start a purge; 0 flushes on every free. At most a quarter of the
    /// arena is ever used, whatever is set. May sleep.
    pub fn set_lazy_max(&self, pages: u32) {
        let max = pages.min(self.pages / 4);
        // A share of each CPU, but on machines with many not so little that magazines of large areas
        // are handed on before they are worth it.
        let share = max / self.counters.cpus().max(1);
        self.local_lazy_max
            .store(share.max((max / 4).min(LOCAL_LAZY_MIN)), Relaxed);
        if self.lazy_max.swap(pages, Relaxed) != 0 && pages == 0 {
            self.end_lazy();
        }
    }

    /// Whether freed areas are kept in lazy magazines.
    fn keeps_lazy(&self) -> bool {
        self.lazy_max.load(Relaxed) != 0 && self.magazines.load(Relaxed)
    }

    /// Hands all lazy magazines on. If [`Self::keeps_lazy`] says no by now, none is begun any more.
    fn end_lazy(&self) {
        self.local.with_each(|_, local| self.hand_on(local));
    }

    /// Switches the free-area cache of the extents.
    pub fn set_free_area_cache(&self, on: bool) {
        self.shards.set_cache(on);
    }

    /// Switches the magazines. What is clean in them stays until the next [`Purge::Drain`]. May
    /// sleep.
    pub fn set_magazines(&self, on: bool) {
        if self.magazines.swap(on, Relaxed) && !on {
            self.end_lazy();
        }
    }

    /// Switches the cached last area of the index.
    pub fn set_lookup_cache(&self, on: bool) {
        self.lookup_cache.store(on, Relaxed);
    }

    // ---- allocation ----

    /// Allocates an area. Sleeps only where the request allows.
    ///
    /// # Errors
    ///
    /// [`AllocError`]; then nothing has changed, except that a purge may have taken place.
    #[inline(always)]
    pub fn alloc(&self, request: Request) -> Result<Area<'_>, AllocError> {
        let class = class_of(request.pages, request.align);
        if class != NO_CLASS {
            if let Some(mut local) = self.local.enter() {
                if let Some(area) = self.pop(&mut local, class, request.caller) {
                    return Ok(area);
                }
            }
        }
        self.alloc_slow(request, class)
    }

    /// Takes an area out of this CPU's stock.
    #[inline(always)]
    fn pop(&self, local: &mut Owned<'_, Local>, class: u16, caller: usize) -> Option<Area<'_>> {
        let id = local.pop(class)?;
        self.take_out(local, id, class, caller)
    }

    /// Gives an area of the stock to `caller`.
    #[inline(always)]
    fn take_out(
        &self,
        local: &mut Owned<'_, Local>,
        id: Id,
        class: u16,
        caller: usize,
    ) -> Option<Area<'_>> {
        let descriptor = self.descriptors.get(id)?;
        let caller = local.caller(&self.callers, caller);
        local.counters().alloc(caller, descriptor.pages());
        descriptor.claim(class, caller, local.cpu());
        Some(Area { descriptor, id })
    }

    #[cold]
    #[inline(never)]
    fn alloc_slow(&self, request: Request, class: u16) -> Result<Area<'_>, AllocError> {
        let request = &request;
        let &Request { pages, align, .. } = request;
        if pages == 0 || !align.is_power_of_two() {
            return Err(AllocError::Invalid);
        }
        let in_magazines = class != NO_CLASS && self.magazines.load(Relaxed);
        let made = if in_magazines {
            match self.refill_or_purge(request, class) {
                Some(area) => return Ok(area),
                None => self.make_batch(request, class),
            }
        } else {
            self.make_or_reclaim(request, NO_CLASS)
        };
        match made {
            Ok(area) => {
                self.counters.alloc_shared(area.descriptor.caller(), pages);
                Ok(area)
            }
            Err(e) => {
                self.shared.failures.fetch_add(1, Relaxed);
                Err(match e {
                    Fail::NoSpace => AllocError::NoSpace,
                    Fail::NoMemory => AllocError::NoMemory,
                })
            }
        }
    }

    /// As [`Self::refill`]; where the depot has nothing although more is lazy than should be, because
    /// the purge that was asked for has yet to get a CPU, purges a part rather than have more made.
    fn refill_or_purge(&self, request: &Request, class: u16) -> Option<Area<'_>> {
        self.refill(request, class).or_else(|| {
            let overdue = self.lazy_gross.load(Relaxed) > u64::from(self.lazy_max.load(Relaxed));
            if !overdue || request.context == Context::NoWait {
                return None;
            }
            self.shared.steps.fetch_add(1, Relaxed);
            self.purge(Purge::Step);
            self.refill(request, class)
        })
    }

    /// Swaps this CPU's empty clean magazine for a full one of the depot, and takes an area out.
    fn refill(&self, request: &Request, class: u16) -> Option<Area<'_>> {
        let mut local = self.local.enter()?;
        // The stock may have been out of reach rather than empty.
        if let Some(area) = self.pop(&mut local, class, request.caller) {
            return Some(area);
        }
        if let Some(id) = local.take_single(class) {
            return self.take_out(&mut local, id, class, request.caller);
        }
        if self.draining.load(Relaxed) {
            return None;
        }
        while let Some(left) = self.come_home(&mut local) {
            drop(local);
            self.shelve(left);
            local = self.local.enter()?;
            if let Some(id) = local.take_single(class) {
                return self.take_out(&mut local, id, class, request.caller);
            }
        }
        let full = match self.depot.take(class, local.cpu())? {
            Taken::Magazine(full) => full,
            Taken::One(id, empty) => {
                if let Some(empty) = empty {
                    self.put_spare(&mut local, empty);
                }
                return self.take_out(&mut local, id, class, request.caller);
            }
        };
        if local.clean_gross() > self.local_clean_max {
            let mut chain = Chain::new();
            local.spill_clean(&mut chain);
            while let Some(magazine) = chain.pop() {
                self.shelve(magazine);
            }
        }
        if let Some(empty) = local.load(full) {
            self.put_spare(&mut local, empty);
        }
        self.pop(&mut local, class, request.caller)
    }

    /// Gives a clean mixed magazine back to the CPU that filled it, unless that has enough.
    fn give_home(&self, magazine: Box<Magazine>) {
        if let Some(own) = self.returned.get(usize::from(magazine.home())) {
            self.shared.lazy_locks.fetch_add(1, Relaxed);
            let mut chain = own.chain.lock();
            if chain.len() < RETURNED_MAX {
                chain.push(magazine);
                own.any.store(true, Relaxed);
                return;
            }
        }
        self.shelve(magazine);
    }

    /// Takes the areas of a mixed magazine that came back into this CPU's stock. Returns it with what
    /// there is no place for.
    fn come_home(&self, local: &mut Owned<'_, Local>) -> Option<Box<Magazine>> {
        let own = self.returned.get(local.cpu() as usize)?;
        if !own.any.load(Relaxed) {
            return None;
        }
        self.shared.lazy_locks.fetch_add(1, Relaxed);
        let mut chain = own.chain.lock();
        let back = chain.pop();
        own.any.store(!chain.is_empty(), Relaxed);
        drop(chain);
        let mut back = back?;
        back.retain(|id| {
            self.descriptors.get(id).is_some_and(|descriptor| {
                !local.keep_single(descriptor.class(), id, self.local_clean_max)
            })
        });
        Some(back)
    }

    /// Takes out what waits for CPU `cpu` to come for it.
    fn take_returned(&self, cpu: usize) -> Chain {
        let Some(own) = self.returned.get(cpu) else {
            return Chain::new();
        };
        let mut chain = own.chain.lock();
        own.any.store(false, Relaxed);
        chain.take()
    }

    fn put_spare(&self, local: &mut Local, empty: Box<Magazine>) {
        if !empty.ids().is_empty() {
            return self.shelve(empty);
        }
        if let Some(empty) = local.keep_spare(empty) {
            // A magazine too many is freed, outside of any spinlock.
            drop(self.depot.put_spare(empty));
        }
    }

    /// Puts a clean magazine, full or not, into the depot.
    fn shelve(&self, mut magazine: Box<Magazine>) {
        let empty = if magazine.ids().is_empty() {
            Some(magazine)
        } else if magazine.class() == NO_CLASS {
            self.sort_out(magazine.ids().iter().copied());
            magazine.clear();
            Some(magazine)
        } else {
            let rounds = Depot::rounds(self.magazine_gross, magazine.class());
            self.depot.put(magazine, rounds)
        };
        if let Some(empty) = empty {
            drop(self.depot.put_spare(empty));
        }
    }

    /// Puts clean areas into the depot, each where it belongs.
    fn sort_out(&self, ids: impl Iterator<Item = Id>) {
        let mut spare = None;
        for id in ids {
            let class = match self.descriptors.get(id) {
                Some(descriptor) => descriptor.class(),
                None => continue,
            };
            let rounds = Depot::rounds(self.magazine_gross, class);
            if self.depot.put_one(class, id, rounds, &mut spare) {
                continue;
            }
            // It takes a magazine more.
            spare = self
                .depot
                .take_spare()
                .or_else(|| Magazine::new(Mode::NoWait).ok());
            if !self.depot.put_one(class, id, rounds, &mut spare) {
                self.dissolve(&[id]);
            }
        }
        if let Some(spare) = spare {
            drop(self.depot.put_spare(spare));
        }
    }

    /// Makes one area for the caller and, each time that the depot is found empty, more of the same
    /// for this CPU's stock.
    fn make_batch(&self, request: &Request, class: u16) -> Result<Area<'_>, Fail> {
        let area = self.make_or_reclaim(request, class)?;
        let batch = match self.local.enter() {
            Some(mut local) => {
                if !local.has_spare() {
                    if let Some(spare) = self.depot.take_spare() {
                        drop(local.keep_spare(spare));
                    }
                }
                local.next_batch(class)
            }
            None => 1,
        };
        if batch > 1 {
            if let Ok(magazine) = Magazine::new(Mode::NoWait) {
                if let Some(mut local) = self.local.enter() {
                    self.put_spare(&mut local, magazine);
                }
            }
        }
        for _ in 1..batch {
            let Ok(extra) = self.make(request, class) else {
                break;
            };
            if !self.stock(class, extra.id) {
                self.dissolve(&[extra.id]);
                break;
            }
        }
        Ok(area)
    }

    /// Puts one clean area into this CPU's stock. False when there is no room, or somebody else has
    /// the stock; then the caller keeps it.
    fn stock(&self, class: u16, id: Id) -> bool {
        self.local
            .enter()
            .is_some_and(|mut local| local.stock(class, id))
    }

    /// Makes an area from the extents; where there is no space, purges and tries again.
    fn make_or_reclaim(&self, request: &Request, class: u16) -> Result<Area<'_>, Fail> {
        // Each round but the last has seen space come back; the bound is for a load that takes it
        // away from us every time.
        for _ in 0..64 {
            let seen = self.shared.dissolved_gross.load(Acquire);
            match self.make(request, class) {
                Err(Fail::NoSpace) => {}
                done => return done,
            }
            if request.pages.saturating_add(GUARD) > self.pages {
                return Err(Fail::NoSpace);
            }
            match request.context {
                Context::MaySleep => {
                    self.purge(Purge::Drain);
                }
                // What is clean can be had without a flush.
                Context::NoWait => self.dissolve_depot(),
            }
            if self.shared.dissolved_gross.load(Acquire) == seen {
                return Err(Fail::NoSpace);
            }
            self.shared.retries.fetch_add(1, Relaxed);
        }
        Err(Fail::NoSpace)
    }

    /// Makes an area from the extents.
    fn make(&self, request: &Request, class: u16) -> Result<Area<'_>, Fail> {
        let &Request { pages, align, .. } = request;
        let mode = request.context.mode();
        let gross = pages.checked_add(GUARD).ok_or(Fail::NoSpace)?;
        if gross > self.pages {
            return Err(Fail::NoSpace);
        }
        let start = self.shards.take(gross, align, cpu_hint(), mode)?;
        let range = Range {
            start,
            pages: gross,
        };
        let (id, descriptor) = match self.describe(start, pages, class, mode) {
            Ok(described) => described,
            Err(e) => {
                self.shards.give_back(&[range], || self.env.now());
                return Err(e.into());
            }
        };
        self.shared.made_gross.fetch_add(u64::from(gross), Relaxed);
        self.shared.moved.fetch_add(1, Release);
        let caller = self.callers.number(request.caller);
        descriptor.claim(class, caller, cpu_hint());
        Ok(Area { descriptor, id })
    }

    /// Gives a range that the caller holds a descriptor, and names it in the index.
    fn describe(
        &self,
        start: u32,
        pages: u32,
        class: u16,
        mode: Mode,
    ) -> Result<(Id, &Descriptor), NoMemory> {
        self.index.prepare(start, pages, mode)?;
        let id = self.descriptors.take(mode)?;
        let descriptor = self.descriptors.get(id).ok_or(NoMemory)?;
        descriptor.shape(start, pages, class);
        descriptor.set_next(batch::CLEAN);
        self.index.set(start, pages, id);
        Ok((id, descriptor))
    }

    /// Makes an area Live: from now on lookup, pin and free find it. Any context.
    #[inline(always)]
    pub fn publish(&self, area: Area<'_>, payload: usize, kind: Kind) {
        area.descriptor.publish(payload, kind);
    }

    /// Gives an area back that was never published; PTEs that were set in it are clear again. Not
    /// from interrupts.
    pub fn abort(&self, area: Area<'_>) {
        self.retire(area.descriptor, area.id);
    }

    // ---- free ----

    /// Ends the life of the area that starts at `page`. Any context; of several callers one wins.
    ///
    /// # Errors
    ///
    /// [`FreeError`]; then nothing has changed.
    #[inline(always)]
    pub fn begin_free(&self, page: u32) -> Result<Freed<'_>, FreeError> {
        let id = self.index.get(page);
        let Some(descriptor) = self.descriptors.get(id) else {
            return Err(self.refuse(page, None));
        };
        match descriptor.kill(page) {
            Kill::Dead => Ok(Freed::Now(Dying { descriptor, id })),
            Kill::Pinned(version) => {
                self.shared.pinned_frees.fetch_add(1, Relaxed);
                Ok(Freed::Deferred(Ticket { id, version }))
            }
            Kill::Elsewhere | Kill::NotLive => Err(self.refuse(page, Some(descriptor))),
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse(&self, page: u32, found: Option<&Descriptor>) -> FreeError {
        let (error, counter) = match found {
            _ if page >= self.pages => (FreeError::Foreign, &self.shared.foreign_frees),
            None => (FreeError::NoArea, &self.shared.foreign_frees),
            Some(d) if d.start() != page && d.snapshot().is_some() => {
                (FreeError::Inner, &self.shared.inner_frees)
            }
            Some(d) if d.start() != page => (FreeError::NoArea, &self.shared.foreign_frees),
            Some(_) => (FreeError::DoubleFree, &self.shared.double_frees),
        };
        counter.fetch_add(1, Relaxed);
        error
    }

    /// Leaves an area whose PTEs are clear to the lazy batch of this CPU. Task context, where
    /// sleeping need not be allowed; elsewhere use [`Self::defer_free`].
    #[inline(always)]
    pub fn finish_free(&self, dying: Dying<'_>) {
        self.retire(dying.descriptor, dying.id);
    }

    /// Leaves an area to be finished by [`Self::take_deferred`]. Any context.
    pub fn defer_free(&self, dying: Dying<'_>) {
        self.shared.deferred.fetch_add(1, Relaxed);
        if self.deferred.push(&self.descriptors, dying.id) {
            self.env.kick_deferred();
        }
    }

    /// The areas that wait to be finished. Their PTEs are not clear yet.
    pub fn take_deferred(&self) -> impl Iterator<Item = Dying<'_>> + '_ {
        let mut list = self.deferred.take();
        ::core::iter::from_fn(move || {
            let id = list.pop(&self.descriptors)?;
            let descriptor = self.descriptors.get(id)?;
            Some(Dying { descriptor, id })
        })
    }

    /// Makes a dead area lazy.
    #[inline(always)]
    fn retire(&self, descriptor: &Descriptor, id: Id) {
        let class = descriptor.class();
        // Where areas are not to be kept, no class has a lazy magazine: see `push_lazy_slow`.
        if let Some(mut local) = self.local.enter() {
            match self.push_lazy(&mut local, descriptor, class, id) {
                Retired::Kept => return,
                Retired::HandedOn => {
                    drop(local);
                    return self.push_back();
                }
                Retired::Not => {}
            }
        }
        self.retire_slow(id, descriptor, class);
    }

    /// Pushes to this CPU's lazy magazine.
    #[inline(always)]
    fn push_lazy(&self, local: &mut Local, descriptor: &Descriptor, class: u16, id: Id) -> Retired {
        let pushed = local.push_lazy(descriptor, class, id);
        if pushed == Pushed::Kept && local.lazy_gross() <= self.local_lazy_max.load(Relaxed) {
            local
                .counters()
                .free(descriptor.caller(), descriptor.pages());
            return Retired::Kept;
        }
        self.push_lazy_slow(local, descriptor, (class, id), pushed)
    }

    #[cold]
    #[inline(never)]
    fn push_lazy_slow(
        &self,
        local: &mut Local,
        descriptor: &Descriptor,
        (class, id): (u16, Id),
        mut pushed: Pushed,
    ) -> Retired {
        let mut mixed = false;
        if pushed == Pushed::NoMagazine {
            if class == NO_CLASS || !self.keeps_lazy() {
                return Retired::Not;
            }
            mixed = !local.is_hot(class);
            if mixed {
                pushed = local.push_mixed(descriptor, class, id);
            }
        }
        if pushed == Pushed::NoMagazine {
            if !local.has_spare() {
                if let Some(spare) = self.depot.take_spare() {
                    drop(local.keep_spare(spare));
                }
            }
            let started = if mixed {
                local.start_mixed(&self.batches)
            } else {
                local.start_lazy(&self.batches, class)
            };
            if !started {
                return Retired::Not;
            }
            pushed = if mixed {
                local.push_mixed(descriptor, class, id)
            } else {
                local.push_lazy(descriptor, class, id)
            };
        }
        local
            .counters()
            .free(descriptor.caller(), descriptor.pages());
        if pushed == Pushed::Full {
            let full = if mixed {
                local.take_mixed()
            } else {
                local.take_full(class)
            };
            if let Some(mut magazine) = full {
                magazine.stamp = self.epochs.stamp();
                self.queue(magazine);
            }
        } else if local.lazy_gross() > self.local_lazy_max.load(Relaxed) {
            self.hand_on(local);
        } else {
            return Retired::Kept;
        }
        Retired::HandedOn
    }

    /// Hands all lazy magazines of this CPU on.
    #[cold]
    fn hand_on(&self, local: &mut Local) {
        let mut chain = Chain::new();
        local.spill_lazy(&mut chain, self.epochs.stamp());
        while let Some(magazine) = chain.pop() {
            self.queue(magazine);
        }
    }

    /// Hands one stamped magazine on to whoever purges next.
    fn queue(&self, magazine: Box<Magazine>) {
        let gross = u64::from(magazine.gross());
        self.shared.lazy_locks.fetch_add(1, Relaxed);
        self.lazy.lock().push(magazine);
        self.add_lazy(gross);
    }

    fn add_lazy(&self, gross: u64) {
        let total = self
            .lazy_gross
            .fetch_add(gross, Relaxed)
            .wrapping_add(gross);
        let max = self.lazy_max.load(Relaxed).min(self.pages / 4);
        // Pairs with the acquire in `purge_due`, which then sees what was added.
        if total > u64::from(max) && !self.purge_kicked.swap(true, Release) {
            self.env.kick_purge();
        }
    }

    #[cold]
    #[inline(never)]
    fn retire_slow(&self, id: Id, descriptor: &Descriptor, class: u16) {
        let eager = self.lazy_max.load(Relaxed) == 0;
        if class != NO_CLASS && self.keeps_lazy() {
            // The stock has run out of empty magazines, or somebody else has it.
            let spare = Magazine::new(Mode::NoWait);
            if let (Ok(spare), Some(mut local)) = (spare, self.local.enter()) {
                if let Some(spare) = local.keep_spare(spare) {
                    drop(self.depot.put_spare(spare));
                }
                let retired = self.push_lazy(&mut local, descriptor, class, id);
                drop(local);
                if !matches!(retired, Retired::Not) {
                    return self.push_back();
                }
            }
        }
        let gross = descriptor.pages().saturating_add(GUARD);
        self.counters
            .free_shared(descriptor.caller(), descriptor.pages());
        let cpu = cpu_hint() as usize;
        if eager && self.env.may_sleep() {
            self.flush_one(id, class, gross);
            return;
        }
        let Some(loose) = self.loose.get(cpu).or_else(|| self.loose.first()) else {
            return;
        };
        loose.stack.push(&self.descriptors, id);
        let pending = loose.pending.fetch_add(gross, Relaxed).wrapping_add(gross);
        if eager || pending > self.local_lazy_max.load(Relaxed) {
            self.add_lazy(u64::from(loose.pending.swap(0, Relaxed)));
        }
        self.push_back();
    }

    /// Flushes one area that was just freed and makes it clean at once.
    fn flush_one(&self, id: Id, class: u16, gross: u32) {
        let Some(descriptor) = self.descriptors.get(id) else {
            return;
        };
        let mut planner = Planner::new();
        planner.add(descriptor.start(), descriptor.pages());
        self.flush(planner);
        self.cleaned(1, u64::from(gross));
        descriptor.set_next(batch::CLEAN);
        let stocked = class != NO_CLASS && self.magazines.load(Relaxed) && self.stock(class, id);
        if !stocked {
            self.dissolve(&[id]);
        }
    }

    /// Lazy pages from which on who frees purges.
    fn high(&self) -> u64 {
        u64::from(self.lazy_max.load(Relaxed)) * 2
    }

    /// Backpressure: where frees outrun the purger, the freeing task does a bounded part itself.
    #[cold]
    #[inline(never)]
    fn push_back(&self) {
        if self.lazy_gross.load(Relaxed) > self.high() && self.env.may_sleep() {
            self.shared.steps.fetch_add(1, Relaxed);
            self.purge(Purge::Step);
        }
    }

    // ---- purge ----

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
            None if how == Purge::Step && self.lazy_gross.load(Relaxed) <= 2 * self.high() => {
                return
            }
            #[cfg(faults)]
            None if faults::Fault::NoWait.on() => return,
            None => {
                self.shared.waits.fetch_add(1, Relaxed);
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
        if self.lazy_gross.load(Relaxed) > u64::from(max) {
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
        let spilled = lazy.gross();
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
        let sealed_gross = lazy.gross().wrapping_sub(spilled);

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
        self.sub_lazy(sealed_gross + loose_gross);

        while let Some(magazine) = lazy.pop() {
            let areas = magazine.ids().len() as u64;
            self.cleaned(areas, u64::from(magazine.gross()));
            self.batches.end(magazine.batch);
            if how == Purge::Drain
                || !self.magazines.load(Relaxed)
                || self.depot.gross() > self.depot_max
            {
                clean.push(magazine);
            } else if magazine.class() == NO_CLASS {
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

    fn sub_lazy(&self, gross: u64) {
        // Loose pages are handed in late, so the total may lag behind what is taken out.
        let mut total = self.lazy_gross.load(Relaxed);
        loop {
            let left = total.saturating_sub(gross);
            match self
                .lazy_gross
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

    fn flush(&self, planner: Planner) {
        match planner.plan(self.flush_ceiling) {
            Plan::None => {
                self.shared.flushes_shared.fetch_add(1, Relaxed);
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

    fn cleaned(&self, areas: u64, gross: u64) {
        self.shared.cleaned_areas.fetch_add(areas, Relaxed);
        self.shared.cleaned_gross.fetch_add(gross, Release);
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
    fn dissolve_depot(&self) {
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
    fn dissolve(&self, ids: &[Id]) -> u64 {
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

    // ---- lookup ----

    /// Asks the area found last in the window of `page`, then the one that the index names, for what
    /// `ask` wants of the area that holds `page`; it tells where that lies, too.
    #[inline(always)]
    fn find<R>(
        &self,
        page: u32,
        ask: impl Fn(Id, &Descriptor) -> Option<(Found, R)>,
    ) -> Option<(Found, R)> {
        let window = self.index.window(page)?;
        let cached = self.lookup_cache.load(Relaxed);
        if cached {
            let last = window.last(page);
            if let Some((id, last)) = last.and_then(|id| Some((id, self.descriptors.get(id)?))) {
                // A guess: but a Live area that holds the page is the one.
                let answer = ask(id, last);
                if answer.is_some() {
                    return answer;
                }
            }
        }
        let id = window.get(page);
        let (found, answer) = ask(id, self.descriptors.get(id)?)?;
        if cached {
            window.remember(page, id, found.start, found.pages);
        }
        Some((found, answer))
    }

    /// The Live area that holds `page`; none for a guard page. Any context, no lock.
    #[inline(always)]
    pub fn lookup(&self, page: u32) -> Option<Found> {
        let (found, ()) = self.find(page, |_, descriptor| Some((descriptor.find(page)?, ())))?;
        Some(found)
    }

    /// As [`Self::lookup`], with all that is known of the area.
    pub fn inspect(&self, page: u32) -> Option<Snapshot> {
        let (_, seen) = self.find(page, |_, descriptor| {
            let seen = descriptor.snapshot().filter(|seen| seen.covers(page))?;
            let (start, pages) = (seen.start, seen.pages);
            Some((Found { start, pages }, seen))
        })?;
        Some(seen)
    }

    /// Pins the Live area that holds `page`: it stays mapped until the pin is given back. Any
    /// context, no lock.
    #[inline(always)]
    pub fn pin(&self, page: u32) -> Option<(Pin, Found)> {
        let (found, pin) = self.find(page, |id, descriptor| {
            let (version, found) = descriptor.pin(page)?;
            Some((found, Pin(Ticket { id, version })))
        })?;
        Some((pin, found))
    }

    /// Gives a pin back. Returns the area if it was freed meanwhile and this was the last pin: the
    /// caller finishes the free.
    ///
    /// # Errors
    ///
    /// [`BadPin`] for a pin that was given back already or never taken; then nothing has changed.
    #[inline(always)]
    pub fn unpin(&self, pin: Pin) -> Result<Option<Dying<'_>>, BadPin> {
        let Ticket { id, version } = pin.0;
        let unpinned = self
            .descriptors
            .get(id)
            .and_then(|d| Some((d, d.unpin(version)?)));
        match unpinned {
            Some((_, false)) => Ok(None),
            Some((descriptor, true)) => Ok(Some(Dying { descriptor, id })),
            None => {
                self.shared.bad_unpins.fetch_add(1, Relaxed);
                Err(BadPin)
            }
        }
    }

    /// Whether a deferred free has been finished by the last unpin.
    pub fn is_gone(&self, ticket: Ticket) -> bool {
        self.descriptors
            .get(ticket.id)
            .is_none_or(|d| d.version() != ticket.version)
    }

    /// Visits areas in ascending order from `page` on, without a lock, until `visit` says false.
    /// Areas that are allocated or freed meanwhile may or may not be seen; none is seen twice, out of
    /// order, or overlapping another.
    pub fn walk(&self, page: u32, visit: &mut dyn FnMut(&Walked) -> bool) {
        self.walk_part(page, self.pages, visit);
    }

    /// As [`Self::walk`], of the areas that begin before page `to`. Returns whether `visit` wanted
    /// more. The time that it takes is bounded by the pages in between.
    pub fn walk_part(&self, page: u32, to: u32, visit: &mut dyn FnMut(&Walked) -> bool) -> bool {
        let mut at = page;
        let mut floor = page;
        while let Some((page, id)) = self.index.next_from(at, to.min(self.pages)) {
            at = page.saturating_add(1);
            let Some(descriptor) = self.descriptors.get(id) else {
                continue;
            };
            let live = descriptor.snapshot().filter(|seen| seen.covers(page));
            let range = match &live {
                Some(seen) => Some((seen.start, seen.pages)),
                None => descriptor.range(),
            };
            let Some((start, pages)) = range else {
                continue;
            };
            let end = start.saturating_add(pages);
            if start > page || end <= page {
                continue;
            }
            if start >= floor {
                floor = end;
                let walked = Walked {
                    start,
                    pages,
                    live,
                    lazy: live.is_none() && self.batches.is_lazy(descriptor.next()),
                };
                if !visit(&walked) {
                    return false;
                }
            }
            at = end;
        }
        true
    }

    /// The first area that begins at or after `page` and is live or waits for a flush: for those who
    /// show areas one by one and come back for the next. Sleeps.
    pub fn next_shown(&self, page: u32) -> Option<Walked> {
        let mut from = page;
        while from < self.pages {
            let to = from.saturating_add(PART);
            let mut found = None;
            let mut next = to;
            self.walk_part(from, to, &mut |walked| {
                if walked.live.is_none() && !walked.lazy {
                    // Clean stock, or on its way: nobody's.
                    next = next.max(walked.start.saturating_add(walked.pages));
                    return true;
                }
                found = Some(*walked);
                false
            });
            if found.is_some() {
                return found;
            }
            from = next;
            self.env.resched();
        }
        None
    }

    /// The code address of a caller; 0 where it is not known.
    pub fn caller(&self, id: CallerId) -> usize {
        self.callers.address(id)
    }

    // ---- what it all looks like ----

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
    pub fn callers(&self) -> impl Iterator<Item = info::Top> + '_ {
        (0..callers::CALLERS as CallerId)
            .filter(|&id| id == callers::OTHERS || self.callers.address(id) != 0)
            .map(|caller| info::Top {
                caller,
                totals: self.counters.caller(caller),
            })
    }

    fn areas(&self) -> info::Areas {
        // In this order no sum takes away what another has not yet seen come.
        let cleaned = self.shared.cleaned_gross.load(Acquire);
        let mut totals = counters::Totals::default();
        let top = info::top(self.callers().inspect(|caller| totals.add(&caller.totals)));
        let dissolved = self.shared.dissolved_gross.load(Acquire);
        let lazy_gross = totals.free_gross.saturating_sub(cleaned);
        let cleaned = self.shared.cleaned_gross.load(Acquire);
        let made = self.shared.made_gross.load(Acquire);
        info::Areas {
            totals,
            lazy_gross,
            stock_gross: made
                .wrapping_add(cleaned)
                .saturating_sub(totals.alloc_gross.wrapping_add(dissolved)),
            sizes: self.counters.sizes(),
            top,
        }
    }

    // ---- upkeep ----

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
        self.sort_out(::core::iter::from_fn(|| {
            let id = singles.pop(&self.descriptors)?;
            // It is in no list any more, and clean as before.
            self.descriptors.get(id)?.set_next(batch::CLEAN);
            Some(id)
        }));
    }

    /// Pages that a [`Purge::Drain`] could turn into free extents, as far as CPUs have handed them
    /// on: two loads, where the exact number is a sum over all callers on all CPUs. Any context.
    pub fn reclaimable(&self) -> u64 {
        self.depot
            .gross()
            .saturating_add(self.lazy_gross.load(Relaxed))
    }

    /// Frees the empty magazines; returns their bytes. Any context.
    pub fn shrink(&self) -> usize {
        let spares = self.depot.take_spares();
        spares.len() as usize * ::core::mem::size_of::<Magazine>()
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
