// SPDX-License-Identifier: GPL-2.0

//! The ground below the area manager: atomics, locks, memory, one value per CPU. They have the same
//! names in two worlds: the kernel, and the host (`std`, or loom).
//!
//! rust/va uses the names of this file alone, so that the same lines run in the module, in host tests,
//! and under the model checker. [`Page`] is the same type in both worlds.
//!
//! Atomics in the module are `::core::sync::atomic`. The kernel crate's own (`kernel::sync::atomic`)
//! are one function call per load where helpers are not inlined, as on distribution kernels, and a
//! lookup is little else than loads. Every word here is shared among Rust code of this module only,
//! never with C, so that the language's own memory model is complete for it; where the kernel's
//! ordering matters (page tables, TLB flush), the called kernel function provides it.
//!
//! Every allocation can fail; its [`Mode`] says whether it may wait. On the host a test can make the
//! n-th one fail.

#[cfg(not(MODULE))]
#[path = "host/mod.rs"]
mod world;
#[cfg(MODULE)]
#[path = "kernel/mod.rs"]
mod world;

pub mod once_box;
pub mod page;
pub mod seqcount;

pub use page::Page;
pub use world::{broken, found_broken, mem, sync};

/// Pads a value to cache lines of its own, so that two CPUs do not share one by accident.
#[repr(align(128))]
pub struct Padded<T>(pub T);

impl<T> core::ops::Deref for Padded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// What a [`sync::Lock`] protects. In the kernel each is a lockdep class of its own. Nobody holds two of
/// them together, so they need no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockClass {
    /// The free extents of one shard.
    Shard,
    /// Full clean magazines.
    Depot,
    /// Magazines that wait for a flush.
    Lazy,
    /// The record that readers of `info` share.
    Info,
}

/// There was no memory. The caller changes nothing and passes this on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// Whether an operation may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// May sleep: for memory, which the kernel may reclaim, and for a purge.
    Sleep,
    /// May sleep for a purge, but takes only memory that is free at once: the kernel must not kill a task
    /// for it.
    Gentle,
    /// Must not sleep, whatever the context. If memory is not free at once, the request fails without
    /// a warning.
    NoWait,
}

impl<T> mem::Table<T> {
    /// Makes a table of `len` values, the i-th of which is `init(i)`.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(len: usize, mode: Mode, mut init: impl FnMut(usize) -> T) -> Result<Self, NoMemory> {
        Self::try_new(len, mode, |i| Ok(init(i)))
    }
}
