// SPDX-License-Identifier: GPL-2.0

//! The host's slots, whose values may be taken away: see rust/sys/kernel/slot.rs. Here a reader has a lock, so that
//! whoever frees waits for it; and it must not sleep. Under loom nothing taken away is freed.

use super::{held, mem};
use crate::sys::{Mode, NoMemory};
#[cfg(loom)]
use loom::sync::atomic::{AtomicPtr, Ordering};
#[cfg(not(loom))]
use std::{
    cell::Cell,
    sync::{
        atomic::{AtomicPtr, Ordering},
        RwLock, RwLockReadGuard,
    },
};
use std::{marker::PhantomData, ptr};

#[cfg(not(loom))]
static READERS: RwLock<()> = RwLock::new(());

#[cfg(not(loom))]
std::thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// A stretch of code that looks at values without holding anything in them, and that does not sleep.
pub struct Reading {
    _held: held::Reader,
    /// The outermost one of a thread has it: others may be those of an interrupt.
    #[cfg(not(loom))]
    _lock: Option<RwLockReadGuard<'static, ()>>,
    _not_send: PhantomData<*mut ()>,
}

impl Reading {
    /// Begins here, and ends when it is dropped.
    pub fn begin() -> Self {
        #[cfg(not(loom))]
        let outermost = DEPTH.with(|depth| depth.replace(depth.get() + 1)) == 0;
        Self {
            #[cfg(not(loom))]
            _lock: outermost.then(|| READERS.read().unwrap_or_else(|e| e.into_inner())),
            _held: held::Reader::new(),
            _not_send: PhantomData,
        }
    }
}

#[cfg(not(loom))]
impl Drop for Reading {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

/// A heap value that readers find without a lock.
///
/// # Invariants
///
/// `ptr` is null, or that of a box. A pointer that it has had is freed by [`Limbo`], or by its drop.
pub struct Slot<T> {
    ptr: AtomicPtr<mem::Box<T>>,
    _owns: PhantomData<mem::Box<T>>,
}

impl<T> Slot<T> {
    /// Nothing set yet.
    pub fn new() -> Self {
        Self {
            ptr: AtomicPtr::new(ptr::null_mut()),
            _owns: PhantomData,
        }
    }

    /// Whether a value is set.
    pub fn is_set(&self) -> bool {
        !self.ptr.load(Ordering::Relaxed).is_null()
    }

    /// The value, if one is set.
    pub fn read<'a>(&'a self, _reading: &'a Reading) -> Option<&'a T> {
        self.get()
    }

    /// The value, for a caller that holds something in it; or that alone may take it away.
    pub fn get(&self) -> Option<&T> {
        // SAFETY: As in rust/sys/kernel/slot.rs.
        let value = unsafe { self.ptr.load(Ordering::Acquire).as_ref() };
        value.map(|value| &**value)
    }

    /// Sets the value, if none is set. Gives it back if another thread was faster.
    pub fn set(&self, value: mem::Box<T>) -> Result<(), mem::Box<T>> {
        let new = Box::into_raw(Box::new(value));
        match self
            .ptr
            .compare_exchange(ptr::null_mut(), new, Ordering::Release, Ordering::Relaxed)
        {
            Ok(_) => Ok(()),
            // SAFETY: `new` comes from `into_raw` above and was not published.
            Err(_) => Err(*unsafe { Box::from_raw(new) }),
        }
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        let ptr = self.ptr.swap(ptr::null_mut(), Ordering::Relaxed);
        if !ptr.is_null() {
            // SAFETY: By the invariant; `&mut self` says that nobody borrows the value any more.
            drop(unsafe { Box::from_raw(ptr) });
        }
    }
}

impl<T> Slot<T> {
    fn take(&self) -> *mut mem::Box<T> {
        self.ptr.swap(ptr::null_mut(), Ordering::AcqRel)
    }
}

/// A place where one thread leaves a value, and another one takes it: see rust/sys/kernel/slot.rs.
///
/// # Invariants
///
/// `ptr` is null, or that of a box which nobody else has.
pub struct Mailbox<T> {
    ptr: AtomicPtr<mem::Box<T>>,
    _owns: PhantomData<mem::Box<T>>,
}

impl<T> Mailbox<T> {
    /// With nothing in it.
    pub fn new() -> Self {
        Self {
            ptr: AtomicPtr::new(ptr::null_mut()),
            _owns: PhantomData,
        }
    }

    /// Leaves a value there. Gives it back if there is one already.
    pub fn put(&self, value: mem::Box<T>) -> Result<(), mem::Box<T>> {
        if !self.ptr.load(Ordering::Relaxed).is_null() {
            return Err(value);
        }
        let new = Box::into_raw(Box::new(value));
        match self
            .ptr
            .compare_exchange(ptr::null_mut(), new, Ordering::Release, Ordering::Relaxed)
        {
            Ok(_) => Ok(()),
            // SAFETY: `new` comes from `into_raw` above and was not published.
            Err(_) => Err(*unsafe { Box::from_raw(new) }),
        }
    }

    /// Takes the value, if there is one.
    pub fn take(&self) -> Option<mem::Box<T>> {
        if self.ptr.load(Ordering::Relaxed).is_null() {
            return None;
        }
        let ptr = self.ptr.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: By the invariant; nobody else has taken it.
        (!ptr.is_null()).then(|| *unsafe { Box::from_raw(ptr) })
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// The value that a reader has found, once the reader holds something in it.
pub fn keep<'a, T, O: ?Sized>(value: &T, _owner: &'a O) -> &'a T {
    // SAFETY: As in rust/sys/kernel/slot.rs.
    unsafe { &*ptr::from_ref(value) }
}

/// Values that were taken out of their slots, until no reader has one of them any more.
pub struct Limbo<T> {
    values: Vec<*mut mem::Box<T>>,
    most: usize,
}

// SAFETY: It owns the values as boxes would.
unsafe impl<T: Send + Sync> Send for Limbo<T> {}

impl<T> Limbo<T> {
    /// Room for `most` values.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(most: usize, mode: Mode) -> Result<Self, NoMemory> {
        mem::charge(mode)?;
        let values = Vec::with_capacity(most);
        Ok(Self { values, most })
    }

    /// Values that still find room.
    pub fn room(&self) -> usize {
        self.most - self.values.len()
    }

    /// Whether it has no value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Takes the value out of `slot`: later readers do not find it. False if there is none, or no room.
    pub fn take(&mut self, slot: &Slot<T>) -> bool {
        if self.room() == 0 || !slot.is_set() {
            return false;
        }
        let old = slot.take();
        if !old.is_null() {
            self.values.push(old);
        }
        !old.is_null()
    }

    fn free(&mut self) {
        for old in self.values.drain(..) {
            // Loom's readers have no lock that could be waited for.
            if !cfg!(loom) {
                // SAFETY: The pointer of a box that was in a slot; readers have ended, as the caller says.
                drop(unsafe { Box::from_raw(old) });
            }
        }
    }
}

impl<T> Drop for Limbo<T> {
    fn drop(&mut self) {
        if !self.is_empty() {
            wait_for_readers();
            self.free();
        }
    }
}

fn wait_for_readers() {
    held::assert_may_sleep();
    #[cfg(not(loom))]
    drop(READERS.write().unwrap_or_else(|e| e.into_inner()));
}

/// Waits until no reader has a value of `a` or `b`, and frees them. Sleeps, for long.
#[track_caller]
pub fn free_unread<A, B>(a: &mut Limbo<A>, b: &mut Limbo<B>) {
    held::assert_may_sleep();
    if a.is_empty() && b.is_empty() {
        return;
    }
    wait_for_readers();
    a.free();
    b.free();
}
