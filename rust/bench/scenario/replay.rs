// SPDX-License-Identifier: GPL-2.0

//! `replay`: the requests of a program that somebody has written to `bench/program`, for addresses alone.
//!
//! Each of its CPUs is a thread, which makes its requests in their order. A thread that is to free what
//! another one has not allocated yet waits, and that time does not count. The replay frees the areas that its
//! program leaves between two runs, when the clock has stopped.
//!
//! # Invariants
//!
//! - A slot's address is set by the one thread that allocates it, and taken out by the one that frees it.

use super::{At, Checked, Scenario, Stuff};
use crate::{
    check::Verdict,
    ground,
    line::Spec,
    measure::Step,
    program::{self, Live, Move, Shape, Slot, CHECKPOINTS},
    side::{Held, Side},
    statistics::sort,
};
use core::hint::black_box;
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
        Arc,
    },
};

/// A program that was read.
pub(crate) struct Program {
    pub(crate) shape: Shape,
    slots: KVVec<Slot>,
    /// All requests, in the order of the program.
    moves: KVVec<Move>,
    /// Those of each CPU.
    lists: KVec<KVVec<Move>>,
}

/// Why there is no program.
pub(crate) enum Bad {
    Program(program::Complaint),
    Errno(Error),
}

impl From<kernel::alloc::AllocError> for Bad {
    fn from(_: kernel::alloc::AllocError) -> Self {
        Bad::Errno(ENOMEM)
    }
}

impl Program {
    pub(crate) fn read(text: &[u8]) -> Result<Program, Bad> {
        let count = program::requests(text).map_err(Bad::Program)?;
        let mut moves = KVVec::from_elem(Move::default(), count, GFP_KERNEL)?;
        let mut slots = KVVec::from_elem(Slot::default(), count, GFP_KERNEL)?;
        let shape = program::parse(text, &mut moves, &mut slots, ground::resched);
        let shape = shape.map_err(Bad::Program)?;
        slots.truncate(shape.allocations);
        let mut lists = KVec::with_capacity(shape.cpus.into(), GFP_KERNEL)?;
        for cpu in 0..shape.cpus {
            let own = |step: &&Move| step.cpu == cpu;
            let mut list = KVVec::with_capacity(moves.iter().filter(own).count(), GFP_KERNEL)?;
            for step in moves.iter().filter(own) {
                list.push(*step, GFP_KERNEL)?;
            }
            ground::resched();
            lists.push(list, GFP_KERNEL)?;
        }
        Ok(Program {
            shape,
            slots,
            moves,
            lists,
        })
    }
}

/// Nothing has been allocated yet; the allocation has failed; the area has been freed. Anything else is the
/// area's address.
const NOT_YET: usize = 0;
const FAILED: usize = 1;
const GONE: usize = 2;

/// Where the area of a slot is.
struct Place {
    addr: Atomic<usize>,
    token: Atomic<usize>,
}

pub(crate) struct Replay {
    program: Arc<Program>,
    places: KVVec<Place>,
    /// A pass ended with other live areas than the program's.
    other: Atomic<bool>,
}

impl Replay {
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(program: Arc<Program>) -> Result<Replay> {
        let mut places = KVVec::with_capacity(program.slots.len(), GFP_KERNEL)?;
        for _ in 0..program.slots.len() {
            let place = Place {
                addr: Atomic::new(NOT_YET),
                token: Atomic::new(0),
            };
            places.push(place, GFP_KERNEL)?;
        }
        Ok(Replay {
            program,
            places,
            other: Atomic::new(false),
        })
    }

    /// Makes a request. False if the allocator failed.
    #[inline(always)]
    fn make<S: Side>(&self, side: &S, step: Move) -> bool {
        let slot = step.slot as usize;
        let (Some(place), Some(shape)) = (self.places.get(slot), self.program.slots.get(slot))
        else {
            return false;
        };
        if step.frees {
            let addr = place.addr.load(Acquire);
            if addr > GONE {
                let area = Held {
                    addr,
                    pages: shape.pages,
                    token: place.token.load(Relaxed),
                };
                place.addr.store(GONE, Relaxed);
                side.va_free(black_box(area));
            }
            return true;
        }
        match side.va_alloc(shape.pages, shape.align) {
            Some(area) => {
                place.token.store(area.token, Relaxed);
                place.addr.store(area.addr, Release);
                true
            }
            None => {
                place.addr.store(FAILED, Release);
                false
            }
        }
    }

    /// The areas that live now.
    fn live(&self) -> impl Iterator<Item = (Held, Slot)> + '_ {
        let both = self.places.iter().zip(&self.program.slots);
        both.filter_map(|(place, slot)| {
            let addr = place.addr.load(Acquire);
            let held = Held {
                addr,
                pages: slot.pages,
                token: place.token.load(Relaxed),
            };
            (addr > GONE).then_some((held, *slot))
        })
    }

    /// The live areas that the side, too, says are there; a verdict if they are not as they should be.
    fn look<S: Side>(&self, side: &S) -> Result<(Live, Option<Verdict>)> {
        let (mut live, mut bad) = (Live::default(), None);
        let mut ranges = KVVec::new();
        for (i, (area, slot)) in self.live().enumerate() {
            if i % 64 == 0 {
                ground::resched();
            }
            let bytes = area.pages as usize * PAGE_SIZE;
            if side.find(area.addr) && side.find(area.addr + bytes - 1) {
                live.areas += 1;
                live.pages += u64::from(area.pages);
            }
            if area.addr.checked_rem(slot.align as usize * PAGE_SIZE) != Some(0) {
                bad = Some(Verdict::Align);
            }
            let guard = if side.guards() { PAGE_SIZE } else { 0 };
            ranges.push((area.addr, area.addr + bytes + guard), GFP_KERNEL)?;
        }
        sort(&mut ranges);
        let apart = |pair: &[(usize, usize)]| matches!(pair, [a, b] if a.1 <= b.0);
        if !ranges.windows(2).all(apart) {
            bad = Some(Verdict::Overlap);
        }
        Ok((live, bad))
    }

    /// Frees what lives, and forgets all.
    fn clear<S: Side>(&self, side: &S) {
        for (i, (area, _)) in self.live().enumerate() {
            side.va_free(area);
            if i % 64 == 0 {
                ground::resched();
            }
        }
        for place in &self.places {
            place.addr.store(NOT_YET, Relaxed);
        }
    }
}

/// One thread's requests.
struct Player<'a, S> {
    replay: &'a Replay,
    at: At<'a, S>,
    list: &'a [Move],
    next: usize,
}

impl<S: Side> Step for Player<'_, S> {
    #[inline(always)]
    fn wait<G: crate::measure::Ground>(&mut self, ground: &G) -> u64 {
        let Some(step) = self.list.get(self.next).filter(|step| step.frees) else {
            return 0;
        };
        let Some(place) = self.replay.places.get(step.slot as usize) else {
            return 0;
        };
        if place.addr.load(Acquire) != NOT_YET {
            return 0;
        }
        let before = ground.now();
        while place.addr.load(Acquire) == NOT_YET && !self.at.stop.load(Relaxed) {
            ground::give_way();
        }
        ground.now().saturating_sub(before)
    }

    #[inline(always)]
    fn step(&mut self) -> bool {
        let Some(step) = self.list.get(self.next) else {
            return false;
        };
        self.next += 1;
        self.replay.make(self.at.side, *step)
    }
}

impl<S: Side> Scenario<S> for Replay {
    const STUFF: Stuff = Stuff::Addresses;

    fn prepare(_spec: &Spec, _side: &S, _live: &mut KVVec<Held>) -> Result<Self> {
        // It needs a program: see `new`.
        Err(EINVAL)
    }

    fn ops(&self, thread: u32, _ops: u64) -> u64 {
        let list = self.program.lists.get(thread as usize);
        list.map_or(0, |list| list.len() as u64)
    }

    fn worker<'a>(&'a self, at: At<'a, S>) -> Result<impl Step + 'a> {
        let list = self.program.lists.get(at.thread as usize).ok_or(EINVAL)?;
        Ok(Player {
            replay: self,
            at,
            list,
            next: 0,
        })
    }

    fn after(&self, side: &S) {
        let mut live = Live::default();
        for (area, _) in self.live() {
            live.areas += 1;
            live.pages += u64::from(area.pages);
        }
        if self.program.shape.live.last() != Some(&live) {
            self.other.store(true, Relaxed);
        }
        self.clear(side);
    }

    /// Makes all requests in the order of the program, and looks at what lives at each checkpoint.
    fn check(&self, _spec: &Spec, side: &S) -> Result<Checked> {
        let shape = &self.program.shape;
        let mut seen = [Live::default(); CHECKPOINTS];
        let mut verdict = Verdict::Good(shape.allocations as u32);
        for (i, step) in self.program.moves.iter().enumerate() {
            self.make(side, *step);
            if i % 64 == 0 {
                ground::resched();
                if ground::signalled() {
                    self.clear(side);
                    return Err(EINTR);
                }
            }
            let due = |n: &usize| program::due(*n, i + 1, shape.requests);
            if !(0..CHECKPOINTS).any(|n| due(&n)) {
                continue;
            }
            let looked = self.look(side);
            let (live, bad) = match looked {
                Ok(looked) => looked,
                Err(e) => {
                    self.clear(side);
                    return Err(e);
                }
            };
            if let Some(bad) = bad {
                verdict = bad;
            }
            for (n, seen) in seen.iter_mut().enumerate() {
                if due(&n) {
                    *seen = live;
                }
            }
        }
        self.clear(side);
        if verdict.is_good() && (seen != shape.live || self.other.load(Relaxed)) {
            verdict = Verdict::Live;
        }
        Ok(Checked {
            verdict,
            live: Some(seen),
        })
    }
}
