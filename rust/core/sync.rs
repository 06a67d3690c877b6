// SPDX-License-Identifier: GPL-2.0

//! The one door to atomics and locks: the kernel's, `std`'s, or loom's.
//!
//! The core is written against the names of this file alone, so that the very same lines run in the
//! module, in host tests, and under the model checker.
//!
//! Atomics in the module are `::core::sync::atomic`. The kernel crate's own (`kernel::sync::atomic`)
//! are one function call per load where helpers are not inlined, as on distribution kernels, and a
//! lookup is little else than loads. Every word here is shared among Rust code of this module only,
//! never with C, so that the language's own memory model is complete for it; where the kernel's
//! ordering is meant (page tables, TLB flush) it is the called kernel function that orders.

pub use imp::*;

/// Pads a value to cache lines of its own, so that two CPUs do not share one by accident.
#[repr(align(128))]
pub struct Padded<T>(pub T);

impl<T> ::core::ops::Deref for Padded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// What a [`Lock`] protects. In the kernel each is a lockdep class of its own; no two are ever held
/// together, so there is no order to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The free extents of one shard.
    Shard,
    /// Full clean magazines.
    Depot,
    /// Batches that wait for a flush.
    Lazy,
    /// Unused descriptors.
    Descriptors,
    /// A cached record of the exporter.
    Info,
}

#[cfg(MODULE)]
mod imp {
    use super::{super::mem::NoMemory, Class};
    use kernel::{
        new_mutex, new_spinlock,
        prelude::*,
        sync::{lock, Mutex as KernelMutex, SpinLock},
    };

    pub use crate::{
        once_box::OnceBox,
        percpu::{Owned, PerCpu},
    };
    pub use ::core::hint::spin_loop;
    pub use ::core::sync::atomic::{
        fence, AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering,
    };

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
        pub fn new(value: T, class: Class) -> Result<Self, NoMemory> {
            let lock = match class {
                Class::Shard => KBox::pin_init(new_spinlock!(value, "vmapcache_shard"), GFP_KERNEL),
                Class::Depot => KBox::pin_init(new_spinlock!(value, "vmapcache_depot"), GFP_KERNEL),
                Class::Lazy => KBox::pin_init(new_spinlock!(value, "vmapcache_lazy"), GFP_KERNEL),
                Class::Descriptors => {
                    KBox::pin_init(new_spinlock!(value, "vmapcache_descriptors"), GFP_KERNEL)
                }
                Class::Info => KBox::pin_init(new_spinlock!(value, "vmapcache_info"), GFP_KERNEL),
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
        crate::preempt::cpu_hint()
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
}

#[cfg(not(MODULE))]
mod imp {
    use super::{super::mem, super::mem::NoMemory, Class};

    #[cfg(loom)]
    use loom::sync as base;
    #[cfg(not(loom))]
    use std::sync as base;

    #[cfg(loom)]
    pub use loom::thread::yield_now as spin_loop;
    #[cfg(not(loom))]
    pub use std::thread::yield_now as spin_loop;

    pub use base::atomic::{fence, AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

    #[cfg(loom)]
    loom::thread_local! {
        static HELD: std::cell::Cell<(u32, u32)> = std::cell::Cell::new((0, 0));
    }
    #[cfg(not(loom))]
    std::thread_local! {
        static HELD: std::cell::Cell<(u32, u32)> = const { std::cell::Cell::new((0, 0)) };
    }

    /// Spinlocks and per-CPU values that this thread holds.
    fn held() -> (u32, u32) {
        HELD.with(|held| held.get())
    }

    /// Panics where the kernel could not sleep. Here and below, it is invariant 3 of the manager that
    /// is checked.
    #[track_caller]
    pub fn assert_may_sleep() {
        assert_eq!(held(), (0, 0), "sleeps with a spinlock or a CPU held");
    }

    /// Panics where the kernel must not be asked for memory.
    #[track_caller]
    pub fn assert_may_allocate(mode: mem::Mode) {
        assert_eq!(held().0, 0, "allocates with a spinlock held");
        if mode == mem::Mode::Sleep {
            assert_may_sleep();
        }
    }

    /// Counts one spinlock or one per-CPU value until dropped.
    struct Held(u32, u32);

    impl Held {
        #[track_caller]
        fn new(locks: u32, cpus: u32) -> Self {
            let (l, c) = held();
            assert_eq!(l, 0, "two spinlocks, or a CPU after a spinlock");
            HELD.with(|held| held.set((l + locks, c + cpus)));
            Self(locks, cpus)
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            let (l, c) = held();
            HELD.with(|held| held.set((l - self.0, c - self.1)));
        }
    }

    /// A lock around a value; the kernel's is a spinlock.
    pub struct Lock<T>(base::Mutex<T>);

    /// Holds a [`Lock`].
    pub struct LockGuard<'a, T>(base::MutexGuard<'a, T>, #[allow(dead_code)] Held);

    impl<T> std::ops::Deref for LockGuard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            &self.0
        }
    }

    impl<T> std::ops::DerefMut for LockGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.0
        }
    }

    impl<T> Lock<T> {
        /// Makes a lock around `value`.
        pub fn new(value: T, _class: Class) -> Result<Self, NoMemory> {
            Ok(Self(base::Mutex::new(value)))
        }

        /// Waits for the lock.
        #[track_caller]
        pub fn lock(&self) -> LockGuard<'_, T> {
            let held = Held::new(1, 0);
            LockGuard(self.0.lock().unwrap(), held)
        }

        /// Takes the lock if it is free.
        #[track_caller]
        pub fn try_lock(&self) -> Option<LockGuard<'_, T>> {
            let held = Held::new(1, 0);
            Some(LockGuard(self.0.try_lock().ok()?, held))
        }
    }

    /// A lock whose holder may sleep.
    pub struct Mutex<T>(base::Mutex<T>);

    /// Holds a [`Mutex`].
    pub type MutexGuard<'a, T> = base::MutexGuard<'a, T>;

    impl<T> Mutex<T> {
        /// Makes a mutex around `value`.
        pub fn new(value: T) -> Result<Self, NoMemory> {
            Ok(Self(base::Mutex::new(value)))
        }

        /// Waits for the mutex.
        #[track_caller]
        pub fn lock(&self) -> MutexGuard<'_, T> {
            assert_may_sleep();
            self.0.lock().unwrap()
        }

        /// Takes the mutex if it is free.
        pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    /// A heap value that is set at most once and then stays until the owner goes.
    pub struct OnceBox<T> {
        // Under loom `std::sync::OnceLock` would hide the ordering, so the flag carries it.
        set: AtomicBool,
        value: std::sync::OnceLock<mem::Box<T>>,
    }

    impl<T> OnceBox<T> {
        /// Nothing set yet.
        pub fn new() -> Self {
            Self {
                set: AtomicBool::new(false),
                value: std::sync::OnceLock::new(),
            }
        }

        /// The value, once it is set.
        #[inline]
        pub fn get(&self) -> Option<&T> {
            if self.set.load(Ordering::Acquire) {
                self.value.get().map(|b| &**b)
            } else {
                None
            }
        }

        /// Sets the value; gives it back if another was faster.
        pub fn set(&self, value: mem::Box<T>) -> Result<(), mem::Box<T>> {
            self.value.set(value)?;
            self.set.store(true, Ordering::Release);
            Ok(())
        }
    }

    #[cfg(loom)]
    loom::thread_local! {
        static CPU: std::cell::Cell<u32> = std::cell::Cell::new(0);
    }
    #[cfg(not(loom))]
    std::thread_local! {
        static CPU: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }

    /// Says on which CPU this thread pretends to run.
    pub fn run_on_cpu(cpu: u32) {
        CPU.with(|c| c.set(cpu));
    }

    /// This CPU's value.
    pub struct Owned<'a, T> {
        value: base::MutexGuard<'a, T>,
        cpu: u32,
        _held: Held,
    }

    impl<T> Owned<'_, T> {
        /// The CPU.
        pub fn cpu(&self) -> u32 {
            self.cpu
        }
    }

    impl<T> std::ops::Deref for Owned<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            &self.value
        }
    }

    impl<T> std::ops::DerefMut for Owned<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.value
        }
    }

    /// One value per CPU, for the one that runs there alone. The kernel's is in rust/percpu.rs.
    pub struct PerCpu<T>(mem::Table<base::Mutex<T>>);

    impl<T> PerCpu<T> {
        /// Makes the value of each of `cpus` CPUs.
        pub fn new(
            cpus: u32,
            mut init: impl FnMut(u32) -> Result<T, NoMemory>,
        ) -> Result<Self, NoMemory> {
            mem::Table::try_new(cpus as usize, mem::Mode::Sleep, |cpu| {
                init(cpu as u32).map(base::Mutex::new)
            })
            .map(Self)
        }

        /// This CPU's value, or `None` where somebody else has it.
        #[inline]
        pub fn enter(&self) -> Option<Owned<'_, T>> {
            let cpu = CPU.with(|c| c.get());
            let value = self.0.get(cpu as usize)?.try_lock().ok()?;
            let _held = Held::new(0, 1);
            Some(Owned { value, cpu, _held })
        }

        /// Runs `f` on every CPU's value in turn. May sleep.
        pub fn with_each(&self, mut f: impl FnMut(u32, &mut T)) {
            assert_may_sleep();
            for (cpu, slot) in self.0.iter().enumerate() {
                f(cpu as u32, &mut slot.lock().unwrap());
            }
        }
    }

    /// The CPU that this thread ran on a moment ago: a hint for choosing a shard or a counter.
    pub fn cpu_hint() -> u32 {
        CPU.with(|c| c.get())
    }
}
