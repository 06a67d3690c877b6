// SPDX-License-Identifier: GPL-2.0

//! `lazy_search`: searches for space among `lazy=` lazy areas. The free-area cache was invented for
//! this: lazy areas keep their places, small extents remain between them, and a search that begins at
//! the front looks at all of these.

use super::{At, Scenario, Stuff};
use crate::{
    ground,
    line::Spec,
    measure::Step,
    side::{Held, Side},
};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// Pages of the area to place: more than fit between two lazy ones.
const PAGES: u32 = 2;

pub(crate) struct LazySearch {
    /// The lazy areas exist.
    prepared: Atomic<bool>,
}

/// Frees every second one of `areas`, beginning with the `first`.
fn free_half<S: Side>(side: &S, areas: &[Held], first: usize) {
    for (i, area) in areas.iter().skip(first).step_by(2).enumerate() {
        side.va_free(*area);
        if i % 64 == 0 {
            ground::resched();
        }
    }
}

/// Leaves `lazy` lazy areas of one page, and behind each a free page with its guard page. Runs in the
/// thread that will search, since other CPUs may have other space.
fn scatter<S: Side>(side: &S, lazy: u32) -> Result {
    side.purge();
    let mut areas = KVVec::with_capacity(2 * lazy as usize, GFP_KERNEL)?;
    let mut all = Ok(());
    for i in 0..2 * lazy {
        let Some(area) = side.va_alloc(1, 1) else {
            all = Err(ENOMEM);
            break;
        };
        // There is room for all.
        areas.push(area, GFP_KERNEL)?;
        if i % 64 == 0 {
            ground::resched();
        }
    }
    free_half(side, &areas, 1);
    side.purge();
    free_half(side, &areas, 0);
    all
}

impl<S: Side> Scenario<S> for LazySearch {
    const STUFF: Stuff = Stuff::Nothing;

    fn batch(_spec: &Spec) -> u32 {
        1
    }

    fn prepare(_spec: &Spec, _side: &S, _live: &mut KVVec<Held>) -> Result<Self> {
        Ok(LazySearch {
            prepared: Atomic::new(false),
        })
    }

    fn worker<'a>(&'a self, at: At<'a, S>) -> Result<impl Step + 'a> {
        // Each operation leaves one more lazy area; `Spec::lazy_pages` counts those of all passes.
        if !self.prepared.load(Relaxed) {
            scatter(at.side, at.spec.lazy)?;
            self.prepared.store(true, Relaxed);
        }
        Ok(move || {
            let area = at.side.va_alloc(PAGES, 1);
            if let Some(area) = area {
                at.side.va_free(area);
            }
            area.is_some()
        })
    }
}
