// SPDX-License-Identifier: GPL-2.0

//! `lookup_start`, `lookup_inside`, `lookup_miss`: from an address to its area, among `live=`
//! areas of `pages=` pages. In-tree find_vm_area().
//!
//! A wrong answer counts as a failure.

use super::{At, Scenario, Stuff};
use crate::{
    line::Spec,
    measure::Step,
    rng::Rng,
    side::{Held, Side},
};
use core::hint::black_box;
use kernel::{page::PAGE_SIZE, prelude::*};

/// Addresses of one round; a power of two. Their order is random, so that neither side profits from a
/// neighbour's cache lines more than its structure allows.
const ROUND: usize = 1 << 14;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Start,
    Inside,
    Hole,
}

/// `WHERE`: 0 start, 1 inside, 2 in a hole between areas.
pub(crate) struct Lookup<const WHERE: u8> {
    holes: KVVec<Held>,
}

impl<const WHERE: u8> Lookup<WHERE> {
    const AT: Where = match WHERE {
        0 => Where::Start,
        1 => Where::Inside,
        _ => Where::Hole,
    };

    fn addresses(&self, live: &[Held], spec: &Spec, thread: u32) -> Result<KVVec<usize>> {
        let from = if Self::AT == Where::Hole {
            &self.holes
        } else {
            live
        };
        let last = from.len().checked_sub(1).ok_or(EINVAL)? as u32;
        let mut rng = Rng::new(spec.seed, thread);
        let mut addresses = KVVec::with_capacity(ROUND, GFP_KERNEL)?;
        for _ in 0..ROUND {
            let area = from.get(rng.within(0, last) as usize).ok_or(EINVAL)?;
            let inside = rng.within(1, (area.pages as usize * PAGE_SIZE - 1) as u32) as usize;
            let offset = if Self::AT == Where::Inside { inside } else { 0 };
            addresses.push(area.addr + offset, GFP_KERNEL)?;
        }
        Ok(addresses)
    }
}

impl<S: Side, const WHERE: u8> Scenario<S> for Lookup<WHERE> {
    const STUFF: Stuff = Stuff::Nothing;

    fn extra_live(spec: &Spec) -> u32 {
        // Holes are areas that lived once. Writers ask for one page more than fits into one.
        if Self::AT == Where::Hole {
            spec.live / 4 + 1
        } else {
            0
        }
    }

    fn prepare(spec: &Spec, side: &S, live: &mut KVVec<Held>) -> Result<Self> {
        let count = <Self as Scenario<S>>::extra_live(spec) as usize;
        let mut holes = KVVec::with_capacity(count, GFP_KERNEL)?;
        let mut i = 0;
        live.retain(|area| {
            let stays = i % 5 != 0 || holes.len() == count;
            i += 1;
            // The push cannot fail, there is room for `count`.
            if !stays && holes.push(*area, GFP_KERNEL).is_ok() {
                side.va_free(*area);
                return false;
            }
            true
        });
        Ok(Lookup { holes })
    }

    fn worker<'a>(&'a self, at: At<'a, S>) -> Result<impl Step + 'a> {
        let addresses = self.addresses(at.live, at.spec, at.thread)?;
        let expected = Self::AT != Where::Hole;
        let mut i = 0;
        Ok(move || {
            let addr = addresses.get(i).copied().unwrap_or(0);
            i = (i + 1) & (ROUND - 1);
            black_box(at.side.find(black_box(addr))) == expected
        })
    }
}
