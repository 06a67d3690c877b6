// SPDX-License-Identifier: GPL-2.0

//! `va_only`: addresses alone, no page. In-tree get_vm_area() and free_vm_area().

use super::{At, Scenario, Shapes, Stuff};
use crate::{
    line::Spec,
    measure::Step,
    side::{Held, Side},
};
use core::hint::black_box;
use kernel::prelude::*;

pub(crate) struct VaOnly;

impl<S: Side> Scenario<S> for VaOnly {
    const STUFF: Stuff = Stuff::Addresses;

    fn prepare(_spec: &Spec, _side: &S, _live: &mut KVVec<Held>) -> Result<Self> {
        Ok(VaOnly)
    }

    fn worker<'a>(&'a self, at: At<'a, S>) -> Result<impl Step + 'a> {
        let mut shapes = Shapes::new(at.spec, at.thread)?;
        Ok(move || {
            let (pages, align) = shapes.next();
            let Some(area) = at.side.va_alloc(pages, align) else {
                return false;
            };
            at.side.va_free(black_box(area));
            true
        })
    }
}
