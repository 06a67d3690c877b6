// SPDX-License-Identifier: GPL-2.0

//! What the manager calls outside of rust/va: a TLB flush, the worker that purges, the worker that ends
//! deferred frees, a point to reschedule, a clock. rust/face/surroundings.rs implements it in the kernel.

use crate::sys::Page;

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
}
