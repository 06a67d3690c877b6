// SPDX-License-Identifier: GPL-2.0

//! The two allocators, by the calls that a driver makes.
//!
//! C side: [`rust/bench/side/allocator.c`](allocator.c), compiled once for each. This file, too, is the
//! same text for both, so that only the allocator differs.

use super::{Ask, Counters, Held, Pages, Side};
use crate::{bindings, line::Switches, report::Inside};
use kernel::{macros::paste, prelude::*};

/// The in-tree allocator, mm/vmalloc.c.
pub(crate) struct InTree;

/// vmapcache.ko.
pub(crate) struct Vmapcache;

/// Makes `$name` the side whose C functions have `$prefix`; the rest is what the other side lacks.
macro_rules! allocator {
    ($name:ident, $prefix:ident, { $($rest:tt)* }) => {
        paste! {
            // For all of these: the C functions take any size and alignment, and fail if they cannot
            // serve it. By the trait's contract the caller frees each area once.
            impl Side for $name {
                #[inline(always)]
                fn va_alloc(&self, pages: u32, align: u32) -> Option<Held> {
                    let mut addr = 0;
                    // SAFETY: `addr` may be written.
                    let area = unsafe {
                        bindings::[<$prefix va_alloc>](pages as usize, align as usize, &mut addr)
                    };
                    let token = area as usize;
                    (token != 0).then_some(Held { addr, pages, token })
                }

                #[inline(always)]
                fn va_free(&self, area: Held) {
                    // SAFETY: The token is the area that `va_alloc` got, not freed before.
                    unsafe { bindings::[<$prefix va_free>](area.token as *mut _) }
                }

                #[inline(always)]
                fn find(&self, addr: usize) -> bool {
                    // SAFETY: Any address may be asked for.
                    unsafe { bindings::[<$prefix find>](addr) }
                }

                #[inline]
                fn vmap(&self, pages: &Pages) -> Option<Held> {
                    let count = pages.count();
                    // SAFETY: The array has as many pages as passed along, and outlives the mapping.
                    let addr = unsafe { bindings::[<$prefix vmap>](pages.as_ptr(), count as usize) };
                    Held::at(addr, count)
                }

                #[inline]
                fn vunmap(&self, area: Held) {
                    // SAFETY: Mapped by `vmap`, not unmapped before.
                    unsafe { bindings::[<$prefix vunmap>](area.addr) }
                }

                #[inline]
                fn map_ram(&self, pages: &Pages) -> Option<Held> {
                    let count = pages.count();
                    // SAFETY: As in `vmap`.
                    let addr = unsafe {
                        bindings::[<$prefix map_ram>](pages.as_ptr(), count as usize)
                    };
                    Held::at(addr, count)
                }

                #[inline]
                fn unmap_ram(&self, area: Held) {
                    // SAFETY: Mapped by `map_ram` with as many pages, not unmapped before.
                    unsafe { bindings::[<$prefix unmap_ram>](area.addr, area.pages as usize) }
                }

                #[inline]
                fn vmalloc(&self, ask: Ask) -> Option<Held> {
                    let (pages, align) = (ask.pages as usize, ask.align);
                    // SAFETY: Task context; the flags may forbid to sleep, never demand atomic
                    // context.
                    let addr = unsafe { bindings::[<$prefix vmalloc>](pages, align, ask.gfp) };
                    Held::at(addr, ask.pages)
                }

                #[inline]
                fn vrealloc(&self, area: Held, bytes: usize) -> Option<Held> {
                    // SAFETY: Allocated by `vmalloc`, not freed before, and from now on what this
                    // returns.
                    let addr = unsafe { bindings::[<$prefix vrealloc>](area.addr, bytes) };
                    Held::at(addr, area.pages)
                }

                #[inline]
                fn vfree(&self, area: Held) {
                    // SAFETY: Allocated by `vmalloc`, not freed before.
                    unsafe { bindings::[<$prefix vfree>](area.addr) }
                }

                fn purge(&self) {
                    // SAFETY: May sleep here.
                    unsafe { bindings::[<$prefix purge>]() }
                }

                $($rest)*
            }
        }
    };
}

allocator!(InTree, vc_in_tree_, {
    fn list_path(&self) -> Option<&'static CStr> {
        Some(c"/proc/vmallocinfo")
    }
});

allocator!(Vmapcache, vc_vmapcache_, {
    fn list_path(&self) -> Option<&'static CStr> {
        Some(c"/proc/vmapcacheinfo")
    }

    fn fresh(&self) {
        // SAFETY: May sleep here.
        unsafe { bindings::vmapcache_drain() }
    }

    fn counters(&self) -> Counters {
        Counters {
            flushes: Some(counter(c"flushes")),
            inside: Inside {
                shared_locks: counter(c"shared_locks"),
                searches: counter(c"extent_searches"),
                visited: counter(c"extents_visited"),
            },
        }
    }

    fn set_switches(&self, to: &Switches) -> Option<Switches> {
        Some(Switches {
            free_area_cache: flag(c"free_area_cache", to.free_area_cache),
            magazines: flag(c"magazines", to.magazines),
            lookup_cache: flag(c"lookup_cache", to.lookup_cache),
            info_cache: flag(c"info_cache", to.info_cache),
            lazy_max_pages: switch(c"lazy_max_pages", to.lazy_max_pages),
        })
    }
});

/// One of vmapcache's counters, by its name in debugfs `stats`; 0 if there is none.
pub(crate) fn counter(name: &CStr) -> u64 {
    let mut value = 0;
    // SAFETY: The name is a string, and the value may be written.
    unsafe { bindings::vmapcache_counter(name.as_char_ptr(), &mut value) };
    value
}

/// Sets a switch of vmapcache, if `to` has a value. Returns the old value.
fn switch(name: &CStr, to: Option<u32>) -> Option<u32> {
    let (to, mut before) = (to?, 0);
    // SAFETY: The name is a string, and the value may be written.
    unsafe {
        bindings::vmapcache_get_switch(name.as_char_ptr(), &mut before);
        bindings::vmapcache_set_switch(name.as_char_ptr(), to);
    }
    Some(before)
}

fn flag(name: &CStr, to: Option<bool>) -> Option<bool> {
    switch(name, to.map(u32::from)).map(|before| before != 0)
}
