// SPDX-License-Identifier: GPL-2.0

//! The one allocator that C finds, for exports and for the kernel's calls.

use crate::face::allocator::Allocator;
use core::sync::atomic::{
    AtomicPtr,
    Ordering::{Acquire, Release},
};
use kernel::sync::Arc;

static INSTANCE: AtomicPtr<Allocator> = AtomicPtr::new(core::ptr::null_mut());

/// While this lives, C finds its allocator.
pub(crate) struct Published(Arc<Allocator>);

impl Published {
    /// Publishes `allocator`. Only one at a time.
    pub(crate) fn new(allocator: Arc<Allocator>) -> Self {
        INSTANCE.store(core::ptr::from_ref(&*allocator).cast_mut(), Release);
        Self(allocator)
    }

    /// The published allocator.
    pub(crate) fn allocator(&self) -> &Arc<Allocator> {
        &self.0
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        INSTANCE.store(core::ptr::null_mut(), Release);
    }
}

/// Runs `f` on the published allocator. Returns `R::default()` if there is none.
#[inline(always)]
pub(crate) fn with<R: Default>(f: impl FnOnce(&Allocator) -> R) -> R {
    with_or_else(f, R::default)
}

/// Runs `f` on the published allocator, or `none` if there is none.
#[inline(always)]
pub(crate) fn with_or_else<R>(f: impl FnOnce(&Allocator) -> R, none: impl FnOnce() -> R) -> R {
    // SAFETY: The pointer is null or from `Published`, which keeps the allocator alive. It is used
    // by exported functions, whose callers hold the module, and by events, which are stopped, and
    // waited for, before `Published` is dropped.
    match unsafe { INSTANCE.load(Acquire).as_ref() } {
        Some(allocator) => f(allocator),
        None => none(),
    }
}
