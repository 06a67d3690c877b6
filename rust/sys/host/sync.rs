// SPDX-License-Identifier: GPL-2.0

//! Locks and per-CPU values of the host, `std`'s or loom's.

pub use super::held::assert_may_sleep;
pub use super::slot::{free_unread, keep, Limbo, Mailbox, Reading, Slot};
use super::{held::Held, mem};
use crate::sys::NoMemory;
pub use crate::sys::{once_box::OnceBox, LockClass, Padded};
#[cfg(loom)]
use loom::sync as base;
#[cfg(not(loom))]
use std::sync as base;

#[cfg(loom)]
pub use loom::thread::yield_now as spin_loop;
#[cfg(not(loom))]
pub use std::thread::yield_now as spin_loop;

#[cfg(loom)]
pub use base::atomic::fence;
pub use base::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Whether a test has a function interrupt this thread at each of its fences, in the middle of a change.
#[cfg(not(loom))]
#[derive(Clone, Copy)]
enum Interrupts {
    Off,
    On(fn()),
    /// One runs, and has come by that many fences.
    Inside(u32),
}

#[cfg(not(loom))]
std::thread_local! {
    static INTERRUPTS: std::cell::Cell<Interrupts> = const { std::cell::Cell::new(Interrupts::Off) };
}

/// A reader that repeats more often waits for the task that it interrupts.
#[cfg(not(loom))]
const FENCES_MAX: u32 = 1_000_000;

/// Runs `f`, and `interrupt` at each fence in it. `interrupt` is not interrupted.
#[cfg(not(loom))]
pub fn interrupted_by<R>(interrupt: fn(), f: impl FnOnce() -> R) -> R {
    INTERRUPTS.with(|interrupts| interrupts.set(Interrupts::On(interrupt)));
    let result = f();
    INTERRUPTS.with(|interrupts| interrupts.set(Interrupts::Off));
    result
}

/// A fence. Panics in an interrupt that never ends.
#[cfg(not(loom))]
#[track_caller]
pub fn fence(ordering: Ordering) {
    base::atomic::fence(ordering);
    INTERRUPTS.with(|interrupts| match interrupts.get() {
        Interrupts::Off => {}
        Interrupts::On(interrupt) => {
            interrupts.set(Interrupts::Inside(0));
            interrupt();
            interrupts.set(Interrupts::On(interrupt));
        }
        Interrupts::Inside(fences) => {
            assert!(fences < FENCES_MAX, "waits for whom it interrupts");
            interrupts.set(Interrupts::Inside(fences + 1));
        }
    });
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
    pub fn new(value: T, _class: LockClass) -> Result<Self, NoMemory> {
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

/// One value per CPU, for the thread that runs there alone. The kernel's is in rust/sys/kernel/percpu.rs.
pub struct PerCpu<T>(mem::Table<OnceBox<base::Mutex<T>>>);

impl<T> PerCpu<T> {
    /// Room for a value of each of `cpus` CPUs.
    pub fn new(cpus: u32) -> Result<Self, NoMemory> {
        mem::Table::new(cpus as usize, mem::Mode::Sleep, |_| OnceBox::new()).map(Self)
    }

    /// Whether `cpu` has a value.
    pub fn has(&self, cpu: u32) -> bool {
        self.0
            .get(cpu as usize)
            .is_some_and(|slot| slot.get().is_some())
    }

    /// Gives `cpu` its value, if it has none.
    pub fn put(&self, cpu: u32, value: T, mode: mem::Mode) -> Result<(), NoMemory> {
        let place = self.0.get(cpu as usize).ok_or(NoMemory)?;
        let made = mem::boxed(base::Mutex::new(value), mode)?;
        drop(place.set(made));
        Ok(())
    }

    /// This CPU's value, or `None` if another thread has it.
    #[inline]
    pub fn enter(&self) -> Option<Owned<'_, T>> {
        let cpu = CPU.with(|c| c.get());
        let value = self.0.get(cpu as usize)?.get()?.try_lock().ok()?;
        let _held = Held::new(0, 1);
        Some(Owned { value, cpu, _held })
    }

    /// Runs `f` on every CPU's value in turn. May sleep.
    pub fn with_each(&self, mut f: impl FnMut(u32, &mut T)) {
        assert_may_sleep();
        for (cpu, slot) in self.0.iter().enumerate() {
            if let Some(slot) = slot.get() {
                f(cpu as u32, &mut slot.lock().unwrap());
            }
        }
    }
}

/// The CPU that this thread ran on a moment ago: a hint for choosing a shard or a counter.
pub fn cpu_hint() -> u32 {
    CPU.with(|c| c.get())
}

/// As the kernel's: nothing that anybody could tell.
#[inline(always)]
pub fn prefetch<T>(_: &T) {}
