// SPDX-License-Identifier: GPL-2.0

//! `vmap`: maps and unmaps pages that exist already. `vmalloc`: allocates and frees memory.

use super::{At, Scenario, Shapes, Stuff};
use crate::{
    line::Spec,
    measure::Step,
    side::{Ask, Held, Pages, Side},
};
use core::hint::black_box;
use kernel::{page::PAGE_SIZE, prelude::*};

/// Every thread maps the same pages, each at addresses of its own.
pub(crate) struct Vmap {
    pages: Pages,
}

impl<S: Side> Scenario<S> for Vmap {
    const STUFF: Stuff = Stuff::Mapped;

    fn prepare(spec: &Spec, _side: &S, _live: &mut KVVec<Held>) -> Result<Self> {
        Ok(Vmap {
            pages: Pages::new(spec.pages.max)?,
        })
    }

    fn worker<'a>(&'a self, at: At<'a, S>) -> Result<impl Step + 'a> {
        Ok(move || {
            let Some(area) = at.side.vmap(&self.pages) else {
                return false;
            };
            at.side.vunmap(black_box(area));
            true
        })
    }
}

pub(crate) struct Vmalloc;

impl<S: Side> Scenario<S> for Vmalloc {
    const STUFF: Stuff = Stuff::Memory;

    fn prepare(_spec: &Spec, _side: &S, _live: &mut KVVec<Held>) -> Result<Self> {
        Ok(Vmalloc)
    }

    fn worker<'a>(&'a self, at: At<'a, S>) -> Result<impl Step + 'a> {
        let mut shapes = Shapes::new(at.spec, at.thread)?;
        Ok(move || {
            let (pages, align) = shapes.next();
            let ask = Ask {
                align: align as usize * PAGE_SIZE,
                ..Ask::plain(pages)
            };
            let Some(area) = at.side.vmalloc(ask) else {
                return false;
            };
            at.side.vfree(black_box(area));
            true
        })
    }
}
