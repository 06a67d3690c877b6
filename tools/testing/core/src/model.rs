// SPDX-License-Identifier: GPL-2.0

//! A manager and, beside it, a model of it in plain lists. Every step does one random thing to both and
//! compares.

use crate::{
    choice::{Choice, Rng},
    collections::{BTreeMap, BTreeSet, Vec},
    env::TestEnv,
    knobs::{
        self, fail_from_nth, fail_nth, fail_nth_left, run_on_cpu, set_atomic, without_reclaim,
        MEMORY_IS_SHORT,
    },
    look,
    sys::{found_broken, Mode, Page},
    va::{
        area::{class::Class, Kind, Snapshot},
        space::shards::FreeSpace,
        stats::Stats,
        AllocError, Area, Config, Dying, FreeError, Freed, Manager, Pin, Purge, Request, Switch,
        Ticket, Unpinned, GUARD,
    },
};
use core::sync::atomic::Ordering::SeqCst;

const CPUS: u32 = 3;
const CALLERS: [usize; 4] = [0x1000, 0x2000, 0x2008, 0x3000];

/// One area as it must be.
struct Life {
    pages: u32,
    payload: usize,
    kind: Kind,
    caller: usize,
    pins: Vec<Pin>,
    /// Freed, but still pinned.
    ticket: Option<Ticket>,
    /// A pin that it had, as a word.
    pinned: Option<u64>,
    /// Somebody keeps something for it.
    noted: bool,
}

/// Mistakes of a caller, as the counters must show them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mistakes {
    double: u64,
    inner: u64,
    foreign: u64,
    unpins: u64,
    /// No mistakes, but counters like them.
    pinned: u64,
    deferred: u64,
}

/// An area that was allocated and not published.
struct Held<'m> {
    area: Area<'m>,
    caller: usize,
    mapped: bool,
}

/// See the file.
pub struct Model<'m> {
    manager: &'m Manager<TestEnv>,
    lives: BTreeMap<Page, Life>,
    held: Vec<Held<'m>>,
    /// Areas whose free was deferred, start to pages: their PTEs are not clear.
    deferred: BTreeMap<Page, u32>,
    next_payload: usize,
    /// Pins of lives that are over.
    stale: Vec<u64>,
    counted: Mistakes,
    /// Let allocations of memory fail now and then.
    inject: bool,
}

/// A manager whose size and settings are drawn from `choice`.
pub fn manager(choice: &mut impl Choice) -> Manager<TestEnv> {
    let pages = match choice.below(8) {
        0 => 2 + choice.below(30),
        1 => 20_000,
        _ => 600 + choice.below(2_000),
    };
    let config = Config {
        pages,
        cpus: CPUS,
        shards: 1 + choice.below(5),
        lazy_max_pages: [0, 16, 200, u32::MAX][choice.below(4) as usize],
        early_purges: pages % 4,
        flush_ceiling: choice.below(40),
    };
    run_on_cpu(0);
    set_atomic(false);
    Manager::new(config, TestEnv::new(pages)).unwrap()
}

/// Runs a new manager beside its model for `steps` steps.
pub fn run(seed: u64, steps: u32, inject: bool) {
    knobs::begin(seed);
    let mut rng = Rng::new(seed);
    let manager = manager(&mut rng);
    let mut model = Model::new(&manager, inject);
    for _ in 0..steps {
        model.step(&mut rng);
    }
    model.finish();
}

/// The free extents, as the counters have them.
pub fn free_space(stats: &Stats) -> FreeSpace {
    FreeSpace {
        pages: stats.bytes_free.0 - stats.bytes_stock.0,
        extents: stats.free_extents,
        largest: stats.largest_free_bytes.0 as u32,
    }
}

impl<'m> Model<'m> {
    /// A model of `manager`, which is new. With `inject`, some allocations of memory fail.
    pub fn new(manager: &'m Manager<TestEnv>, inject: bool) -> Self {
        Self {
            manager,
            lives: BTreeMap::new(),
            held: Vec::new(),
            deferred: BTreeMap::new(),
            next_payload: 1,
            stale: Vec::new(),
            counted: Mistakes::default(),
            inject,
        }
    }

    /// Does one random thing.
    pub fn step(&mut self, choice: &mut impl Choice) {
        match choice.below(100) {
            0..=34 => self.alloc(choice),
            35..=39 => self.publish_or_abort(choice),
            40..=64 => self.free(choice),
            65..=67 => self.free_wrongly(choice),
            68..=71 => self.lookup(choice),
            72..=75 => self.pin(choice),
            76..=79 => self.unpin(choice),
            80..=81 => self.walk(choice),
            82..=85 => self.purge(choice),
            86..=88 => self.switch(choice),
            89..=93 => run_on_cpu(choice.below(CPUS)),
            94..=95 => self.work(),
            96 => self.manager.drain_cpu(choice.below(CPUS)),
            97 => drop(self.manager.shrink()),
            98 => {
                self.manager.flush_lazy();
                assert!(self.manager.env().is_flushed(), "something is stale");
            }
            _ => self.check(),
        }
    }

    /// Frees everything, and checks that all of the arena is free again.
    pub fn finish(mut self) {
        fail_nth(0);
        for held in core::mem::take(&mut self.held) {
            self.abort(held);
        }
        for start in self.lives.keys().copied().collect::<Vec<_>>() {
            if self.lives[&start].ticket.is_none() {
                self.free_at(start, false);
            }
            while let Some(life) = self.lives.get_mut(&start) {
                let pin = life.pins.pop().unwrap();
                self.unpin_one(start, pin, false);
            }
        }
        self.work();
        self.check();
        self.manager.purge(Purge::Drain);
        self.check();
        let stats = self.manager.stats();
        assert_eq!(
            (stats.bytes_lazy.0, stats.bytes_stock.0, stats.areas),
            (0, 0, 0)
        );
        assert_eq!(stats.bytes_free, self.manager.pages().into());
        assert_eq!(stats.largest_free_bytes, self.manager.pages().into());
        while self.manager.trim(usize::MAX) > 0 {
            self.manager.finish_trim();
        }
        // A shard keeps the nodes that it began with, and what it shares with the next one.
        let kept = stats.free_extents as usize * (4096 + 1024 + 2048);
        assert!(self.manager.bookkeeping() <= kept, "bookkeeping is left");
        self.manager
            .walk(Page::new(0), &mut |seen| panic!("{seen:?} is still there"));
        for page in 0..self.manager.pages() {
            assert!(self.manager.lookup(Page::new(page)).is_none());
        }
        assert_eq!(found_broken(), 0);
    }

    /// All taken ranges, as start and gross pages.
    fn taken(&self) -> impl Iterator<Item = (Page, u32)> + '_ {
        let lives = self.lives.iter().map(|(&start, life)| (start, life.pages));
        let held = self.held.iter().map(|h| (h.area.start(), h.area.pages()));
        let deferred = self.deferred.iter().map(|(&start, &pages)| (start, pages));
        lives
            .chain(held)
            .chain(deferred)
            .map(|(s, p)| (s, p + GUARD))
    }

    /// Whether the request fits between the taken ranges.
    fn fits(&self, pages: u32, align: u32) -> bool {
        let taken: BTreeMap<_, _> = self.taken().collect();
        let end = Page::new(self.manager.pages());
        let mut at = 0u64;
        for (&start, &gross) in taken.iter().chain([(&end, &0)]) {
            let place = at.next_multiple_of(u64::from(align));
            if place + u64::from(pages) + u64::from(GUARD) <= u64::from(start.get()) {
                return true;
            }
            at = u64::from(start.get()) + u64::from(gross);
        }
        false
    }

    fn request(&self, choice: &mut impl Choice) -> Request {
        let arena = self.manager.pages();
        let pages = match choice.below(20) {
            0 => [0, arena - 1, arena, u32::MAX][choice.below(4) as usize],
            1..=2 => 1 + choice.below(arena),
            3..=5 => 1 + choice.below(300),
            _ => 1 + choice.below(8),
        };
        let align = match choice.below(20) {
            0 => [0, 3, 6, 1 << 31][choice.below(4) as usize],
            1..=7 => 1 << choice.below(12),
            _ => 1,
        };
        Request {
            pages,
            align,
            mode: match choice.below(10) {
                0..=6 => Mode::Sleep,
                7 => Mode::Gentle,
                _ => Mode::NoWait,
            },
            caller: CALLERS[choice.below(CALLERS.len() as u32) as usize],
        }
    }

    fn alloc(&mut self, choice: &mut impl Choice) {
        let request = self.request(choice);
        if self.next_payload % 3 == 0 && self.alloc_stocked(&request) {
            return;
        }
        let atomic = request.mode == Mode::NoWait && choice.percent(50);
        let inject = self.inject && choice.percent(15);
        let nth = if inject {
            1 + u64::from(choice.below(4))
        } else {
            0
        };
        // Every other time, memory stays short.
        if self.next_payload % 2 == 0 {
            fail_nth(nth);
        } else {
            fail_from_nth(nth);
        }
        set_atomic(atomic);
        let result = match request.mode {
            Mode::Sleep => self.manager.alloc(request),
            Mode::Gentle | Mode::NoWait => without_reclaim(|| self.manager.alloc(request)),
        };
        set_atomic(false);
        let short = MEMORY_IS_SHORT && request.mode != Mode::Sleep;
        let injected = short || inject && fail_nth_left() == 0;
        fail_nth(0);
        let valid = request.pages > 0 && request.align.is_power_of_two();
        match result {
            Ok(area) => self.allocated(choice, &request, area),
            Err(AllocError::Invalid) => assert!(!valid, "refused {request:?}"),
            Err(AllocError::NoMemory) => assert!(injected, "no memory for {request:?}"),
            Err(AllocError::NoSpace) => {
                assert!(valid);
                let may = request.mode != Mode::NoWait && !injected;
                assert!(
                    !may || !self.fits(request.pages, request.align),
                    "{request:?} fits"
                );
            }
        }
    }

    /// By the shortcut, out of this CPU's stock. False if that has nothing for the request.
    fn alloc_stocked(&mut self, request: &Request) -> bool {
        let Some(class) = Class::from(request.pages, request.align) else {
            return false;
        };
        let (payload, kind) = (self.next_payload, Kind::VaOnly);
        let stocked = self
            .manager
            .alloc_stocked(class, request.caller, payload, kind);
        let Some(start) = stocked else {
            return false;
        };
        assert_eq!(start.get() % request.align, 0);
        self.manager.env().map(start, request.pages);
        self.begin_life(start, request.pages, kind, request.caller);
        true
    }

    /// An area was published, with the next payload.
    fn begin_life(&mut self, start: Page, pages: u32, kind: Kind, caller: usize) {
        let payload = self.next_payload;
        self.next_payload += 1;
        let (ticket, _) = self.manager.identify(start).unwrap();
        let noted = payload % 5 == 0;
        if noted {
            assert!(self.manager.note(ticket));
        }
        let life = Life {
            pages,
            payload,
            kind,
            caller,
            pins: Vec::new(),
            ticket: None,
            pinned: None,
            noted,
        };
        assert!(self.lives.insert(start, life).is_none());
    }

    fn allocated(&mut self, choice: &mut impl Choice, request: &Request, area: Area<'m>) {
        assert!(
            request.pages > 0 && request.align.is_power_of_two(),
            "served {request:?}"
        );
        assert_eq!(area.pages(), request.pages);
        assert_eq!(area.start().get() % request.align, 0);
        let end = area.start().plus(area.pages() + GUARD);
        assert!(end.get() <= self.manager.pages());
        for (start, gross) in self.taken() {
            assert!(
                end <= start || start.plus(gross) <= area.start(),
                "{area:?} overlaps {start:?}"
            );
        }
        assert!(
            self.manager.lookup(area.start()).is_none(),
            "seen before it was published"
        );
        let mapped = choice.percent(90);
        if mapped {
            self.manager.env().map(area.start(), area.pages());
        }
        let held = Held {
            area,
            caller: request.caller,
            mapped,
        };
        if mapped && choice.percent(85) {
            self.publish(choice, held);
        } else {
            self.held.push(held);
        }
    }

    fn publish(&mut self, choice: &mut impl Choice, held: Held<'m>) {
        let Held {
            area,
            caller,
            mapped,
        } = held;
        if !mapped {
            self.manager.env().map(area.start(), area.pages());
        }
        let kinds = [Kind::Vmalloc, Kind::Vmap, Kind::VmMapRam, Kind::VaOnly];
        let kind = kinds[choice.below(4) as usize];
        let (start, pages) = (area.start(), area.pages());
        self.manager.publish(area, self.next_payload, kind);
        self.begin_life(start, pages, kind, caller);
    }

    fn abort(&mut self, held: Held<'m>) {
        if held.mapped {
            self.manager
                .env()
                .clear(held.area.start(), held.area.pages());
        }
        self.manager.abort(held.area, Mode::Sleep);
    }

    fn publish_or_abort(&mut self, choice: &mut impl Choice) {
        if self.held.is_empty() {
            return;
        }
        let i = choice.below(self.held.len() as u32) as usize;
        let held = self.held.swap_remove(i);
        if choice.percent(50) {
            self.publish(choice, held);
        } else {
            self.abort(held);
        }
    }

    /// A random page, more often one near an area.
    fn some_page(&self, choice: &mut impl Choice) -> Page {
        let arena = self.manager.pages();
        let page = Page::new(choice.below(arena + 3));
        match self.lives.range(page..).next() {
            Some((&start, life)) if choice.percent(70) => {
                start.plus(choice.below(life.pages + GUARD))
            }
            _ => page,
        }
    }

    fn life_at(&self, page: Page) -> Option<(Page, &Life)> {
        let (&start, life) = self.lives.range(..=page).next_back()?;
        (page.since(start) < life.pages).then_some((start, life))
    }

    fn some_life(&self, choice: &mut impl Choice) -> Option<Page> {
        let page = Page::new(choice.below(self.manager.pages()));
        let mut lives = self.lives.range(page..).chain(self.lives.range(..page));
        lives.next().map(|(&start, _)| start)
    }

    fn free(&mut self, choice: &mut impl Choice) {
        let Some(start) = self.some_life(choice) else {
            return;
        };
        if self.lives[&start].ticket.is_none() {
            let defer = choice.percent(10);
            let inject = self.inject && choice.percent(15);
            fail_from_nth(u64::from(inject));
            set_atomic(choice.percent(20));
            self.free_at(start, defer);
            set_atomic(false);
            fail_nth(0);
        }
        let again = self.manager.begin_free(start).map(|_| ());
        assert!(
            matches!(again, Err(FreeError::DoubleFree | FreeError::NoArea)),
            "{again:?}"
        );
        self.count(again.unwrap_err());
    }

    fn count(&mut self, error: FreeError) {
        *match error {
            FreeError::DoubleFree => &mut self.counted.double,
            FreeError::Inner => &mut self.counted.inner,
            FreeError::Foreign | FreeError::NoArea => &mut self.counted.foreign,
        } += 1;
    }

    fn free_at(&mut self, start: Page, defer: bool) {
        let pinned = !self.lives[&start].pins.is_empty();
        let noted = self.lives[&start].noted;
        if start.get() % 3 == 1 {
            let dying = self.manager.begin_free_plain(start);
            assert_eq!(dying.is_some(), !pinned && !noted);
            if let Some(dying) = dying {
                return self.finish_free(start, dying, defer);
            }
        }
        // Every third area is freed by a task that waits for the pins, and so has one itself.
        let sync = start.get() % 3 == 0;
        let freed = match sync {
            true => self.manager.begin_free_sync(start),
            false => self.manager.begin_free(start),
        };
        match freed {
            Ok(Freed::Now(dying)) => {
                assert!(!pinned);
                self.finish_free(start, dying, defer);
            }
            Ok(Freed::Deferred(ticket)) => {
                assert!(pinned && !self.manager.is_gone(ticket));
                self.counted.pinned += 1;
                let life = self.lives.get_mut(&start).unwrap();
                life.ticket = Some(ticket);
                if sync {
                    life.pins.push(ticket.into());
                }
                assert_eq!(self.manager.is_last(ticket), life.pins.len() == 1);
            }
            Err(e) => panic!("area {start:?} cannot be freed: {e:?}"),
        }
    }

    fn finish_free(&mut self, start: Page, dying: Dying<'m>, defer: bool) {
        let life = self.lives.remove(&start).unwrap();
        if let Some(pin) = life.pinned {
            if self.stale.len() == 16 {
                self.stale.remove(0);
            }
            self.stale.push(pin);
        }
        assert_eq!(
            (dying.start(), dying.pages(), dying.payload(), dying.kind()),
            (start, life.pages, life.payload, life.kind)
        );
        assert_eq!(dying.take_note().is_some(), life.noted);
        if defer {
            self.counted.deferred += 1;
            self.deferred.insert(start, life.pages);
            self.manager.defer_free(dying);
            assert!(self.manager.env().deferred_kicked.load(SeqCst));
        } else {
            self.manager.env().clear(start, life.pages);
            without_reclaim(|| self.manager.finish_free(dying));
        }
    }

    fn free_wrongly(&mut self, choice: &mut impl Choice) {
        let page = self.some_page(choice);
        let life = self.life_at(page);
        if life.is_some_and(|(start, life)| start == page && life.ticket.is_none()) {
            return;
        }
        let expected = match life {
            _ if page.get() >= self.manager.pages() => Some(FreeError::Foreign),
            Some((start, _)) if start == page => Some(FreeError::DoubleFree),
            Some(_) => Some(FreeError::Inner),
            None => None,
        };
        assert!(self.manager.begin_free_plain(page).is_none());
        let error = self.manager.begin_free(page).unwrap_err();
        self.count(error);
        match expected {
            Some(expected) => assert_eq!(error, expected),
            None => assert!(matches!(error, FreeError::NoArea | FreeError::DoubleFree)),
        }
    }

    fn same(&self, start: Page, life: &Life, seen: &Snapshot) {
        assert_eq!(
            (seen.start, seen.pages, seen.payload, seen.kind),
            (start, life.pages, life.payload, life.kind)
        );
        assert_eq!(seen.pins() as usize, life.pins.len());
        assert_eq!(seen.dying(), life.ticket.is_some());
        assert_eq!(seen.noted(), life.noted);
        assert_eq!(self.manager.payload(start), Some(life.payload));
        assert_eq!(self.manager.caller(seen.caller), life.caller);
        assert!(seen.cpu < CPUS);
    }

    fn lookup(&mut self, choice: &mut impl Choice) {
        for _ in 0..4 {
            let page = self.some_page(choice);
            let seen = self.manager.inspect(page);
            let found = self
                .manager
                .lookup(page)
                .map(|found| (found.start, found.pages));
            assert_eq!(found, seen.map(|seen| (seen.start, seen.pages)));
            match (self.life_at(page), &seen) {
                (None, None) => {}
                (Some((start, life)), Some(seen)) => self.same(start, life, seen),
                (life, _) => panic!("{page:?}: {:?} but {seen:?}", life.map(|l| l.0)),
            }
        }
    }

    fn pin(&mut self, choice: &mut impl Choice) {
        let page = self.some_page(choice);
        let seen = self.manager.inspect(page);
        let pinned = self.manager.pin(page);
        let start = self
            .life_at(page)
            .filter(|(_, l)| l.ticket.is_none())
            .map(|l| l.0);
        match (start, pinned) {
            (None, None) => {}
            (Some(start), Some((pin, found))) => {
                let seen = seen.unwrap();
                assert_eq!((found.start, found.pages), (seen.start, seen.pages));
                self.same(start, &self.lives[&start], &seen);
                let raw = pin.into_raw();
                let life = self.lives.get_mut(&start).unwrap();
                life.pinned = Some(raw);
                life.pins.push(Pin::from_raw(raw));
            }
            (start, pinned) => panic!("{page:?}: {start:?} but {pinned:?}"),
        }
    }

    fn unpin(&mut self, choice: &mut impl Choice) {
        if choice.percent(20) {
            self.unpin_stale(choice);
        }
        let page = Page::new(choice.below(self.manager.pages()));
        let mut lives = self.lives.range_mut(page..);
        let Some((&start, life)) = lives.find(|(_, life)| !life.pins.is_empty()) else {
            return;
        };
        let i = choice.below(life.pins.len() as u32) as usize;
        let pin = life.pins.swap_remove(i);
        let defer = choice.percent(20);
        self.unpin_one(start, pin, defer);
    }

    /// It must have no effect, whatever the descriptor is used for now.
    fn unpin_stale(&mut self, choice: &mut impl Choice) {
        let i = choice.below(self.stale.len() as u32) as usize;
        if let Some(&raw) = self.stale.get(i) {
            assert!(self.manager.unpin(Pin::from_raw(raw)).is_err());
            self.counted.unpins += 1;
        }
    }

    fn unpin_one(&mut self, start: Page, pin: Pin, defer: bool) {
        let raw = pin.into_raw();
        assert_ne!(raw, 0);
        let life = &self.lives[&start];
        let (last, ticket) = (life.pins.is_empty(), life.ticket);
        match self.manager.unpin(Pin::from_raw(raw)) {
            Ok(Unpinned::Last(dying)) => {
                assert!(last && self.manager.is_gone(ticket.unwrap()));
                self.finish_free(start, dying, defer);
            }
            Ok(Unpinned::Live) => assert!(ticket.is_none()),
            Ok(Unpinned::Dying) => {
                let one_left = self.lives[&start].pins.len() == 1;
                assert!(!last && self.manager.is_last(ticket.unwrap()) == one_left);
            }
            Err(e) => panic!("{e:?}"),
        }
        if last {
            // Given back already: without effect.
            assert!(self.manager.unpin(Pin::from_raw(raw)).is_err());
            self.counted.unpins += 1;
        }
    }

    fn walk(&mut self, choice: &mut impl Choice) {
        let from = Page::new(choice.below(self.manager.pages()));
        let stop_after = if choice.percent(20) {
            choice.below(5)
        } else {
            u32::MAX
        };
        let mut end = Page::new(0);
        let mut seen_lives = Vec::new();
        let mut visits = 0;
        self.manager.walk(from, &mut |seen| {
            assert!(
                seen.pages > 0 && seen.start >= end,
                "{seen:?} after {end:?}"
            );
            end = seen.start.plus(seen.pages);
            match &seen.live {
                Some(live) => {
                    self.same(seen.start, &self.lives[&seen.start], live);
                    seen_lives.push(seen.start);
                }
                None => assert!(self.life_at(seen.start).is_none()),
            }
            visits += 1;
            visits <= stop_after
        });
        let expected = self.lives.range(from..).map(|(&start, _)| start);
        if visits <= stop_after {
            assert!(seen_lives.into_iter().eq(expected));
        } else {
            assert!(seen_lives.into_iter().zip(expected).all(|(a, b)| a == b));
        }
    }

    fn purge(&mut self, choice: &mut impl Choice) {
        let how = [Purge::Background, Purge::Step, Purge::Full, Purge::Drain];
        let how = how[choice.below(4) as usize];
        if choice.percent(80) {
            self.manager.purge(how);
        } else {
            assert!(self.manager.try_purge(how));
        }
        let stats = self.manager.stats();
        if how == Purge::Drain || how == Purge::Full {
            assert_eq!(stats.bytes_lazy.0, 0);
        }
        if how == Purge::Drain {
            assert_eq!((stats.bytes_stock.0, self.manager.promised()), (0, 0));
        }
        // Memory is short, more or less.
        let most = match how {
            Purge::Drain => usize::MAX,
            Purge::Full => 10 << 10,
            _ => 0,
        };
        let before = self.manager.bookkeeping();
        let given = self.manager.trim(most);
        assert_eq!(before - self.manager.bookkeeping(), given);
    }

    fn switch(&mut self, choice: &mut impl Choice) {
        let on = choice.percent(60);
        match choice.below(5) {
            nth @ 0..=3 => {
                // As many as there are; the inputs of the fuzzer mean them in this order.
                let switch = [
                    Switch::Magazines,
                    Switch::LookupCache,
                    Switch::FreeAreaCache,
                    Switch::InfoCache,
                ][nth as usize];
                self.manager.set_switch(switch, on);
                assert_eq!(self.manager.switch(switch), on);
            }
            _ => {
                let max = [0, 10, 100, u32::MAX][choice.below(4) as usize];
                self.manager.set_lazy_max(max);
            }
        }
    }

    /// Does the work of the work items.
    fn work(&mut self) {
        if self.manager.env().deferred_kicked.swap(false, SeqCst) {
            for dying in self.manager.take_deferred() {
                let pages = self.deferred.remove(&dying.start());
                assert_eq!(pages, Some(dying.pages()));
                self.manager.env().clear(dying.start(), dying.pages());
                without_reclaim(|| self.manager.finish_free(dying));
            }
            assert!(self.deferred.is_empty());
        }
        if self.manager.env().purge_kicked.swap(false, SeqCst) {
            self.manager.purge_due();
        }
        if self.manager.env().trim_kicked.swap(false, SeqCst) {
            self.manager.finish_trim();
        }
    }

    fn check(&mut self) {
        let stats = self.manager.stats();
        let taken: u64 = self.taken().map(|(_, gross)| u64::from(gross)).sum();
        assert_eq!(stats.bytes_live.0 + stats.bytes_guard.0, taken);
        let sum = taken + stats.bytes_lazy.0 + stats.bytes_free.0;
        assert_eq!(sum, u64::from(self.manager.pages()), "{stats:?}");
        assert_eq!(stats.bytes_arena.0, sum);
        let bound = u64::from(self.manager.pages() / 2);
        assert!(self.manager.promised() <= bound, "too much is promised");
        // Others keep what they know of an area by its number.
        let numbers = self.lives.keys().map(|&start| {
            let (ticket, _) = self.manager.identify(start).unwrap();
            ticket.parts().0
        });
        assert_eq!(numbers.collect::<BTreeSet<_>>().len(), self.lives.len());
        let areas = self.taken().count() as u64;
        assert_eq!(stats.areas, areas);
        assert_eq!(stats.allocations - stats.frees, areas);

        let counted = Mistakes {
            double: stats.errors_double_free,
            inner: stats.errors_inner_free,
            foreign: stats.errors_foreign_free,
            unpins: stats.errors_unpin,
            pinned: stats.frees_pinned,
            deferred: stats.frees_deferred,
        };
        assert_eq!(counted, self.counted);

        let (info, _) = look(self.manager);
        let (again, cached) = look(self.manager);
        assert_eq!(info, again);
        assert_eq!(cached, self.manager.switch(Switch::InfoCache));
        assert_eq!(info.areas.totals.areas(), areas);
        assert_eq!(info.areas.totals.pages(), taken - areas * u64::from(GUARD));
        assert_eq!(info.areas.sizes.iter().sum::<u64>(), areas);
        assert_eq!(info.areas.lazy_gross, stats.bytes_lazy.0);
        assert_eq!(info.areas.stock_gross, stats.bytes_stock.0);
        assert_eq!(info.space.free, free_space(&stats));
        assert_eq!(info.space.sizes.iter().sum::<u64>(), stats.free_extents);
        let top = info.areas.top;
        assert!(top
            .windows(2)
            .all(|t| t[0].totals.pages() >= t[1].totals.pages()));
        assert_eq!(top.iter().map(|t| t.totals.areas()).sum::<u64>(), areas);
    }
}
