// SPDX-License-Identifier: GPL-2.0

//! Counts the spinlocks and per-CPU values that a thread holds. If it holds any, it must not sleep, allocate,
//! or free memory.

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

#[cfg(loom)]
loom::thread_local! {
    static READERS: std::cell::Cell<u32> = std::cell::Cell::new(0);
}
#[cfg(not(loom))]
std::thread_local! {
    static READERS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Counts a stretch of code that must not sleep, until dropped. It may hold anything, and anybody may interrupt it.
pub(super) struct Reader(());

impl Reader {
    pub(super) fn new() -> Self {
        READERS.with(|readers| readers.set(readers.get() + 1));
        Self(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        READERS.with(|readers| readers.set(readers.get() - 1));
    }
}

/// Panics where the kernel could not sleep. This and the functions below check invariants 4 and 6 of
/// Documentation/design.rst.
#[track_caller]
pub fn assert_may_sleep() {
    assert_eq!(held(), (0, 0), "sleeps with a spinlock or a CPU held");
    let readers = READERS.with(|readers| readers.get());
    assert_eq!(readers, 0, "sleeps while it reads what may be taken away");
}

/// Panics where nobody may ask the kernel for memory.
#[track_caller]
pub fn assert_may_allocate() {
    assert_eq!(held(), (0, 0), "allocates with a spinlock or a CPU held");
}

#[cfg(loom)]
loom::thread_local! {
    static RECLAIMS: std::cell::Cell<bool> = std::cell::Cell::new(true);
}
#[cfg(not(loom))]
std::thread_local! {
    static RECLAIMS: std::cell::Cell<bool> = const { std::cell::Cell::new(true) };
}

/// Runs `f`, in which nobody may wait for memory: the kernel might reclaim it from somebody who waits for
/// the caller.
pub fn without_reclaim<R>(f: impl FnOnce() -> R) -> R {
    let before = RECLAIMS.with(|reclaims| reclaims.replace(false));
    let result = f();
    RECLAIMS.with(|reclaims| reclaims.set(before));
    result
}

/// Panics in [`without_reclaim`].
#[track_caller]
pub fn assert_may_reclaim() {
    assert!(
        RECLAIMS.with(|reclaims| reclaims.get()),
        "waits for memory where it must not"
    );
}

/// Panics where nobody may give memory back to the kernel.
#[track_caller]
pub fn assert_may_free() {
    if !std::thread::panicking() {
        assert_eq!(held(), (0, 0), "frees memory with a spinlock or a CPU held");
    }
}

/// Counts one spinlock or one per-CPU value until dropped.
pub(super) struct Held(u32, u32);

impl Held {
    #[track_caller]
    pub(super) fn new(locks: u32, cpus: u32) -> Self {
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
