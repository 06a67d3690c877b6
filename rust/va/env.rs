// SPDX-License-Identifier: GPL-2.0

//! What the manager calls outside of rust/va: a TLB flush, the worker that purges, the worker that ends
//! deferred frees, a point to reschedule, a clock; and what it tells those who trace. rust/face/surroundings.rs implements it in the kernel.

use crate::sys::Page;
use core::ffi::CStr;

/// What a purge has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Areas that it made clean.
    pub areas: u64,
    /// Their pages, guard pages included.
    pub pages: u64,
    /// Calls of [`Env::flush`].
    pub flushes: u64,
    /// Lazy pages that are left, as far as CPUs have handed them on.
    pub left: u64,
}

/// What the manager needs from its surroundings.
pub trait Env: Send + Sync {
    /// Flushes the TLB entries of arena pages `start..end` on all CPUs before it returns. The manager
    /// calls it where it may sleep, and holds no lock except the purge mutex.
    fn flush(&self, start: Page, end: Page);

    /// Asks for [`Manager::purge_due`](super::Manager::purge_due) soon. Any context.
    fn kick_purge(&self);

    /// Asks for the areas of [`Manager::take_deferred`](super::Manager::take_deferred) to be finished
    /// soon. Any context.
    fn kick_deferred(&self);

    /// Asks for [`Manager::finish_trim`](super::Manager::finish_trim) soon. In task context.
    fn kick_trim(&self);

    /// Finishes all deferred frees, also those that the worker has begun. Sleeps. The manager holds no
    /// lock.
    fn finish_deferred(&self);

    /// Asks others that keep areas which they could do without to free some. True if they did. Sleeps. The
    /// manager holds no lock.
    fn ask_others(&self) -> bool;

    /// Lets other tasks run. The manager holds no lock except the purge mutex.
    fn resched(&self);

    /// Whether the caller may sleep and send interrupts to other CPUs right now.
    fn may_sleep(&self) -> bool;

    /// Nanoseconds of this CPU's clock. Any context.
    fn now(&self) -> u64;

    /// A purge begins, for those who trace: its size, and lazy pages as far as CPUs have handed them on.
    fn purge_begins(&self, _how: &'static CStr, _lazy: u64) {}

    /// The purge that began last has ended.
    fn purge_ends(&self, _how: &'static CStr, _purged: &Purged) {}
}
