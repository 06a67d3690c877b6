// SPDX-License-Identifier: GPL-2.0

//! Only a flush that began after an area's PTEs were cleared, or one whose plan covered the area, makes
//! it clean.

#![cfg(not(loom))]

use core_tests::{
    env::IdleEnv,
    sys::{Mode, Page},
    va::{
        area::{
            class::{Class, Lane},
            link::{Number, Numbers},
            Descriptors, Id,
        },
        flush::{
            epochs::{Epochs, Flushed, Stamp},
            list::List,
            plan::{Plan, Planner},
        },
        space::range::Range,
        stock::magazine::{Chain, Clean, Empty, LooseList, Sealed},
    },
};
use std::cell::Cell;

/// Most pages that a plan flushes one by one.
const CEILING: u32 = 33;

const PAGES: u32 = 1 << 10;

/// Areas of one page, ten pages apart, and the proof that they are clean.
struct World {
    /// The first page of the next area.
    next: Cell<u32>,
    descriptors: Descriptors,
    numbers: Numbers,
    epochs: Epochs,
}

impl World {
    fn new() -> Self {
        Self {
            next: Cell::new(0),
            descriptors: Descriptors::new(PAGES).unwrap(),
            numbers: Numbers::with_places(16).unwrap(),
            epochs: Epochs::new(),
        }
    }

    fn area(&self) -> Id {
        let start = Page::new(self.next.replace(self.next.get() + 10));
        let id = self.descriptors.prepare(start, Mode::Sleep).unwrap();
        let descriptor = self.descriptors.get(id).unwrap();
        descriptor.shape(start, 1, Class::from(1, 1));
        id
    }

    /// A magazine with one area that was just freed.
    fn freed(&self) -> Sealed {
        let lane = Lane::Own(Class::from(1, 1).unwrap());
        let number = self.numbers.begin(&mut 0).unwrap();
        let mut filling = Empty::new(Mode::Sleep).unwrap().begin(lane, number, 3, 0);
        filling.push(self.area());
        filling.seal(&self.epochs)
    }

    fn loose(&self) -> LooseList {
        let mut list = List::default();
        list.push(&self.descriptors, self.area());
        LooseList::seal(list, &self.epochs)
    }

    fn flush_all(&self) -> Flushed {
        self.epochs.flush_all(&IdleEnv, PAGES)
    }

    /// Flushes the ranges that `planner` has.
    fn flush_ranges(&self, planner: Planner) -> Flushed {
        let planned = planner.plan();
        assert!(matches!(planned.plan(), Plan::Runs(..)));
        self.epochs.flush(planned, &IdleEnv, PAGES)
    }

    fn clean(&self, sealed: Sealed, flushed: &Flushed) -> Result<Clean, Sealed> {
        sealed.clean(flushed, &self.numbers)
    }
}

#[test]
fn a_flush_cleans_what_was_sealed_before() {
    let world = World::new();
    let early = world.flush_all();
    let sealed = world.freed();
    let Err(sealed) = world.clean(sealed, &early) else {
        panic!("cleaned by a flush that began before");
    };
    let Err(sealed) = world.clean(sealed, &world.epochs.flushed()) else {
        panic!("cleaned by a flush that began before");
    };
    let loose = world.loose();
    assert!(loose.clean(&early).is_err());
    let loose = world.loose();
    let late = world.flush_all();
    let mut clean = world.clean(sealed, &late).ok().unwrap();
    assert!(clean.pop().is_some() && clean.pop().is_none());
    assert_eq!(
        loose
            .clean(&late)
            .ok()
            .unwrap()
            .drain(&world.descriptors)
            .count(),
        1
    );
}

#[test]
fn a_plan_cleans_what_it_covers() {
    let world = World::new();
    let (mut covered, other) = (world.freed(), world.freed());
    let (mut loose, other_loose) = (world.loose(), world.loose());
    let mut planner = Planner::new(&world.epochs, CEILING);
    covered.cover(&mut planner, &world.descriptors);
    loose.cover(&mut planner, &world.descriptors);
    let flushed = world.flush_ranges(planner);
    assert!(world.clean(other, &flushed).is_err());
    assert!(other_loose.clean(&flushed).is_err());
    assert!(world.clean(covered, &flushed).is_ok());
    assert!(loose.clean(&flushed).is_ok());
}

#[test]
fn a_plan_does_not_clean_what_another_covers() {
    let world = World::new();
    let mut planners = [(); 2].map(|()| Planner::new(&world.epochs, CEILING));
    let mut sealed = [(); 2].map(|()| world.freed());
    for (planner, sealed) in planners.iter_mut().zip(&mut sealed) {
        sealed.cover(planner, &world.descriptors);
    }
    let [first, second] = sealed;
    // No flush at all, then one of the second plan.
    let Err(first) = world.clean(first, &world.epochs.flushed()) else {
        panic!("cleaned by a plan that nobody flushed");
    };
    let [_, planner] = planners;
    let flushed = world.flush_ranges(planner);
    assert!(world.clean(first, &flushed).is_err());
    assert!(world.clean(second, &flushed).is_ok());
}

/// A plan that nobody flushes cleans nothing; its areas must wait again.
#[test]
fn who_waits_again_is_cleaned_by_the_next_flush() {
    let world = World::new();
    let mut sealed = world.freed();
    sealed.cover(
        &mut Planner::new(&world.epochs, CEILING),
        &world.descriptors,
    );
    let Err(sealed) = world.clean(sealed, &world.flush_all()) else {
        panic!("cleaned by another flush than that of its plan");
    };
    let sealed = sealed.wait_again(&world.epochs);
    let Err(sealed) = world.clean(sealed, &world.epochs.flushed()) else {
        panic!("cleaned by a flush that began before it waited");
    };
    assert!(world.clean(sealed, &world.flush_all()).is_ok());
}

/// Clean areas need no flush, and the planner plans none.
#[test]
fn what_is_clean_is_not_planned() {
    let world = World::new();
    let mut sealed = world.freed();
    world.flush_all();
    let mut planner = Planner::new(&world.epochs, CEILING);
    sealed.cover(&mut planner, &world.descriptors);
    let planned = planner.plan();
    assert_eq!(*planned.plan(), Plan::None);
    let flushed = world.epochs.flush(planned, &IdleEnv, PAGES);
    assert!(world.clean(sealed, &flushed).is_ok());
}

/// Where all areas are flushed by one call, nobody looks at them one by one.
#[test]
fn many_pages_are_not_looked_at() {
    let epochs = Epochs::new();
    let unseen = || std::iter::from_fn(|| -> Option<Range> { panic!("it was looked at") });
    let one = |start| {
        let start = Page::new(start);
        std::iter::once(Range { start, pages: 1 })
    };
    let mut stamps = [(); 4].map(|()| epochs.stamp());
    let [first, second, clean, last] = &mut stamps;
    let mut planner = Planner::new(&epochs, 3);
    planner.cover(first, 4, unseen());
    assert_eq!(*planner.plan().plan(), Plan::Full);

    // Not those that are clean already, and together with those before them.
    let mut planner = Planner::new(&epochs, 3);
    planner.cover(first, 2, one(10));
    planner.cover(second, 1, one(12));
    assert!(matches!(planner.plan().plan(), Plan::Runs(_, 1)));
    let flushed = epochs.flush_all(&IdleEnv, PAGES);
    assert!(flushed.cleans(clean));
    let mut planner = Planner::new(&epochs, 3);
    let mut later = epochs.stamp();
    planner.cover(clean, 9, unseen());
    planner.cover(&mut later, 2, one(10));
    let mut later = epochs.stamp();
    planner.cover(&mut later, 2, unseen());
    planner.cover(&mut epochs.stamp(), 0, unseen());
    assert_eq!(*planner.plan().plan(), Plan::Full);
    // The planner left this stamp as it was, so the flush itself cleans it.
    assert!(epochs.flush_all(&IdleEnv, PAGES).cleans(&later));
    assert!(flushed.cleans(last));
}

#[test]
fn never_is_never() {
    let world = World::new();
    for _ in 0..3 {
        assert!(!world.flush_all().cleans(&Stamp::NEVER));
    }
    let mut planner = Planner::new(&world.epochs, CEILING);
    planner.add(Page::new(1), 1);
    assert!(!world.flush_ranges(planner).cleans(&Stamp::NEVER));
}

/// An area of a magazine is lazy until that is clean.
#[test]
fn a_number_ends_with_the_proof() {
    let world = World::new();
    let lane = Lane::Own(Class::from(1, 1).unwrap());
    let number = world.numbers.begin(&mut 0).unwrap();
    let mut filling = Empty::new(Mode::Sleep).unwrap().begin(lane, number, 1, 0);
    let (link, full) = filling.push(world.area());
    assert!(full && link != Number::NONE.link());
    let early = world.flush_all();
    let sealed = filling.seal(&world.epochs);
    let Err(sealed) = world.clean(sealed, &early) else {
        panic!("cleaned by a flush that began before");
    };
    assert!(world.numbers.is_lazy(link));
    let late = world.flush_all();
    assert!(world.clean(sealed, &late).is_ok() && !world.numbers.is_lazy(link));
}

/// A step takes some of the waiting magazines, the last ones first, and leaves the rest.
#[test]
fn a_chain_is_cut() {
    let world = World::new();
    let mut areas = Vec::new();
    let mut chain = Chain::new();
    for _ in 0..5 {
        chain.push(world.freed());
    }
    let span = chain.span();
    let flushed = world.flush_all();
    for (most, len, left) in [(0, 0, 5), (2, 2, 3), (9, 3, 0)] {
        let mut first = chain.take_first(most);
        assert_eq!((first.len(), chain.len()), (len, left));
        assert_eq!(
            first.span() + chain.span(),
            span / 5 * u64::from(len + left)
        );
        while let Some(sealed) = first.pop() {
            let mut clean = world.clean(sealed, &flushed).ok().unwrap();
            areas.extend(clean.drain().map(|area| area.into_id()));
        }
    }
    assert_eq!(
        areas,
        [40, 30, 20, 10, 0].map(|start| Id::of(Page::new(start)))
    );
}
