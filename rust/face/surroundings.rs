// SPDX-License-Identifier: GPL-2.0

//! The kernel as the area manager needs it: flushes, work items, the clock; and who traces it.
//!
//! C side: [`rust/face/surroundings.c`](surroundings.c), and the work items in events.c.

use crate::{
    bindings,
    face::{allocator::Allocator, published::with, trace},
    pages::arena::Bounds,
    sys::Page,
    va::{env::Purged, Env},
};
use kernel::prelude::*;

/// The kernel, as the area manager of one arena sees it.
pub(crate) struct Surroundings {
    /// Where the arena is.
    pub(crate) bounds: Bounds,
}

impl Env for Surroundings {
    fn flush(&self, start: Page, end: Page) {
        #[cfg(faults)]
        if crate::va::faults::Fault::NoFlush.on() {
            return;
        }
        self.bounds.flush(start, end);
    }

    fn kick_purge(&self) {
        // SAFETY: Events are started before the first area is made, and stopped after the last one
        // is gone.
        unsafe { bindings::vc_kick_purge() };
    }

    fn kick_deferred(&self) {
        // SAFETY: As above.
        unsafe { bindings::vc_kick_deferred() };
    }

    fn kick_trim(&self) {
        // SAFETY: As above.
        unsafe { bindings::vc_kick_trim() };
    }

    fn finish_deferred(&self) {
        with(Allocator::finish_deferred);
    }

    fn ask_others(&self) -> bool {
        // SAFETY: No precondition but the context, which the manager has.
        unsafe { bindings::vc_ask_others() }
    }

    fn resched(&self) {
        resched();
    }

    fn may_sleep(&self) -> bool {
        // SAFETY: No precondition.
        unsafe { bindings::vc_may_sleep() }
    }

    fn now(&self) -> u64 {
        // SAFETY: No precondition.
        unsafe { bindings::vc_now() }
    }

    fn purge_begins(&self, how: &'static CStr, lazy: u64) {
        trace::purge_begin(how, lazy);
    }

    fn purge_ends(&self, how: &'static CStr, purged: &Purged) {
        trace::purge_end(how, purged);
    }
}

/// Lets other tasks run. Sleeping is allowed.
pub(super) fn resched() {
    // SAFETY: No precondition but the context, which the caller has.
    unsafe { bindings::vc_resched() };
}

/// Waits until the worker has finished the deferred frees that it has begun. Sleeps.
pub(super) fn wait_for_worker() {
    // SAFETY: No precondition but the context, which the caller has.
    unsafe { bindings::vc_wait_deferred() };
}

/// Gives other tasks time to free memory, for the `nth` time. Sleeps, longer each time up to a limit.
pub(super) fn wait_for_memory(nth: u32) {
    // SAFETY: No precondition but the context, which the caller has.
    unsafe { bindings::vc_wait_for_memory(nth) };
}

/// Sleeps for some seconds if a test wants that.
#[cfg(faults)]
pub(super) fn linger(fault: crate::va::faults::Fault) {
    if fault.on() {
        for _ in 0..50 {
            wait_for_memory(u32::MAX);
        }
    }
}

/// The machine's pages of memory. Any context.
pub(super) fn total_pages() -> usize {
    // SAFETY: No precondition.
    unsafe { bindings::vc_total_pages() }
}
