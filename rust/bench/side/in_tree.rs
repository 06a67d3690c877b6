// SPDX-License-Identifier: GPL-2.0

//! The in-tree allocator, mm/vmalloc.c.

use super::{Ask, Held, Pages, Side};
use crate::bindings;
use kernel::prelude::*;

pub(in crate::bench) struct InTree;

// In all of this: the C functions take any size and alignment and fail on what cannot be had;
// an area that comes back is given to the freeing function once, by the trait's contract.
impl Side for InTree {
    #[inline]
    fn va_alloc(&self, pages: u32, align: u32) -> Option<Held> {
        let mut addr = 0;
        // SAFETY: `addr` may be written.
        let area =
            unsafe { bindings::vc_bench_va_alloc(pages as usize, align as usize, &mut addr) };
        let token = area as usize;
        (token != 0).then_some(Held { addr, pages, token })
    }

    #[inline]
    fn va_free(&self, area: Held) {
        // SAFETY: The token is the area that `va_alloc` got, not freed before.
        unsafe { bindings::vc_bench_va_free(area.token as *mut _) }
    }

    #[inline]
    fn vmap(&self, pages: &Pages) -> Option<Held> {
        // SAFETY: An array of so many pages, which outlives the mapping.
        let addr =
            unsafe { bindings::vc_bench_vmap(pages.as_ptr().cast(), pages.count() as usize) };
        Held::at(addr, pages.count())
    }

    #[inline]
    fn vunmap(&self, area: Held) {
        // SAFETY: Mapped by `vmap`, not unmapped before.
        unsafe { bindings::vc_bench_vunmap(area.addr) }
    }

    #[inline]
    fn map_ram(&self, pages: &Pages) -> Option<Held> {
        // SAFETY: As in `vmap`.
        let addr =
            unsafe { bindings::vc_bench_map_ram(pages.as_ptr().cast(), pages.count() as usize) };
        Held::at(addr, pages.count())
    }

    #[inline]
    fn unmap_ram(&self, area: Held) {
        // SAFETY: Mapped by `map_ram` with as many pages, not unmapped before.
        unsafe { bindings::vc_bench_unmap_ram(area.addr, area.pages as usize) }
    }

    #[inline]
    fn vmalloc(&self, ask: Ask) -> Option<Held> {
        // SAFETY: Task context; the flags may forbid to sleep, never demand atomic context.
        let addr = unsafe { bindings::vc_bench_vmalloc(ask.pages as usize, ask.align, ask.gfp) };
        Held::at(addr, ask.pages)
    }

    #[inline]
    fn vrealloc(&self, area: Held, bytes: usize) -> Option<Held> {
        // SAFETY: Allocated by `vmalloc`, not freed before, and from now on what this returns.
        let addr = unsafe { bindings::vc_bench_vrealloc(area.addr, bytes) };
        Held::at(addr, area.pages)
    }

    fn purge(&self) {
        // SAFETY: May sleep here.
        unsafe { bindings::vc_bench_purge() }
    }

    #[inline]
    fn vfree(&self, area: Held) {
        // SAFETY: Allocated by `vmalloc`, not freed before.
        unsafe { bindings::vc_bench_vfree(area.addr) }
    }

    #[inline]
    fn find(&self, addr: usize) -> bool {
        // SAFETY: Any address may be asked for.
        unsafe { bindings::vc_bench_find(addr) }
    }

    fn list_path(&self) -> Option<&'static CStr> {
        Some(c"/proc/vmallocinfo")
    }
}
