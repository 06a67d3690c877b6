// SPDX-License-Identifier: GPL-2.0

//! The worker that purges, and what the kernel tells us: memory pressure, exhausted space, CPUs that go
//! offline.
//!
//! C side: [`rust/face/events.c`](events.c).

use crate::{
    bindings::{self, export},
    face::{
        allocator::Allocator,
        published::{with, Published},
    },
    va::Purge,
};
use kernel::{
    error::to_result,
    ffi::{c_uint, c_void},
    prelude::*,
};

/// The allocator at work: published, and called for events, until dropped.
pub(crate) struct Events {
    published: Published,
}

impl Events {
    /// Registers for all events. May sleep.
    ///
    /// # Errors
    ///
    /// Those of the registrations.
    pub(crate) fn start(published: Published) -> Result<Self> {
        // SAFETY: The callbacks find the allocator, which is published.
        to_result(unsafe { bindings::vc_events_start() })?;
        Ok(Self { published })
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // The consumers and the guards are gone, so nobody can allocate or free. The purge finishes what a
        // guard freed last, and then flushes.
        self.published.allocator().purge(Purge::Full);
        // SAFETY: Events were started, and no area is left that could kick a work item.
        unsafe { bindings::vc_events_stop() };
    }
}

/// Bytes of one object of the shrinker: with most shrinkers an object weighs about as much.
const OBJECT: usize = 1024;

/// Pages of stock whose bookkeeping weighs as much.
const PAGES_PER_OBJECT: u64 = 16;

/// Stock and lazy areas, as objects.
fn stock_objects(a: &Allocator) -> usize {
    (a.manager().reclaimable() / PAGES_PER_OBJECT) as usize
}

export! {
    fn vc_rs_purge() {
        with(|a| a.manager().purge_due());
    }

    fn vc_rs_finish_deferred() {
        with(Allocator::work_deferred);
    }

    fn vc_rs_cpu_dead(cpu: c_uint) {
        with(|a| a.manager().drain_cpu(cpu));
    }

    fn vc_rs_space_exhausted() {
        // The in-tree space is exhausted. Our arena is a reservation in it and stays, but its stocks
        // become free space. If a purge is under way, it does the same: do not wait for it.
        with(|a| {
            a.manager().try_purge(Purge::Drain);
        });
    }

    fn vc_rs_caller(id: c_uint) -> usize {
        with(|a| a.manager().caller(id))
    }

    /// # Safety
    ///
    /// `module` is what `vc_is_going` and `vc_keep_name` expect.
    unsafe fn vc_rs_retire_callers(module: *const c_void) {
        with(|a| {
            a.manager().retire_callers(
                // SAFETY: As the caller says.
                |addr| unsafe { bindings::vc_is_going(module, addr) },
                // SAFETY: As the caller says.
                |id, addr| unsafe { bindings::vc_keep_name(id, addr) },
            );
        });
    }

    fn vc_rs_shrink_count() -> usize {
        with(|a| stock_objects(a).saturating_add(a.manager().trimmable() / OBJECT))
    }

    fn vc_rs_shrink(nr: usize) -> usize {
        with(|a| {
            let mut given = 0;
            let before = stock_objects(a);
            // A drain waits for a grace period, and takes the stock of all CPUs: so not for nothing.
            if before > 0 && a.manager().try_purge(Purge::Drain) {
                given = before.saturating_sub(stock_objects(a));
            }
            given += a.manager().shrink() / OBJECT;
            // A trim takes what areas have left behind, and no more than was asked for.
            let rest = nr.saturating_sub(given);
            if rest > 0 {
                given += a.manager().trim(rest.saturating_mul(OBJECT)) / OBJECT;
            }
            given
        })
    }

    fn vc_rs_trim() {
        with(|a| a.manager().finish_trim());
    }
}
