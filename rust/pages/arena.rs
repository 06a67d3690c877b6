// SPDX-License-Identifier: GPL-2.0

//! The arena: one contiguous part of the vmalloc range, reserved at load, returned at unload.
//!
//! The layers above this file name a page of the arena by its position ([`Page`]), the layers below by its
//! address.

use crate::{bindings, sys::Page};
use core::{ops::Deref, ptr::NonNull};
use kernel::{page::PAGE_SHIFT, prelude::*};

/// Pages per MiB.
const PAGES_PER_MIB: u64 = 1 << (20 - PAGE_SHIFT);

/// Where the arena is: only numbers, which reserve nothing.
///
/// # Invariants
///
/// They belong to an [`Arena`].
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    base: usize,
    pages: u32,
}

/// The reserved range.
///
/// # Invariants
///
/// `area` came from `vc_arena_reserve`, has not been released, and covers the pages of `bounds`,
/// whose base is aligned to their number rounded up to a power of two.
pub(crate) struct Arena {
    area: NonNull<bindings::vm_struct>,
    bounds: Bounds,
}

// SAFETY: The reservation belongs to no thread; only the release uses `area` again.
unsafe impl Send for Arena {}
// SAFETY: Shared access reads plain numbers.
unsafe impl Sync for Arena {}

impl Arena {
    /// Reserves `mib` MiB, or the machine's default if that is 0. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a size out of range, `ENOMEM` if there is no room; the kernel log says which.
    pub(crate) fn reserve(mib: u64) -> Result<Self> {
        // SAFETY: No precondition.
        let (default, max) = unsafe {
            (
                bindings::vc_arena_default_mb() as u64,
                bindings::vc_arena_max_mb() as u64,
            )
        };
        let mib = if mib == 0 { default } else { mib };
        if mib > max {
            pr_err!("arena_mb={mib} is out of range: 1 to {max}, or 0 for {default}\n");
            return Err(EINVAL);
        }
        // At most 1 TiB: fits both types.
        let pages = u32::try_from(mib * PAGES_PER_MIB).map_err(|_| EINVAL)?;
        let bytes = (pages as usize) << PAGE_SHIFT;

        let mut base = 0;
        // SAFETY: The load begins with resolving symbols; `base` is a local variable.
        let area = unsafe { bindings::vc_arena_reserve(bytes, &mut base) };
        let Some(area) = NonNull::new(area) else {
            pr_err!("no room for an arena of {mib} MiB in the vmalloc range (see arena_mb)\n");
            return Err(ENOMEM);
        };
        // INVARIANT: as `vc_arena_reserve` promises.
        Ok(Self {
            area,
            bounds: Bounds { base, pages },
        })
    }

    /// Size in MiB.
    pub(crate) fn mib(&self) -> u64 {
        u64::from(self.pages()) / PAGES_PER_MIB
    }
}

impl Deref for Arena {
    type Target = Bounds;
    #[inline(always)]
    fn deref(&self) -> &Bounds {
        &self.bounds
    }
}

impl Bounds {
    /// Size in pages.
    pub(crate) fn pages(&self) -> u32 {
        self.pages
    }

    /// The page that contains `addr`, if that is in the arena.
    #[inline]
    pub(crate) fn page_of(&self, addr: usize) -> Option<Page> {
        let page = addr.checked_sub(self.base)? >> PAGE_SHIFT;
        (page < self.pages as usize).then_some(Page::new(page as u32))
    }

    /// As [`Self::page_of`], if `addr` is the first byte of that page.
    #[inline(always)]
    pub(crate) fn whole_page_of(&self, addr: usize) -> Option<Page> {
        // The rotation moves the offset inside the page to the highest bits. Unless it is 0, the number lies
        // far behind the last page.
        let page = addr.wrapping_sub(self.base).rotate_right(PAGE_SHIFT as u32);
        (page < self.pages as usize).then_some(Page::new(page as u32))
    }

    /// The address of `page`, which may be the end of the arena.
    ///
    /// For a page behind the end it is the end, so that no caller leaves the arena.
    #[inline]
    pub(crate) fn address(&self, page: Page) -> usize {
        // Cannot overflow, by the invariant: the range exists.
        self.base
            .wrapping_add((page.get().min(self.pages) as usize) << PAGE_SHIFT)
    }

    /// As [`Self::address`], of the first page of an area: that is in the arena.
    #[inline(always)]
    pub(crate) fn address_of_area(&self, page: Page) -> usize {
        self.base.wrapping_add((page.get() as usize) << PAGE_SHIFT)
    }

    /// Flushes pages `start..end` from the TLBs of all CPUs. Interrupts are on.
    pub(crate) fn flush(&self, start: Page, end: Page) {
        let (start, end) = (self.address(start), self.address(end));
        if start < end {
            // SAFETY: Any kernel address may be flushed. Symbols are resolved before any arena
            // exists.
            unsafe { bindings::vc_flush(start, (end - start) >> PAGE_SHIFT) };
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: By the invariant it is ours and has not been released. Code that maps pages holds
        // a reference to the arena, and has unmapped and flushed them.
        unsafe { bindings::vc_arena_release(self.area.as_ptr()) };
    }
}
