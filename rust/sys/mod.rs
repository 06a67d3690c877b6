// SPDX-License-Identifier: GPL-2.0

//! What the area manager stands on: atomics, locks, memory, one value per CPU; in two worlds behind
//! the same names, the kernel's and the host's (`std`, or loom).
//!
//! The core is written against the names of this file alone, so that the very same lines run in the
//! module, in host tests, and under the model checker.
//!
//! Atomics in the module are `::core::sync::atomic`. The kernel crate's own (`kernel::sync::atomic`)
//! are one function call per load where helpers are not inlined, as on distribution kernels, and a
//! lookup is little else than loads. Every word here is shared among Rust code of this module only,
//! never with C, so that the language's own memory model is complete for it; where the kernel's
//! ordering is meant (page tables, TLB flush) it is the called kernel function that orders.
//!
//! Every allocation can fail, and says how it may wait. On the host a test can make the n-th one fail.

#[cfg(not(MODULE))]
#[path = "host/mod.rs"]
mod world;
#[cfg(MODULE)]
#[path = "kernel/mod.rs"]
mod world;

pub mod seqcount;

pub use world::{mem, sync};

/// Pads a value to cache lines of its own, so that two CPUs do not share one by accident.
#[repr(align(128))]
pub struct Padded<T>(pub T);

impl<T> core::ops::Deref for Padded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// What a [`sync::Lock`] protects. In the kernel each is a lockdep class of its own; no two are ever held
/// together, so there is no order to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockClass {
    /// The free extents of one shard.
    Shard,
    /// Full clean magazines.
    Depot,
    /// Magazines that wait for a flush.
    Lazy,
    /// Unused descriptors.
    Descriptors,
    /// A cached record of the exporter.
    Info,
}

/// No memory was to be had. The caller changes nothing and passes it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// Whether an operation may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// May sleep: for memory, which the kernel may reclaim, and for a purge.
    Sleep,
    /// May not, whatever the context. Memory that is not there at once is refused without a warning.
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
