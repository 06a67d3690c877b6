// SPDX-License-Identifier: GPL-2.0

//! Guards: in-tree functions that meet an address of the arena do what they say.
//!
//! C side: [`rust/face/guards.c`](guards.c), which has the functions and says how they are reached.
//! A guard calls [`Allocator`] by the same functions as the exports.

use crate::{bindings, face::allocator::Allocator, sys::Page};
use kernel::{error::to_result, page::PAGE_SHIFT, prelude::*, sync::Arc};

/// The guards of the published allocator. Dropping them reclaims what consumers leaked, and takes the
/// guards off.
pub(crate) struct Guards(Arc<Allocator>);

impl Guards {
    /// Puts the guards on, as far as the parameter `guards` and the kernel allow. May sleep. The allocator
    /// is published.
    ///
    /// # Errors
    ///
    /// With `guards=require` if one cannot be put on, after a line that names it.
    pub(crate) fn put_on(allocator: Arc<Allocator>) -> Result<Self> {
        let arena = allocator.arena();
        let (start, pages) = (arena.address(Page::new(0)), arena.pages());
        // SAFETY: A module is loaded in task context, and its exports and the guards find the published
        // allocator.
        to_result(unsafe { bindings::vc_guards_start(start, (pages as usize) << PAGE_SHIFT) })?;
        Ok(Self(allocator))
    }
}

impl Drop for Guards {
    fn drop(&mut self) {
        // The consumers are gone, but RCU may still have areas of theirs to free.
        if self.0.manager().stats().areas != 0 {
            // SAFETY: No precondition but task context.
            unsafe { bindings::vc_guards_settle() };
        }
        self.0.reclaim_leaks();
        // SAFETY: No area is left, and no consumer that could make one.
        unsafe { bindings::vc_guards_stop() };
    }
}

/// A function that has a guard, or should have one.
pub(crate) struct Guard {
    /// Its name.
    pub(crate) name: &'static CStr,
    /// "on", or why not.
    pub(crate) state: &'static CStr,
}

impl Guard {
    /// Whether the guard serves addresses of the arena.
    pub(crate) fn is_on(&self) -> bool {
        self.state == c"on"
    }
}

/// All guards.
pub(crate) fn all() -> impl Iterator<Item = Guard> {
    (0..).map_while(|index| {
        let mut state = c"".as_char_ptr();
        // SAFETY: `vc_guard` takes any index, and sets `state` to a static string where it returns one.
        unsafe {
            let name = bindings::vc_guard(index, &mut state);
            (!name.is_null()).then(|| Guard {
                name: CStr::from_char_ptr(name),
                state: CStr::from_char_ptr(state),
            })
        }
    })
}
