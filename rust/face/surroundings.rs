// SPDX-License-Identifier: GPL-2.0

//! The kernel as the area manager needs it: flushes, work items, the clock.
//!
//! C side: [`rust/face/surroundings.c`](surroundings.c), and the work items in events.c.

use crate::{bindings, pages::arena::Bounds, sys::Page, va::Env};

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
}

/// Lets other tasks run. Sleeping is allowed.
pub(super) fn resched() {
    // SAFETY: No precondition but the context, which the caller has.
    unsafe { bindings::vc_resched() };
}

/// Gives other tasks time to free memory. Sleeps.
pub(super) fn wait_for_memory() {
    // SAFETY: No precondition but the context, which the caller has.
    unsafe { bindings::vc_wait_for_memory() };
}

/// The machine's pages of memory. Any context.
pub(super) fn total_pages() -> usize {
    // SAFETY: No precondition.
    unsafe { bindings::vc_total_pages() }
}
