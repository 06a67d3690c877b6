// SPDX-License-Identifier: GPL-2.0

//! A heap value that readers find without a lock, and that may be taken away again.
//!
//! Readers pay nothing for that: no counter, no barrier, no flag. A reader is a stretch of code that does not
//! sleep ([`Reading`]), in a task that may be preempted, or in an interrupt. The task that frees a value waits
//! until each task has slept of its own accord or was in user space (`synchronize_rcu_tasks`), and until all
//! interrupts and regions without preemption have ended (`synchronize_rcu`). By then no reader has the value.
//! Such a wait takes a tenth of a second and more, but the value is out of use before it begins.
//!
//! The holder of something in the value needs no [`Reading`]: nobody takes the value away meanwhile. That is
//! the law of whoever calls [`Limbo::take`].

use super::mem::{Box, Mode, NoMemory};
use crate::bindings;
use core::{
    marker::PhantomData,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};
use kernel::{alloc::KVVec, prelude::*};

/// A stretch of code that looks at values without holding anything in them, and that does not sleep. A task cannot
/// hand it to another.
pub struct Reading(PhantomData<*mut ()>);

impl Reading {
    /// Begins here, and ends when it is dropped.
    #[inline(always)]
    pub fn begin() -> Self {
        Self(PhantomData)
    }
}

/// # Invariants
///
/// `ptr` is null, or came from `KBox::into_raw`. A pointer that it has had is freed by [`Limbo`], or by its drop.
pub struct Slot<T> {
    ptr: AtomicPtr<T>,
    _owns: PhantomData<Box<T>>,
}

impl<T> Slot<T> {
    /// Nothing set yet.
    pub const fn new() -> Self {
        // INVARIANT: null.
        Self {
            ptr: AtomicPtr::new(ptr::null_mut()),
            _owns: PhantomData,
        }
    }

    /// Whether a value is set. Any context.
    #[inline(always)]
    pub fn is_set(&self) -> bool {
        !self.ptr.load(Ordering::Relaxed).is_null()
    }

    /// The value, if one is set. Any context.
    #[inline(always)]
    pub fn read<'a>(&'a self, _reading: &'a Reading) -> Option<&'a T> {
        self.get()
    }

    /// The value, for a caller that holds something in it; or that alone may take it away. Any context.
    #[inline(always)]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: By the invariant the pointer is null or that of a `KBox<T>`. The acquire load pairs with the
        // release in `set`, so that the value is seen whole. `Limbo` frees it only after all code that had it in a
        // `Reading` has ended; and nobody takes it away from a caller that holds something in it.
        unsafe { self.ptr.load(Ordering::Acquire).as_ref() }
    }

    /// Sets the value, if none is set. Gives it back if another task was faster. Any context.
    pub fn set(&self, value: Box<T>) -> Result<(), Box<T>> {
        let new = KBox::into_raw(value);
        // INVARIANT: the pointer comes from `into_raw`, and replaces null only.
        match self
            .ptr
            .compare_exchange(ptr::null_mut(), new, Ordering::Release, Ordering::Relaxed)
        {
            Ok(_) => Ok(()),
            // SAFETY: `new` comes from `into_raw` above and was not published.
            Err(_) => Err(unsafe { KBox::from_raw(new) }),
        }
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        let ptr = *self.ptr.get_mut();
        if !ptr.is_null() {
            // SAFETY: By the invariant it comes from `into_raw`; `&mut self` says that nobody
            // borrows the value any more.
            drop(unsafe { KBox::from_raw(ptr) });
        }
    }
}

/// A place where one task leaves a value, and another one takes it. Nobody looks at it there, so it needs no
/// [`Reading`].
///
/// # Invariants
///
/// `ptr` is null, or came from `KBox::into_raw`, and then nobody else has it.
pub struct Mailbox<T> {
    ptr: AtomicPtr<T>,
    _owns: PhantomData<Box<T>>,
}

impl<T> Mailbox<T> {
    /// With nothing in it.
    pub const fn new() -> Self {
        // INVARIANT: null.
        Self {
            ptr: AtomicPtr::new(ptr::null_mut()),
            _owns: PhantomData,
        }
    }

    /// Leaves a value there. Any context.
    ///
    /// # Errors
    ///
    /// The value, if there is one already.
    pub fn put(&self, value: Box<T>) -> Result<(), Box<T>> {
        // It saves the pointer's way there and back.
        if !self.ptr.load(Ordering::Relaxed).is_null() {
            return Err(value);
        }
        let new = KBox::into_raw(value);
        // INVARIANT: the pointer comes from `into_raw`, and replaces null only.
        match self
            .ptr
            .compare_exchange(ptr::null_mut(), new, Ordering::Release, Ordering::Relaxed)
        {
            Ok(_) => Ok(()),
            // SAFETY: `new` comes from `into_raw` above and was not published.
            Err(_) => Err(unsafe { KBox::from_raw(new) }),
        }
    }

    /// Takes the value, if there is one. Any context.
    pub fn take(&self) -> Option<Box<T>> {
        if self.ptr.load(Ordering::Relaxed).is_null() {
            return None;
        }
        // Pairs with the release in `put`, so that the value is seen whole.
        let ptr = self.ptr.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: By the invariant it comes from `into_raw`, and it is not in the mailbox any more: so this is the
        // only one who has it.
        (!ptr.is_null()).then(|| unsafe { KBox::from_raw(ptr) })
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// The value that a reader has found, once the reader holds something in it: it may keep that for as long as it
/// borrows the `owner` of the slot. Costs nothing.
#[inline(always)]
pub fn keep<'a, T, O: ?Sized>(value: &T, _owner: &'a O) -> &'a T {
    // SAFETY: The value is in a slot of `owner`, and stays there while the caller holds something in it.
    unsafe { &*ptr::from_ref(value) }
}

/// Values that were taken out of their slots, until no reader has one of them any more. Its room is made
/// beforehand, since it is filled when memory is short.
///
/// # Invariants
///
/// Each pointer comes from `KBox::into_raw`, and was in a slot before. Nobody else frees it.
pub struct Limbo<T>(KVVec<*mut T>);

// SAFETY: It owns the values as boxes would.
unsafe impl<T: Send + Sync> Send for Limbo<T> {}

impl<T> Limbo<T> {
    /// Room for `most` values. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(most: usize, mode: Mode) -> Result<Self, NoMemory> {
        KVVec::with_capacity(most, super::mem::flags(mode))
            .map(Self)
            .map_err(|_| NoMemory)
    }

    /// Values that still find room.
    pub fn room(&self) -> usize {
        self.0.capacity().saturating_sub(self.0.len())
    }

    /// Whether it has no value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the value out of `slot`: later readers do not find it. False if there is none, or no room. The caller
    /// knows that nobody holds anything in it, or will before the next value is set. Any context.
    pub fn take(&mut self, slot: &Slot<T>) -> bool {
        if self.room() == 0 || !slot.is_set() {
            return false;
        }
        let old = slot.ptr.swap(ptr::null_mut(), Ordering::AcqRel);
        // INVARIANT: by that of `Slot`; and it is there no more.
        !old.is_null() && self.0.push_within_capacity(old).is_ok()
    }

    /// Frees the values. Nobody reads them any more.
    fn free(&mut self) {
        while let Some(old) = self.0.pop() {
            // SAFETY: By the invariant it comes from `into_raw`. Readers have ended, as the caller says.
            drop(unsafe { KBox::from_raw(old) });
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
    // SAFETY: Callers may sleep.
    unsafe { bindings::vc_wait_for_readers() };
}

/// Waits until no reader has a value of `a` or `b`, and frees them. Sleeps, for long.
pub fn free_unread<A, B>(a: &mut Limbo<A>, b: &mut Limbo<B>) {
    if a.is_empty() && b.is_empty() {
        return;
    }
    wait_for_readers();
    a.free();
    b.free();
}
