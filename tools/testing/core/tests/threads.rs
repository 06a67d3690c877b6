// SPDX-License-Identifier: GPL-2.0

//! Many threads on one manager. Whatever they do at the same time, nobody maps a page twice or before a
//! flush ([`TestEnv`] checks that), pinned areas stay mapped, readers see nothing that never was, and in
//! the end all of the arena is free again.

#![cfg(not(loom))]

use core_tests::{
    choice::{Choice, Rng},
    env::TestEnv,
    knobs::set_atomic,
    look,
    sys::{sync::run_on_cpu, Mode, Page},
    va::{
        area::{Id, Kind},
        AllocError, Area, Config, Dying, FreeError, Freed, Manager, Purge, Request, Switch,
        Unpinned, GUARD,
    },
};
use std::{
    collections::HashMap,
    sync::{
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst},
        Mutex,
    },
    thread,
};

struct World {
    manager: Manager<TestEnv>,
    /// Live areas that nobody is about to free: start, pages, payload.
    pool: Mutex<Vec<(Page, u32, usize)>>,
    stop: AtomicBool,
}

const CPUS: u32 = 3;

impl World {
    fn new(pages: u32, shards: u32, lazy_max_pages: u32) -> Self {
        let config = Config {
            pages,
            cpus: CPUS,
            shards,
            lazy_max_pages,
            early_purges: 3,
            flush_ceiling: 33,
        };
        Self {
            manager: Manager::new(config, TestEnv::new(pages)).unwrap(),
            pool: Mutex::new(Vec::new()),
            stop: AtomicBool::new(false),
        }
    }

    fn alloc(&self, pages: u32, align: u32, mode: Mode) -> Result<Area<'_>, AllocError> {
        let area = self.manager.alloc(Request {
            pages,
            align,
            mode,
            caller: 0x1000 + pages as usize,
        })?;
        assert!(area.start().get() % align == 0 && area.pages() == pages);
        self.manager.env().map(area.start(), pages);
        Ok(area)
    }

    fn finish(&self, dying: Dying<'_>) {
        self.manager.env().clear(dying.start(), dying.pages());
        self.manager.finish_free(dying);
    }

    fn free(&self, start: Page) {
        match self.manager.begin_free(start) {
            Ok(Freed::Now(dying)) => self.finish(dying),
            // The last unpin finishes it.
            Ok(Freed::Deferred(_)) => {}
            Err(e) => panic!("{start:?}: {e:?}"),
        }
    }

    fn until_stopped(&self, mut f: impl FnMut()) {
        while !self.stop.load(SeqCst) {
            f();
            thread::yield_now();
        }
    }

    fn work(&self, seed: u64, cpu: u32, operations: u32, atomic: bool) {
        let mut rng = Rng::new(seed);
        run_on_cpu(cpu);
        set_atomic(atomic);
        let mode = if atomic { Mode::NoWait } else { Mode::Sleep };
        for payload in 0..operations as usize {
            let payload = payload << 8 | seed as usize;
            if rng.percent(50) {
                let pages = match rng.below(30) {
                    0 => 1 + rng.below(1_500),
                    1..=5 => 1 + rng.below(64),
                    _ => 1 + rng.below(3),
                };
                let align = if rng.percent(20) {
                    1 << rng.below(8)
                } else {
                    1
                };
                let Ok(area) = self.alloc(pages, align, mode) else {
                    continue;
                };
                let start = area.start();
                if rng.percent(5) {
                    self.manager.env().clear(start, pages);
                    self.manager.abort(area, mode);
                } else {
                    self.manager.publish(area, payload, Kind::Vmap);
                    self.pool.lock().unwrap().push((start, pages, payload));
                }
            } else {
                let taken = {
                    let mut pool = self.pool.lock().unwrap();
                    let i = rng.below(pool.len() as u32) as usize;
                    (!pool.is_empty()).then(|| pool.swap_remove(i))
                };
                let Some((start, pages, payload)) = taken else {
                    continue;
                };
                let seen = self.manager.inspect(start.plus(rng.below(pages))).unwrap();
                assert_eq!(
                    (seen.start, seen.pages, seen.payload),
                    (start, pages, payload)
                );
                assert!(!seen.dying());
                match self.manager.begin_free(start) {
                    Ok(Freed::Now(dying)) if rng.percent(10) => self.manager.defer_free(dying),
                    Ok(Freed::Now(dying)) => self.finish(dying),
                    Ok(Freed::Deferred(_)) => {}
                    Err(e) => panic!("{start:?}: {e:?}"),
                }
            }
        }
        set_atomic(false);
    }

    fn purge_often(&self, seed: u64) {
        let mut rng = Rng::new(seed);
        run_on_cpu(rng.below(CPUS));
        self.until_stopped(|| {
            self.manager
                .take_deferred()
                .for_each(|dying| self.finish(dying));
            match rng.below(14) {
                0 => self.manager.purge(Purge::Full),
                1 => self.manager.purge(Purge::Drain),
                2 => drop(self.manager.try_purge(Purge::Step)),
                3 => self.manager.flush_lazy(),
                4 => self.manager.drain_cpu(rng.below(CPUS)),
                5 => self.manager.set_switch(Switch::Magazines, rng.percent(80)),
                6 => self
                    .manager
                    .set_switch(Switch::LookupCache, rng.percent(80)),
                7 => drop(self.manager.shrink()),
                8 => self.manager.purge_due(),
                10 => drop(self.manager.trim(1 << rng.below(20))),
                11 => self.manager.finish_trim(),
                9 if self.manager.lazy_max() != 0 => {
                    self.manager.set_lazy_max(1 << rng.below(14));
                }
                _ => self.manager.purge(Purge::Background),
            }
        });
    }

    fn pin_often(&self, seed: u64) {
        let mut rng = Rng::new(seed);
        run_on_cpu(0);
        self.until_stopped(|| {
            let page = Page::new(rng.below(self.manager.pages()));
            let Some((pin, found)) = self.manager.pin(page) else {
                return;
            };
            let seen = self.manager.inspect(page).unwrap();
            assert_eq!((found.start, found.pages), (seen.start, seen.pages));
            assert!(seen.start <= page && page < seen.start.plus(seen.pages));
            for _ in 0..rng.below(4) {
                let env = self.manager.env();
                assert!(env.is_mapped(seen.start, seen.pages), "{seen:?} is pinned");
                let again = self.manager.inspect(page).unwrap();
                assert_eq!((again.start, again.payload), (seen.start, seen.payload));
                thread::yield_now();
            }
            if let Unpinned::Last(dying) = self.manager.unpin(pin).unwrap() {
                self.finish(dying);
            }
        });
    }

    /// `stable` areas, sorted, are never freed: each walk must see each of them.
    fn walk_often(&self, seed: u64, stable: &[(Page, u32)]) {
        let mut rng = Rng::new(seed);
        self.until_stopped(|| {
            let from = Page::new(if rng.percent(50) {
                0
            } else {
                rng.below(self.manager.pages())
            });
            let mut rest = &stable[stable.partition_point(|s| s.0 < from)..];
            let mut end = Page::new(0);
            self.manager.walk(from, &mut |seen| {
                assert!(
                    seen.start >= end && seen.pages > 0,
                    "{seen:?} after {end:?}"
                );
                end = seen.start.plus(seen.pages);
                if let Some((&(start, pages), others)) = rest.split_first() {
                    assert!(seen.start <= start, "{start:?} was not seen, but {seen:?}");
                    if seen.start == start {
                        assert!(seen.live.is_some() && seen.pages == pages);
                        rest = others;
                    } else {
                        assert!(end <= start, "{seen:?} overlaps {start:?}");
                    }
                }
                true
            });
            assert!(rest.is_empty(), "{rest:?} were not seen");
        });
    }

    fn read_info_often(&self) {
        let mut last = 0;
        self.until_stopped(|| {
            let (info, _) = look(&self.manager);
            assert!(
                info.areas.totals.allocs >= last,
                "the past, after the present"
            );
            last = info.areas.totals.allocs;
            assert!(info.space.free.pages <= u64::from(self.manager.pages()));
            assert!(u64::from(info.space.free.largest) <= info.space.free.pages);
            let _ = self.manager.stats();
        });
    }

    /// Frees the remaining areas, and checks that none is left.
    fn finish_all(self) {
        self.manager
            .take_deferred()
            .for_each(|dying| self.finish(dying));
        for (start, ..) in self.pool.lock().unwrap().drain(..) {
            self.free(start);
        }
        self.manager.purge(Purge::Drain);
        let stats = self.manager.stats();
        assert_eq!(
            stats.largest_free_bytes,
            self.manager.pages().into(),
            "{stats:?}"
        );
        assert_eq!(
            (stats.areas, stats.bytes_lazy.0, stats.bytes_stock.0),
            (0, 0, 0)
        );
        assert_eq!(
            (self.manager.promised(), self.manager.reclaimable()),
            (0, 0)
        );
        self.manager
            .walk(Page::new(0), &mut |seen| panic!("{seen:?}"));
    }
}

/// Stops all threads when it goes: also if its own one panics, while others would wait for it.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn stress(pages: u32, shards: u32, lazy_max: u32, operations: u32) {
    let world = World::new(pages, shards, lazy_max);
    let mut stable: Vec<_> = (0..40)
        .map(|i| {
            let area = world.alloc(1 + i % 5, 1 << (i % 4), Mode::Sleep).unwrap();
            let range = (area.start(), area.pages());
            world.manager.publish(area, 7, Kind::Vmalloc);
            range
        })
        .collect();
    stable.sort_unstable();
    thread::scope(|scope| {
        let (world, stable) = (&world, &stable);
        // The last two share a CPU, as preempted tasks and interrupts do.
        let workers: Vec<_> = [(0, false), (1, false), (2, true), (2, false)]
            .into_iter()
            .enumerate()
            .map(|(i, (cpu, atomic))| {
                scope.spawn(move || world.work(i as u64 + 1, cpu, operations, atomic))
            })
            .collect();
        scope.spawn(|| world.purge_often(5));
        scope.spawn(|| world.pin_often(6));
        scope.spawn(|| world.walk_often(7, stable));
        scope.spawn(|| world.read_info_often());
        let results: Vec<_> = workers.into_iter().map(|w| w.join()).collect();
        world.stop.store(true, SeqCst);
        results.into_iter().for_each(|r| r.unwrap());
    });
    for (start, _) in stable {
        world.free(start);
    }
    world.finish_all();
}

#[test]
fn everything_at_once() {
    stress(16_384, 3, 500, 20_000);
}

#[test]
fn everything_at_once_and_every_free_flushed() {
    stress(16_384, 2, 0, 6_000);
}

/// An arena so small that requests often fail, or wait for each other's purge.
#[test]
fn everything_at_once_in_a_small_arena() {
    stress(2_000, 4, 300, 20_000);
}

/// If many threads free an area, one of them does.
#[test]
fn one_free_wins() {
    let world = World::new(4_096, 2, 100);
    let (round, freed) = (AtomicU64::new(0), AtomicU32::new(0));
    const ROUNDS: u32 = 4_000;
    thread::scope(|scope| {
        let (world, round, freed) = (&world, &round, &freed);
        for cpu in 1..3 {
            scope.spawn(move || {
                run_on_cpu(cpu);
                let mut seen = 0;
                while !world.stop.load(SeqCst) {
                    let now = round.load(SeqCst);
                    if now == seen {
                        thread::yield_now();
                        continue;
                    }
                    seen = now;
                    let start = Page::new(now as u32);
                    match world.manager.begin_free(start) {
                        Ok(Freed::Now(dying)) => {
                            world.finish(dying);
                            freed.fetch_add(1, SeqCst);
                        }
                        Ok(Freed::Deferred(_)) => panic!("nobody pins"),
                        Err(e) => assert!(matches!(e, FreeError::DoubleFree | FreeError::NoArea)),
                    }
                }
            });
        }
        for i in 0..ROUNDS {
            let area = world.alloc(1, 1, Mode::Sleep).unwrap();
            let start = area.start();
            world.manager.publish(area, 1, Kind::Vmap);
            round.store(u64::from(i + 1) << 32 | u64::from(start.get()), SeqCst);
            while freed.load(SeqCst) != i + 1 {
                thread::yield_now();
            }
        }
        world.stop.store(true, SeqCst);
    });
    assert_eq!(freed.load(SeqCst), ROUNDS);
    world.finish_all();
}

/// A second free of an address, while its descriptor goes on to another area, ends no area elsewhere.
#[test]
fn a_double_free_harms_nobody_else() {
    const FIRST: Page = Page::new(0);
    const VICTIM: Page = Page::new(2);
    const OTHER: Page = Page::new(3);
    assert_eq!(Id::of(VICTIM).place(), Id::of(OTHER).place());
    let world = World::new(4_096, 1, 0);
    world.manager.set_switch(Switch::Magazines, false);
    let alloc = |pages, at: Page| {
        let area = world.alloc(pages, 1, Mode::Sleep).unwrap();
        assert_eq!(area.start(), at);
        world.manager.publish(area, 1, Kind::Vmap);
    };
    // So that page 2 is the lowest free one.
    alloc(1, FIRST);
    let stolen = AtomicU32::new(0);
    thread::scope(|scope| {
        let (world, stolen) = (&world, &stolen);
        scope.spawn(move || {
            let _stop = Stop(&world.stop);
            run_on_cpu(1);
            while !world.stop.load(SeqCst) {
                // Wrong, and all the time.
                if let Ok(Freed::Now(dying)) = world.manager.begin_free(VICTIM) {
                    // If this ended another area, its owner's free would fail, and that panics.
                    world.finish(dying);
                    stolen.fetch_add(1, SeqCst);
                }
            }
        });
        let _stop = Stop(&world.stop);
        let mut lost = 0;
        for _ in 0..30_000 {
            alloc(1, VICTIM);
            match world.manager.begin_free(VICTIM) {
                Ok(Freed::Now(dying)) => world.finish(dying),
                _ => lost += 1,
            }
            while stolen.load(SeqCst) != lost {
                assert!(!world.stop.load(SeqCst), "the other thread panics");
                thread::yield_now();
            }
            // The same descriptor, one page further on: behind an area of two pages.
            world.free(FIRST);
            alloc(2, FIRST);
            alloc(1, OTHER);
            world.free(OTHER);
            world.free(FIRST);
            alloc(1, FIRST);
        }
    });
    world.free(FIRST);
    world.finish_all();
}

/// No request that fits fails because another task purges, or has the rest in stock.
#[test]
fn nobody_fails_while_another_purges() {
    const THREADS: u32 = 3;
    const EACH: u32 = 300;
    // Room for the areas that all hold, and for batches on their way into a stock.
    let pages = THREADS * (EACH + 16) * (1 + GUARD);
    let world = World::new(pages.next_multiple_of(THREADS * 2), THREADS, u32::MAX);
    thread::scope(|scope| {
        let world = &world;
        for cpu in 0..THREADS {
            scope.spawn(move || {
                run_on_cpu(cpu);
                let mut rng = Rng::new(u64::from(cpu));
                let mut own = Vec::new();
                for _ in 0..40_000 {
                    if own.len() < EACH as usize && rng.percent(60) {
                        let area = world.alloc(1, 1, Mode::Sleep).unwrap();
                        own.push(area.start());
                        world.manager.publish(area, 1, Kind::Vmap);
                    } else if !own.is_empty() {
                        let i = rng.below(own.len() as u32) as usize;
                        world.free(own.swap_remove(i));
                    }
                }
                own.into_iter().for_each(|start| world.free(start));
            });
        }
    });
    let stats = world.manager.stats();
    assert!(stats.purge_retries > 0, "{stats:?}");
    world.finish_all();
}

/// One CPU allocates, another frees: the span of addresses stays what it was.
#[test]
fn producer_and_consumer() {
    let world = World::new(1 << 16, 2, 512);
    let queue = Mutex::new(Vec::new());
    let mut spans = HashMap::new();
    thread::scope(|scope| {
        let (world, queue) = (&world, &queue);
        scope.spawn(move || {
            run_on_cpu(1);
            while !world.stop.load(SeqCst) {
                let batch: Vec<Page> = std::mem::take(&mut *queue.lock().unwrap());
                batch.into_iter().for_each(|start| world.free(start));
                if world.manager.env().purge_kicked.swap(false, SeqCst) {
                    world.manager.purge(Purge::Background);
                }
                thread::yield_now();
            }
        });
        run_on_cpu(0);
        for i in 0..100_000u32 {
            let area = world.alloc(1, 1, Mode::Sleep).unwrap();
            let span = spans.entry(i / 25_000).or_insert(Page::new(0));
            *span = area.start().max(*span);
            let start = area.start();
            world.manager.publish(area, 1, Kind::Vmap);
            let waiting = {
                let mut queue = queue.lock().unwrap();
                queue.push(start);
                queue.len()
            };
            while waiting > 200 && queue.lock().unwrap().len() > 100 {
                thread::yield_now();
            }
        }
        world.stop.store(true, SeqCst);
    });
    assert!(spans[&3] <= spans[&0].max(Page::new(4_096)), "{spans:?}");
    let left = queue.into_inner().unwrap();
    left.into_iter().for_each(|start| world.free(start));
    world.finish_all();
}
