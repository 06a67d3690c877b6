// SPDX-License-Identifier: GPL-2.0

//! The depot by itself.

#![cfg(not(loom))]

use core_tests::{
    sys::Mode,
    va::{
        area::{
            class::{Class, Lane},
            Id,
        },
        space::shards::Shards,
        stock::{
            depot::{Depot, Taken},
            magazine::{Chain, CleanId, Empty},
        },
    },
};
use std::{
    sync::atomic::{
        AtomicBool,
        Ordering::{Relaxed, SeqCst},
    },
    thread,
};

fn empty() -> Empty {
    Empty::new(Mode::Sleep).unwrap()
}

/// Whoever may not free memory leaves a spare too many in the depot. Whoever may takes such out, a few at a
/// time, until no more than the bound are left.
#[test]
fn spares_too_many_are_taken_out_again() {
    let depot = Depot::new(1, 512, 1 << 17).unwrap();
    for _ in 0..300 {
        depot.put_spare(empty());
    }
    let mut left = 300;
    for _ in 0..10 {
        let surplus = depot.put_spares(Chain::of(empty()));
        assert!(
            (1..=9).contains(&surplus.len()),
            "{} at once",
            surplus.len()
        );
        left = left + 1 - surplus.len();
    }
    assert_eq!(left, 256);
    assert_eq!(depot.take_spares().len(), 256);
}

/// All CPUs together are promised a quarter of the arena for clean magazines, less what is in the depot; one may have all of
/// that.
#[test]
fn promises_to_all_cpus_have_one_bound() {
    const MOST: u64 = 1 << 15;
    let depot = Depot::new(64, 512, 4 * MOST as u32).unwrap();
    assert!(depot.has_room(MOST) && !depot.has_room(MOST + 1));
    let mut all = 0;
    loop {
        let more = depot.promise(100);
        if more == 0 {
            break;
        }
        assert!((100..=1024).contains(&more), "{more} at once");
        all += u64::from(more);
        assert_eq!(depot.promised(), all);
        assert!(all <= MOST, "{all} of {MOST}");
    }
    assert!(all > MOST - 1024, "{all} of {MOST}");
    // More than a step gets room, too.
    depot.take_back(5_000);
    assert_eq!(depot.promise(4_900), 4_900);
    depot.take_back((all - 100) as u32);
    assert_eq!(depot.promised(), 0);
}

/// A CPU that asks for a class of which the depot has none takes no lock, also when it had some before.
#[test]
fn what_is_not_there_costs_no_lock() {
    let depot = Depot::new(2, 512, 1 << 17).unwrap();
    let shards = Shards::new(1 << 10, 1).unwrap();
    let classes =
        [(1, 1), (65, 1), (1, 2)].map(|(pages, align)| Class::from(pages, align).unwrap());
    let locks = || depot.locks.load(Relaxed);
    let has_none = |class| {
        let before = locks();
        assert!(depot.take(class, 0).is_none());
        locks() == before
    };
    for class in classes {
        assert!(has_none(class));
        let made = CleanId::made(Id::from_word(0), shards.take(2, 1, 0, Mode::Sleep).unwrap());
        assert!(depot.put_one(class, made, &mut Some(empty())).is_ok());
        for other in classes {
            assert!(other == class || has_none(other));
        }
        let mut bin = 0;
        match class.pages() {
            1 => assert!(depot.take(class, 0).is_some()),
            _ => assert!(depot.take_any(&mut bin, 1).is_some()),
        }
        assert!(has_none(class));
    }
    // Nor do the bins in which there is nothing.
    let before = locks();
    assert!(depot.take_other(Lane::Mixed).is_none());
    assert_eq!(locks(), before);
}

/// Tasks put an area in, and others take it out at once: nobody sees fewer pages than none. They use one bin, so
/// that they wait for its lock.
#[test]
fn what_is_taken_was_counted_before() {
    const TURNS: u32 = 100_000;
    let depot = Depot::new(2, 512, 1 << 17).unwrap();
    let shards = Shards::new(1 << 10, 1).unwrap();
    let classes = [1, 65, 129].map(|pages| Class::from(pages, 1).unwrap());
    let most = classes.map(Class::span).iter().sum::<u32>();
    let done = AtomicBool::new(false);
    let put = |class, area| assert!(depot.put_one(class, area, &mut Some(empty())).is_ok());
    for (i, class) in classes.into_iter().enumerate() {
        assert_eq!(class.index() % 64, classes[0].index() % 64, "another bin");
        let space = shards.take(class.gross(), 1, 0, Mode::Sleep).unwrap();
        put(class, CleanId::made(Id::from_word(i as u32), space));
    }
    thread::scope(|scope| {
        for first in 0..classes.len() {
            let (classes, depot, done, put) = (&classes, &depot, &done, &put);
            scope.spawn(move || {
                for turn in 0..TURNS {
                    let class = classes[(first + turn as usize) % classes.len()];
                    if done.load(SeqCst) {
                        return;
                    }
                    let Some(Taken::One(area, _)) = depot.take(class, 0) else {
                        continue;
                    };
                    let span = depot.span();
                    if span > most.into() {
                        done.store(true, SeqCst);
                        panic!("{span} pages in turn {turn}");
                    }
                    put(class, area);
                }
            });
        }
    });
}
