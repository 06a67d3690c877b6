// SPDX-License-Identifier: GPL-2.0

//! When the kernel calls us: work items, memory pressure, exhaustion, CPUs that go offline.
//!
//! C side: [`rust/face/events.c`](events.c).

use crate::{
    bindings,
    face::allocator::{self as api, Published},
    va::{count::callers::CALLERS, Purge},
};
use kernel::{error::to_result, ffi::c_uint, prelude::*};

/// The allocator at work: published, and called for events, until dropped.
pub(crate) struct Events {
    published: Published,
}

impl Events {
    /// Lets the kernel call. May sleep.
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
        // The consumers are gone, and with them whoever could allocate or free; what they left may
        // still need the work items.
        self.published.allocator().reclaim_leaks();
        // SAFETY: Events were started, and no area is left that could kick a work item.
        unsafe { bindings::vc_events_stop() };
    }
}

#[no_mangle]
extern "C" fn vc_rs_purge() {
    api::with(|a| a.manager().purge_due());
}

#[no_mangle]
extern "C" fn vc_rs_finish_deferred() {
    api::with(|a| a.finish_deferred());
}

#[no_mangle]
extern "C" fn vc_rs_cpu_dead(cpu: c_uint) {
    api::with(|a| a.manager().drain_cpu(cpu));
}

#[no_mangle]
extern "C" fn vc_rs_space_exhausted() {
    // Of the in-tree space. Ours is a reservation in it and stays; but who is short of addresses
    // gets all that purging can give. Not waited for: whoever purges does the same.
    api::with(|a| {
        a.manager().try_purge(Purge::Drain);
    });
}

/// For the names of callers whose module goes: rust/face/names.c.
#[no_mangle]
extern "C" fn vc_rs_caller(id: c_uint) -> usize {
    if id as usize >= CALLERS {
        return usize::MAX;
    }
    api::with(|a| a.manager().caller(id))
}

/// Pages of stock whose bookkeeping weighs about as much as one object of the shrinker.
const PAGES_PER_OBJECT: u64 = 16;

#[no_mangle]
extern "C" fn vc_rs_shrink_count() -> usize {
    api::with(|a| (a.manager().reclaimable() / PAGES_PER_OBJECT) as usize)
}

#[no_mangle]
extern "C" fn vc_rs_shrink() -> usize {
    api::with(|a| {
        let before = vc_rs_shrink_count();
        if !a.manager().try_purge(Purge::Drain) {
            return 0;
        }
        a.manager().shrink();
        before.saturating_sub(vc_rs_shrink_count())
    })
}
