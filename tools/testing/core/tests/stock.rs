// SPDX-License-Identifier: GPL-2.0

//! The stock of one CPU by itself, beside a model: what it counts of its clean magazines and of the areas that it
//! keeps.

#![cfg(not(loom))]

use core_tests::{
    choice::{Choice, Rng},
    sys::Mode,
    va::{
        area::{
            class::{Class, Lane},
            Descriptors,
        },
        count::counters::Counters,
        space::shards::{Shards, Vacant},
        stock::{
            depot::Depot,
            local::{Local, Space, Spans},
            magazine::{Chain, Clean, CleanId, Empty},
        },
    },
};

const PAGES: u32 = 1 << 16;
const MAGAZINE_SPAN: u32 = 256;
const SHARE: u32 = 1 << 14;
/// Areas of each class.
const AREAS: usize = 300;

/// The areas of one class in the stock.
struct Slot {
    class: Class,
    /// Areas in the clean magazine, and the most that it has had.
    clean: u32,
    most: u32,
    kept: u32,
    /// Some were kept since the CPU last looked for areas out of use.
    in_use: bool,
    /// Areas that are not in the stock.
    rest: Vec<CleanId>,
}

struct Stock {
    local: Local,
    descriptors: Descriptors,
    slots: Vec<Slot>,
    /// Promises nothing, so that the CPU has its share alone.
    poor: Depot,
}

fn empty() -> Empty {
    Empty::new(Mode::Sleep).unwrap()
}

impl Stock {
    fn new() -> Self {
        let descriptors = Descriptors::new(PAGES).unwrap();
        let shards = Shards::new(PAGES, 1).unwrap();
        let slots = [(1, 1), (2, 1), (3, 4), (9, 1), (30, 1), (1, 64)].map(|(pages, align)| {
            let class = Class::from(pages, align).unwrap();
            let areas = if align == 64 { 30 } else { AREAS };
            let rest = (0..areas).map(|_| {
                let space = shards.take(class.gross(), align, 0, Mode::Sleep).unwrap();
                let start = space.range().start;
                let id = descriptors.prepare(start, Mode::Sleep).unwrap();
                let descriptor = descriptors.get(id).unwrap();
                descriptor.shape(start, pages, Some(class));
                CleanId::made(id, space)
            });
            Slot {
                class,
                clean: 0,
                most: 0,
                kept: 0,
                in_use: false,
                rest: rest.collect(),
            }
        });
        let spans = Spans {
            magazine: MAGAZINE_SPAN,
            mixed: MAGAZINE_SPAN,
            clean_share: SHARE,
        };
        let counters = Counters::new(1).unwrap().of(0, Mode::Sleep).unwrap();
        Self {
            local: Local::new(0, spans, counters, Mode::Sleep).unwrap(),
            descriptors,
            slots: slots.into(),
            poor: Depot::new(1, MAGAZINE_SPAN, 0).unwrap(),
        }
    }

    /// Takes a clean magazine apart, and compares it.
    fn unloaded(&mut self, mut magazine: Clean) {
        let Lane::Own(class) = magazine.lane() else {
            panic!("a clean magazine in use is mixed");
        };
        let slot = self.slots.iter_mut().find(|s| s.class == class).unwrap();
        assert_eq!(u32::from(magazine.len()), slot.clean);
        slot.rest.extend(magazine.drain());
        (slot.clean, slot.most) = (0, 0);
    }

    fn kept(&self) -> u32 {
        self.slots.iter().map(|s| s.kept).sum()
    }

    /// Notes that kept areas were given up. They are of one class, whose others stay only if there were more than `most`.
    fn gave(&mut self, areas: Vec<CleanId>, most: u32) {
        let Some(first) = areas.first() else {
            return;
        };
        let class = self.descriptors.get(first.id()).unwrap().class().unwrap();
        let slot = self.slots.iter_mut().find(|s| s.class == class).unwrap();
        assert_eq!(areas.len() as u32, slot.kept.min(most));
        slot.kept -= areas.len() as u32;
        slot.rest.extend(areas);
    }

    fn step(&mut self, rng: &mut Rng) {
        let nth = rng.below(self.slots.len() as u32) as usize;
        let class = self.slots[nth].class;
        let rounds = u32::from(class.rounds(MAGAZINE_SPAN));
        match rng.below(100) {
            0..=29 => {
                drop(self.local.keep_spare(empty()));
                let slot = &mut self.slots[nth];
                let Some(area) = slot.rest.pop() else {
                    return;
                };
                match self.local.stock(class, area) {
                    Ok(()) => {
                        slot.clean += 1;
                        slot.most = slot.most.max(slot.clean);
                        assert!(slot.clean <= rounds);
                    }
                    Err(area) => {
                        assert_eq!(slot.clean, rounds);
                        slot.rest.push(area);
                    }
                }
            }
            30..=64 => {
                let slot = &mut self.slots[nth];
                let area = self.local.pop(class, &self.descriptors);
                match area.map(|(area, _)| area) {
                    Some(area) if slot.clean > 0 => {
                        slot.clean -= 1;
                        slot.rest.push(area);
                    }
                    Some(area) => {
                        slot.kept -= 1;
                        slot.rest.push(area);
                    }
                    None => assert_eq!((slot.clean, slot.kept), (0, 0)),
                }
            }
            65..=69 => {
                let slot = &mut self.slots[nth];
                if slot.clean > 0 {
                    return;
                }
                let mut full = empty().stock(class);
                let areas = slot.rest.len().min(1 + rng.below(rounds) as usize);
                slot.rest.drain(..areas).for_each(|area| full.push(area));
                if let Some(old) = self.local.load(class, full) {
                    assert!(old.is_empty());
                }
                (slot.clean, slot.most) = (areas as u32, areas as u32);
            }
            70..=74 => match self.local.give_clean() {
                Some(magazine) => {
                    assert!(!magazine.is_empty(), "an empty one was given");
                    self.unloaded(magazine);
                }
                None => {
                    assert!(self.slots.iter().all(|s| s.clean == 0));
                    self.slots.iter_mut().for_each(|s| s.most = 0);
                    assert!(self.local.has_room(SHARE, &self.poor), "nothing counts");
                }
            },
            75..=84 => {
                let slot = &mut self.slots[nth];
                let space = [Space::Ample, Space::Short, Space::None][rng.below(3) as usize];
                for _ in 0..rng.below(20) {
                    let Some(area) = slot.rest.pop() else {
                        return;
                    };
                    let room = match space {
                        Space::Ample => true,
                        Space::Short => slot.kept == 0,
                        Space::None => false,
                    };
                    match self.local.keep(class, area, space, &self.descriptors) {
                        Ok(()) => {
                            assert!(room, "{} kept, {space:?}", slot.kept);
                            slot.kept += 1;
                            slot.in_use = true;
                        }
                        Err(area) => {
                            assert!(!room, "{} kept, {space:?}", slot.kept);
                            slot.rest.push(area);
                        }
                    }
                }
            }
            85..=88 => {
                let most = match rng.below(2) {
                    0 => u32::MAX,
                    _ => 1 + rng.below(30),
                };
                let mut given = self.local.give_kept(most, &self.descriptors);
                let areas: Vec<CleanId> = given.drain(&self.descriptors).collect();
                assert_eq!(areas.is_empty(), self.kept() == 0);
                self.gave(areas, most);
            }
            89..=94 => {
                let most = 1 + rng.below(30);
                let mut given = self.local.give_unused(most, &self.descriptors);
                let areas: Vec<CleanId> = given.drain(&self.descriptors).collect();
                let class = areas.first().map(|area| {
                    let descriptor = self.descriptors.get(area.id()).unwrap();
                    descriptor.class().unwrap()
                });
                for slot in &mut self.slots {
                    let given = Some(slot.class) == class;
                    assert!(!given || !slot.in_use, "they were in use");
                    slot.in_use = false;
                }
                self.gave(areas, most);
            }
            95..=97 => {
                let mut all = Chain::new();
                self.local.spill_clean(&self.poor, &mut all);
                while let Some(magazine) = all.pop() {
                    self.unloaded(magazine);
                }
                assert!(self.slots.iter().all(|s| s.clean == 0));
                self.slots.iter_mut().for_each(|s| s.most = 0);
            }
            _ => {
                let mut all = Vec::new();
                self.local
                    .spill_kept(&self.descriptors, |area| all.push(area));
                for area in all {
                    let class = self.descriptors.get(area.id()).unwrap().class().unwrap();
                    let slot = self.slots.iter_mut().find(|s| s.class == class).unwrap();
                    slot.kept -= 1;
                    slot.rest.push(area);
                }
                assert_eq!(self.kept(), 0);
            }
        }
        self.check();
    }

    fn check(&mut self) {
        // No more counts than the magazines have had, and no less than they have: in between are those that were
        // found empty.
        let spans = |of: fn(&Slot) -> u32| -> u32 {
            let spans = self.slots.iter().map(|s| of(s) * s.class.span());
            spans.sum()
        };
        let (now, most) = (spans(|s| s.clean), spans(|s| s.most));
        assert!(self.local.has_room(SHARE - most, &self.poor));
        assert!(!self.local.has_room(SHARE - now + 1, &self.poor));
        assert_eq!(self.poor.promised(), 0);
    }
}

#[test]
fn counts_of_a_stock() {
    for seed in 0..30 {
        let mut rng = Rng::new(seed);
        let mut stock = Stock::new();
        for _ in 0..5_000 {
            stock.step(&mut rng);
        }
    }
}
