// SPDX-License-Identifier: GPL-2.0

//! Atomics and locks of the kernel.

use super::preempt;
pub use super::{
    percpu::{Owned, PerCpu},
    slot::{free_unread, keep, Limbo, Mailbox, Reading, Slot},
};
pub use crate::sys::{once_box::OnceBox, LockClass, Padded};
use crate::{bindings, sys::NoMemory};
use kernel::{
    bindings::{lock_class_key, raw_spinlock_t},
    ffi::c_char,
    new_mutex,
    prelude::*,
    static_lock_class,
    sync::{lock, Mutex as KernelMutex},
};

pub use core::hint::spin_loop;
pub use core::sync::atomic::{fence, AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// The kernel's `raw_spinlock_t`, which spins under PREEMPT_RT too: a `spinlock_t` sleeps there, and
/// the owner of a CPU's stock must not. The kernel crate has no such lock.
pub struct Raw;

// SAFETY: A `raw_spinlock_t` has one owner between `lock` and `unlock`. `relock` is the trait's own.
unsafe impl lock::Backend for Raw {
    type State = raw_spinlock_t;
    type GuardState = ();

    unsafe fn init(ptr: *mut raw_spinlock_t, name: *const c_char, key: *mut lock_class_key) {
        // SAFETY: The caller says that `ptr` may be written, and that the others stay valid.
        unsafe { bindings::vc_lock_init(ptr.cast(), name, key.cast()) };
    }

    #[inline]
    unsafe fn lock(ptr: *mut raw_spinlock_t) {
        // SAFETY: The caller says that the lock was made.
        unsafe { bindings::vc_lock(ptr.cast()) };
    }

    #[inline]
    unsafe fn try_lock(ptr: *mut raw_spinlock_t) -> Option<()> {
        // SAFETY: As in `lock`.
        unsafe { bindings::vc_lock_try(ptr.cast()) }.then_some(())
    }

    #[inline]
    unsafe fn unlock(ptr: *mut raw_spinlock_t, (): &()) {
        // SAFETY: The caller owns the lock.
        unsafe { bindings::vc_unlock(ptr.cast()) };
    }

    unsafe fn assert_is_held(ptr: *mut raw_spinlock_t) {
        // SAFETY: As in `lock`.
        unsafe { bindings::vc_lock_held(ptr.cast()) };
    }
}

/// A spinlock. While it is held, nothing sleeps, nothing allocates, and nothing frees memory.
pub struct Lock<T>(Pin<KBox<lock::Lock<T, Raw>>>);

/// Holds a [`Lock`].
pub type LockGuard<'a, T> = lock::Guard<'a, T, Raw>;

impl<T> Lock<T> {
    /// Makes a lock around `value`. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(value: T, class: LockClass) -> Result<Self, NoMemory> {
        let (name, key) = match class {
            LockClass::Shard => (c"vmapcache_shard", static_lock_class!()),
            LockClass::Depot => (c"vmapcache_depot", static_lock_class!()),
            LockClass::Lazy => (c"vmapcache_lazy", static_lock_class!()),
            LockClass::Info => (c"vmapcache_info", static_lock_class!()),
        };
        KBox::pin_init(lock::Lock::new(value, name, key), GFP_KERNEL)
            .map(Self)
            .map_err(|_| NoMemory)
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

/// Fetches the first cache line of `value` for this CPU, which is about to write it. Any context.
#[inline(always)]
pub fn prefetch<T>(value: &T) {
    let at = core::ptr::from_ref(value);
    // SAFETY: A prefetch changes no memory and no register, and never faults. A processor that does not have it does
    // nothing.
    #[cfg(CONFIG_X86_64)]
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags))
    }
    // SAFETY: As above.
    #[cfg(CONFIG_ARM64)]
    unsafe {
        core::arch::asm!("prfm pstl1keep, [{}]", in(reg) at, options(nostack, preserves_flags))
    }
    #[cfg(not(any(CONFIG_X86_64, CONFIG_ARM64)))]
    let _ = at;
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
