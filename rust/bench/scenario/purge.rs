// SPDX-License-Identifier: GPL-2.0

//! `purge`: allocates `lazy=` areas, frees them, and purges them at once. More than its time, the
//! interesting result is how long it keeps a CPU from all other tasks: `held_max_ns`.

use super::{At, Scenario, Stuff};
use crate::{
    ground,
    line::Spec,
    measure::Step,
    side::{Held, Side},
};
use kernel::prelude::*;

pub(crate) struct Purge;

impl<S: Side> Scenario<S> for Purge {
    const STUFF: Stuff = Stuff::Addresses;

    fn batch(_spec: &Spec) -> u32 {
        1
    }

    fn prepare(_spec: &Spec, _side: &S, _live: &mut KVVec<Held>) -> Result<Self> {
        Ok(Purge)
    }

    fn worker<'a>(&'a self, at: At<'a, S>) -> Result<impl Step + 'a> {
        let count = at.spec.lazy as usize;
        let mut areas = KVVec::with_capacity(count, GFP_KERNEL)?;
        Ok(move || {
            for i in 0..count {
                if i % 64 == 0 {
                    ground::resched();
                }
                let Some(area) = at.side.va_alloc(at.spec.pages.max, 1) else {
                    break;
                };
                // There is room for all.
                if areas.push(area, GFP_KERNEL).is_err() {
                    at.side.va_free(area);
                }
            }
            let all = areas.len() == count;
            while let Some(area) = areas.pop() {
                at.side.va_free(area);
                if areas.len() % 64 == 0 {
                    ground::resched();
                }
            }
            at.side.purge();
            all
        })
    }
}
