// SPDX-License-Identifier: GPL-2.0

//! The depot by itself.

#![cfg(not(loom))]

use core_tests::{
    sys::Mode,
    va::{
        area::{class::Class, Id},
        space::shards::Shards,
        stock::{
            depot::{Depot, Part, Taken},
            magazine::{Chain, CleanId, Empty},
        },
    },
};
use std::{
    sync::{
        atomic::{AtomicBool, Ordering::SeqCst},
        Mutex,
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

/// All CPUs together keep half of the arena, less what is in the depot; one may keep all of that.
#[test]
fn kept_areas_of_all_cpus_have_one_bound() {
    const HALF: u64 = 1 << 16;
    let depot = Depot::new(64, 512, 2 * HALF as u32).unwrap();
    assert!(depot.has_room(HALF / 2) && !depot.has_room(HALF / 2 + 1));
    let mut all = 0;
    for (part, most) in [(Part::Half, HALF / 2), (Part::Whole, HALF)] {
        loop {
            let more = depot.promise(100, part);
            if more == 0 {
                break;
            }
            assert!((100..=1024).contains(&more), "{more} at once");
            all += u64::from(more);
            assert_eq!(depot.promised(), all);
            assert!(all <= most, "{all} of {most}");
        }
        assert!(all > most - 1024, "{all} of {most}");
    }
    assert!(!depot.has_room(HALF - all + 1), "beside what is promised");
    // An area that is larger than a share gets room, too.
    depot.take_back(5_000);
    assert_eq!(depot.promise(4_900, Part::Whole), 4_900);
    depot.take_back((all - 100) as u32);
    assert_eq!(depot.promised(), 0);
    assert!(depot.has_room(HALF / 2));
}

/// One task puts an area in, and another takes it out at once: nobody sees fewer pages than none.
#[test]
fn what_is_taken_was_counted_before() {
    let depot = Depot::new(2, 512, 1 << 17).unwrap();
    let shards = Shards::new(1 << 10, 1).unwrap();
    let class = Class::from(1, 1).unwrap();
    let made = CleanId::made(Id::from_word(0), shards.take(2, 1, 0, Mode::Sleep).unwrap());
    let hand = Mutex::new(Some(made));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut spare = Some(empty());
            while !done.load(SeqCst) {
                let Some(area) = hand.lock().unwrap().take() else {
                    thread::yield_now();
                    continue;
                };
                spare.get_or_insert_with(empty);
                assert!(depot.put_one(class, area, &mut spare).is_ok());
            }
        });
        let mut taken = 0;
        while taken < 100_000 {
            if let Some(Taken::One(area, _)) = depot.take(class, 0) {
                let span = depot.span();
                if span > 2 {
                    done.store(true, SeqCst);
                    panic!("{span} pages after {taken} areas");
                }
                *hand.lock().unwrap() = Some(area);
                taken += 1;
            } else {
                thread::yield_now();
            }
        }
        done.store(true, SeqCst);
    });
}
