// SPDX-License-Identifier: GPL-2.0

//! vmapcache itself: addresses straight from the area manager, memory by the exported calls.

use super::{Ask, Counters, Held, Pages, Side};
use crate::{
    bench::{line::Switches, report::Inside},
    bindings,
    face::allocator::Allocator,
    sys::Mode,
    va::{area::Kind, Freed, Purge, Request, Switch},
};
use kernel::{prelude::*, sync::Arc};

pub(in crate::bench) struct Vmapcache {
    allocator: Arc<Allocator>,
    /// Who asks: shown as the caller of areas without pages.
    caller: usize,
}

impl Vmapcache {
    pub(in crate::bench) fn new(allocator: Arc<Allocator>) -> Self {
        Vmapcache {
            allocator,
            caller: Self::new as usize,
        }
    }

    fn switch(&self, switch: Switch, to: Option<bool>) -> Option<bool> {
        let to = to?;
        let manager = self.allocator.manager();
        let before = manager.switch(switch);
        manager.set_switch(switch, to);
        Some(before)
    }
}

// In all of this: the C functions take any size and alignment and fail on what cannot be had;
// an area that comes back is given to the freeing function once, by the trait's contract.
impl Side for Vmapcache {
    #[inline(always)]
    fn va_alloc(&self, pages: u32, align: u32) -> Option<Held> {
        let request = Request {
            pages,
            align,
            mode: Mode::Sleep,
            caller: self.caller,
        };
        let area = self.allocator.manager().alloc(request).ok()?;
        let start = area.start();
        let addr = self.allocator.arena().address(start);
        self.allocator.manager().publish(area, 0, Kind::VaOnly);
        Some(Held {
            addr,
            pages,
            token: start as usize,
        })
    }

    #[inline(always)]
    fn va_free(&self, area: Held) {
        // A caller who has the address, as all have who free an area.
        let Some(page) = self.allocator.arena().page_of(area.addr) else {
            return;
        };
        // No pins, no PTEs: what is left of freeing is the manager's part.
        if let Ok(Freed::Now(dying)) = self.allocator.manager().begin_free(page) {
            self.allocator.manager().finish_free(dying);
        }
    }

    #[inline]
    fn vmap(&self, pages: &Pages) -> Option<Held> {
        let (array, count) = (pages.as_ptr().cast(), pages.count());
        // SAFETY: An array of so many pages, which outlives the mapping.
        let addr = unsafe { bindings::vc_bench_own_vmap(array, count as usize) };
        Held::at(addr, count)
    }

    #[inline]
    fn vunmap(&self, area: Held) {
        // SAFETY: Mapped by `vmap`, not unmapped before.
        unsafe { bindings::vc_bench_own_vunmap(area.addr) }
    }

    #[inline]
    fn map_ram(&self, pages: &Pages) -> Option<Held> {
        let (array, count) = (pages.as_ptr().cast(), pages.count());
        // SAFETY: As in `vmap`.
        let addr = unsafe { bindings::vc_bench_own_map_ram(array, count as usize) };
        Held::at(addr, count)
    }

    #[inline]
    fn unmap_ram(&self, area: Held) {
        // SAFETY: Mapped by `map_ram` with as many pages, not unmapped before.
        unsafe { bindings::vc_bench_own_unmap_ram(area.addr, area.pages as usize) }
    }

    #[inline]
    fn vmalloc(&self, ask: Ask) -> Option<Held> {
        let (pages, align) = (ask.pages as usize, ask.align);
        // SAFETY: Task context; the flags may forbid to sleep, never demand atomic context.
        let addr = unsafe { bindings::vc_bench_own_vmalloc(pages, align, ask.gfp) };
        Held::at(addr, ask.pages)
    }

    #[inline]
    fn vrealloc(&self, area: Held, bytes: usize) -> Option<Held> {
        // SAFETY: Allocated by `vmalloc`, not freed before, and from now on what this returns.
        let addr = unsafe { bindings::vc_bench_own_vrealloc(area.addr, bytes) };
        Held::at(addr, area.pages)
    }

    fn purge(&self) {
        self.allocator.manager().purge(Purge::Full);
    }

    fn fresh(&self) {
        self.allocator.manager().purge(Purge::Drain);
    }

    #[inline]
    fn vfree(&self, area: Held) {
        // SAFETY: Allocated by `vmalloc`, not freed before.
        unsafe { bindings::vc_bench_own_vfree(area.addr) }
    }

    #[inline]
    fn find(&self, addr: usize) -> bool {
        let page = self.allocator.arena().page_of(addr);
        page.is_some_and(|page| self.allocator.manager().lookup(page).is_some())
    }

    fn list_path(&self) -> Option<&'static CStr> {
        Some(c"/proc/vmapcacheinfo")
    }

    fn counters(&self) -> Counters {
        let stats = self.allocator.manager().stats();
        Counters {
            flushes: Some(stats.flushes),
            inside: Inside {
                shared_locks: stats.shared_locks,
                searches: stats.extent_searches,
                visited: stats.extents_visited,
            },
        }
    }

    fn set_switches(&self, to: &Switches) -> Option<Switches> {
        let manager = self.allocator.manager();
        let lazy_max_pages = to.lazy_max_pages.map(|pages| {
            let before = manager.lazy_max();
            manager.set_lazy_max(pages);
            before
        });
        Some(Switches {
            free_area_cache: self.switch(Switch::FreeAreaCache, to.free_area_cache),
            magazines: self.switch(Switch::Magazines, to.magazines),
            lookup_cache: self.switch(Switch::LookupCache, to.lookup_cache),
            info_cache: self.switch(Switch::InfoCache, to.info_cache),
            lazy_max_pages,
        })
    }
}
