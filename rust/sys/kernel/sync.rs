// SPDX-License-Identifier: GPL-2.0

//! Atomics and locks of the kernel.

use super::preempt;
pub use super::{
    once_box::OnceBox,
    percpu::{Owned, PerCpu},
};
use crate::sys::NoMemory;
pub use crate::sys::{LockClass, Padded};
use kernel::{
    new_mutex, new_spinlock,
    prelude::*,
    sync::{lock, Mutex as KernelMutex, SpinLock},
};

pub use core::hint::spin_loop;
pub use core::sync::atomic::{fence, AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// A spinlock. Nothing sleeps, and nothing allocates, while it is held.
pub struct Lock<T>(Pin<KBox<SpinLock<T>>>);

/// Holds a [`Lock`].
pub type LockGuard<'a, T> = lock::Guard<'a, T, lock::spinlock::SpinLockBackend>;

impl<T> Lock<T> {
    /// Makes a lock around `value`. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(value: T, class: LockClass) -> Result<Self, NoMemory> {
        let lock = match class {
            LockClass::Shard => KBox::pin_init(new_spinlock!(value, "vmapcache_shard"), GFP_KERNEL),
            LockClass::Depot => KBox::pin_init(new_spinlock!(value, "vmapcache_depot"), GFP_KERNEL),
            LockClass::Lazy => KBox::pin_init(new_spinlock!(value, "vmapcache_lazy"), GFP_KERNEL),
            LockClass::Descriptors => {
                KBox::pin_init(new_spinlock!(value, "vmapcache_descriptors"), GFP_KERNEL)
            }
            LockClass::Info => KBox::pin_init(new_spinlock!(value, "vmapcache_info"), GFP_KERNEL),
        };
        lock.map(Self).map_err(|_| NoMemory)
    }

    /// Waits for the lock, spinning.
    pub fn lock(&self) -> LockGuard<'_, T> {
        self.0.lock()
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<LockGuard<'_, T>> {
        self.0.try_lock()
    }
}

/// The CPU that this code ran on a moment ago: a hint for choosing a shard or a counter.
#[inline(always)]
pub fn cpu_hint() -> u32 {
    preempt::cpu_hint()
}

/// A lock whose holder may sleep.
pub struct Mutex<T>(Pin<KBox<KernelMutex<T>>>);

/// Holds a [`Mutex`].
pub type MutexGuard<'a, T> = lock::Guard<'a, T, lock::mutex::MutexBackend>;

impl<T> Mutex<T> {
    /// Makes a mutex around `value`. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(value: T) -> Result<Self, NoMemory> {
        KBox::pin_init(new_mutex!(value, "vmapcache_purge"), GFP_KERNEL)
            .map(Self)
            .map_err(|_| NoMemory)
    }

    /// Waits for the mutex, sleeping.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock()
    }

    /// Takes the mutex if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock()
    }
}
