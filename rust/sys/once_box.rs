// SPDX-License-Identifier: GPL-2.0

//! A heap value that is set at most once and then stays until its owner goes.
//!
//! `kernel::sync::SetOnce` does the same for a value in place. Each read of it is a function call, and
//! a lookup reads up to three such values (window, chunk of descriptors). Here a read is one load.

use core::{
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};
use kernel::prelude::*;

/// # Invariants
///
/// `ptr` is null, or came from `KBox::into_raw` and is never changed again before drop.
pub struct OnceBox<T> {
    ptr: AtomicPtr<T>,
    _owns: core::marker::PhantomData<KBox<T>>,
}

impl<T> OnceBox<T> {
    /// Nothing set yet.
    pub const fn new() -> Self {
        // INVARIANT: null.
        Self {
            ptr: AtomicPtr::new(ptr::null_mut()),
            _owns: core::marker::PhantomData,
        }
    }

    /// The value, once it is set. Any context.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: By the invariant the pointer is null or that of a live `KBox<T>`, which `self`
        // owns until drop; the acquire load pairs with the release in `set`, so that the value is
        // seen whole. Only shared references are handed out while `self` is borrowed.
        unsafe { self.ptr.load(Ordering::Acquire).as_ref() }
    }

    /// Sets the value. Gives it back if another task was faster. Any context.
    pub fn set(&self, value: KBox<T>) -> Result<(), KBox<T>> {
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

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        let ptr = *self.ptr.get_mut();
        if !ptr.is_null() {
            // SAFETY: By the invariant it comes from `into_raw`; `&mut self` says that nobody
            // borrows the value any more.
            drop(unsafe { KBox::from_raw(ptr) });
        }
    }
}
