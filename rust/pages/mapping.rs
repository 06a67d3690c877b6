// SPDX-License-Identifier: GPL-2.0

//! Pages and page tables of the arena: what the area manager needs done below addresses.
//!
//! That an area's range is the caller's alone is what [`Area`] and [`Dying`] stand for: only the
//! manager makes them, never two for one range (design invariant 2).
//!
//! C side: [`rust/pages/mapping.c`](mapping.c).

use crate::{
    bindings,
    pages::arena::Arena,
    va::{
        area::{Kind, Snapshot},
        Area, Dying, Env,
    },
};
use kernel::{
    error::{code::EAGAIN, to_result},
    prelude::*,
};

/// A `struct page *`.
pub(crate) type PagePtr = *mut bindings::page;

/// The page tables of the arena.
pub(crate) struct Mapping {
    arena: Arena,
}

impl Mapping {
    /// Nothing is mapped in `arena`.
    pub(crate) fn new(arena: Arena) -> Self {
        Self { arena }
    }

    /// The arena.
    #[inline(always)]
    pub(crate) fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Gives an area pages of its own. Returns its payload for [`Self::clear`]. Sleeps if `gfp`
    /// allows it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; then no PTE of the area is set.
    #[inline]
    pub(crate) fn populate(&self, area: &Area<'_>, gfp: u32, node: i32) -> Result<usize> {
        let mut payload = 0;
        // SAFETY: The range lies in the arena and is the caller's alone; symbols are resolved;
        // `payload` is ours to write.
        to_result(unsafe {
            bindings::vc_populate(
                self.arena.address(area.start()),
                area.pages() as usize,
                gfp,
                node,
                &mut payload,
            )
        })
        .map_err(|e| if e == EAGAIN { ENOMEM } else { e })?;
        Ok(payload)
    }

    /// Maps pages of the caller into an area. Sleeps.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; then no PTE of the area is set.
    ///
    /// # Safety
    ///
    /// `pages` is valid for reads of `area.pages()` page pointers.
    #[inline]
    pub(crate) unsafe fn map(&self, area: &Area<'_>, pages: *mut PagePtr, prot: usize) -> Result {
        let addr = self.arena.address(area.start());
        let nr = area.pages() as usize;
        // SAFETY: As in `populate`; and the caller vouches for `pages`.
        let result = to_result(unsafe { bindings::vc_map(addr, nr, pages, prot) });
        if result.is_err() {
            // SAFETY: As above.
            unsafe { bindings::vc_unmap(addr, nr) };
        }
        result
    }

    /// Clears the PTEs of a dying area, without a flush, and frees its pages. Sleeps.
    #[inline]
    pub(crate) fn clear(&self, dying: &Dying<'_>) {
        // SAFETY: The area is dying, and whoever holds `dying` is the one to clear it. The payload
        // is as it was published, which `populate` or `Allocator::map` did with this kind.
        unsafe { self.clear_range(dying.start(), dying.pages(), dying.kind(), dying.payload()) };
    }

    /// As [`Self::clear`], for an area that somebody still has pinned and nobody will unpin.
    ///
    /// # Safety
    ///
    /// The manager is about to go: nobody uses the area, and nobody else clears it.
    pub(crate) unsafe fn clear_leaked(&self, area: &Snapshot) {
        // SAFETY: As the caller says.
        unsafe { self.clear_range(area.start, area.pages, area.kind, area.payload) };
    }

    /// # Safety
    ///
    /// The range is that of an area which only the caller uses, for the last time, and `payload` and
    /// `kind` are what it was published with.
    #[inline(always)]
    unsafe fn clear_range(&self, start: u32, pages: u32, kind: Kind, payload: usize) {
        let addr = self.arena.address(start);
        let nr = pages as usize;
        match kind {
            // SAFETY: The payload is what `vc_populate` set.
            Kind::Vmalloc => unsafe { bindings::vc_depopulate(addr, nr, payload) },
            Kind::Vmap | Kind::VmMapRam => {
                // SAFETY: The range is the caller's.
                unsafe { bindings::vc_unmap(addr, nr) };
                if payload != 0 {
                    // SAFETY: A payload other than 0 is an array of `nr` pages that was given up to
                    // the area.
                    unsafe { bindings::vc_put_pages(nr, payload as *mut PagePtr) };
                }
            }
            Kind::VaOnly => {}
        }
    }
}

impl Env for Mapping {
    fn flush(&self, start: u32, end: u32) {
        #[cfg(faults)]
        if crate::va::faults::Fault::NoFlush.on() {
            return;
        }
        let (start, end) = (self.arena.address(start), self.arena.address(end));
        if start < end {
            // SAFETY: The range lies in the arena, and symbols are resolved.
            unsafe { bindings::vc_flush(start, (end - start) >> kernel::page::PAGE_SHIFT) };
        }
    }

    fn kick_purge(&self) {
        // SAFETY: Events are started before the first area is made, and stopped after the last one
        // is gone.
        unsafe { bindings::vc_kick_purge() };
    }

    fn kick_deferred(&self) {
        // SAFETY: As above.
        unsafe { bindings::vc_kick_deferred() };
    }

    fn resched(&self) {
        // SAFETY: The core calls this where sleeping is allowed.
        unsafe { bindings::vc_resched() };
    }

    fn may_sleep(&self) -> bool {
        // SAFETY: No precondition.
        unsafe { bindings::vc_may_sleep() }
    }

    fn now(&self) -> u64 {
        // SAFETY: No precondition.
        unsafe { bindings::vc_now() }
    }
}
