// SPDX-License-Identifier: GPL-2.0

//! `bare_map` and `bare_page`: the work that no allocator can avoid. Whatever vmap() or vmalloc() take
//! beyond that is management.

use super::{At, Scenario, Stuff};
use crate::{
    line::Spec,
    measure::Step,
    side::{
        bare::{self, Bare},
        Held, Pages, Side,
    },
};
use kernel::prelude::*;

/// Page tables: map and unmap at an address that stays.
pub(crate) struct BareMap {
    pages: Pages,
}

impl Scenario<Bare> for BareMap {
    const STUFF: Stuff = Stuff::Nothing;

    fn prepare(spec: &Spec, _side: &Bare, _live: &mut KVVec<Held>) -> Result<Self> {
        Ok(BareMap {
            pages: Pages::new(spec.pages.max)?,
        })
    }

    fn worker<'a>(&'a self, at: At<'a, Bare>) -> Result<impl Step + 'a> {
        let window = at.side.va_alloc(self.pages.count(), 1).ok_or(ENOMEM)?;
        Ok(move || {
            let ok = bare::map(window, &self.pages);
            bare::unmap(window);
            ok
        })
    }
}

/// Pages: allocate and free.
pub(crate) struct BarePage;

impl Scenario<Bare> for BarePage {
    const STUFF: Stuff = Stuff::Nothing;

    fn prepare(_spec: &Spec, _side: &Bare, _live: &mut KVVec<Held>) -> Result<Self> {
        Ok(BarePage)
    }

    fn worker<'a>(&'a self, at: At<'a, Bare>) -> Result<impl Step + 'a> {
        let mut room = KVec::from_elem(0usize, at.spec.pages.max as usize, GFP_KERNEL)?;
        Ok(move || bare::pages(&mut room))
    }
}
