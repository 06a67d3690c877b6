// SPDX-License-Identifier: GPL-2.0

//! The exported functions call these: one line each, to [`Allocator`](super::allocator::Allocator).
//!
//! C side: [`rust/face/exports.c`](exports.c), since only a C file can export.

use crate::{
    bindings::{self, export},
    face::{
        allocator::{Shown, Wanted},
        published::{with, with_or_else},
    },
    pages::mapping::PagePtr,
    va::{area::Kind, Pin, Purge, Ticket},
};
use kernel::{
    ffi::{c_char, c_int, c_uint, c_void},
    prelude::*,
};

export! {
    fn vc_rs_vmalloc(
        size: usize,
        align: usize,
        gfp: c_uint,
        how: c_uint,
        node: c_int,
        caller: usize,
    ) -> *mut c_void {
        let wanted = Wanted { size, align, gfp, how, node, caller };
        with(|a| a.vmalloc(wanted)) as *mut c_void
    }

    fn vc_rs_get_area(size: usize, align: usize, gfp: c_uint, caller: usize) -> *mut c_void {
        with_or_else(|a| a.get_area(size, align, gfp, caller), core::ptr::null_mut)
    }

    /// # Safety
    ///
    /// `size` may be written, or is null.
    unsafe fn vc_rs_find_area(addr: usize, size: *mut usize) -> *mut c_void {
        let Some((start, bytes)) = with(|a| a.find(addr)) else {
            return core::ptr::null_mut();
        };
        if !size.is_null() {
            // SAFETY: As the caller says.
            unsafe { *size = bytes };
        }
        start as *mut c_void
    }

    /// # Safety
    ///
    /// `size` may be written.
    unsafe fn vc_rs_find_user_area(addr: usize, size: *mut usize) -> *mut c_void {
        match with(|a| a.describe(addr)) {
            Some((start, bytes, Kind::VmallocUser | Kind::VmapUser)) => {
                // SAFETY: As the caller says.
                unsafe { *size = bytes };
                start as *mut c_void
            }
            _ => core::ptr::null_mut(),
        }
    }

    fn vc_rs_owns(addr: usize) -> bool {
        with(|a| a.arena().page_of(addr).is_some())
    }

    /// # Safety
    ///
    /// As for `Allocator::map`.
    unsafe fn vc_rs_vmap(
        pages: *mut PagePtr,
        count: c_uint,
        how: c_uint,
        prot: usize,
        gfp: c_uint,
        caller: usize,
    ) -> *mut c_void {
        let kind = if how & bindings::vc_how_VC_USER != 0 {
            Kind::VmapUser
        } else {
            Kind::Vmap
        };
        let shown = Shown { pages, count, how, prot, gfp, caller };
        // SAFETY: As the caller says.
        with(|a| unsafe { a.map(shown, kind) }) as *mut c_void
    }

    /// # Safety
    ///
    /// As for `Allocator::map`.
    unsafe fn vc_rs_vm_map_ram(
        pages: *mut PagePtr,
        count: c_uint,
        prot: usize,
        gfp: c_uint,
        caller: usize,
    ) -> *mut c_void {
        let shown = Shown { pages, count, how: 0, prot, gfp, caller };
        // SAFETY: As the caller says.
        with(|a| unsafe { a.map(shown, Kind::VmMapRam) }) as *mut c_void
    }

    fn vc_rs_free(addr: usize, atomic: bool, caller: usize) {
        with(|a| a.free(addr, atomic, caller));
    }

    fn vc_rs_try_free(addr: usize, atomic: bool, caller: usize) -> bool {
        with(|a| a.try_free(addr, atomic, caller)).is_some()
    }

    fn vc_rs_free_sync(addr: usize, caller: usize) {
        with(|a| a.free_sync(addr, caller));
    }

    /// # Safety
    ///
    /// `ticket` is what `Allocator::free_sync` passed to `vc_wait_last`.
    unsafe fn vc_rs_is_last(ticket: *const c_void) -> bool {
        // SAFETY: It points to a live `Ticket`.
        let ticket = unsafe { *ticket.cast::<Ticket>() };
        with(|a| a.is_last(ticket))
    }

    fn vc_rs_vunmap(addr: usize, atomic: bool, caller: usize) {
        with(|a| a.unmap(addr, atomic, caller));
    }

    fn vc_rs_try_vunmap(addr: usize, caller: usize) -> bool {
        with(|a| a.try_unmap(addr, false, caller)).is_some()
    }

    fn vc_rs_vm_unmap_ram(addr: usize, count: c_uint, caller: usize) {
        with(|a| a.unmap_ram(addr, count, caller));
    }

    fn vc_rs_unmap_aliases() {
        with(|a| a.manager().flush_lazy());
    }

    fn vc_rs_purge_all(drain: bool) {
        with(|a| a.purge(if drain { Purge::Drain } else { Purge::Full }));
    }

    /// # Safety
    ///
    /// `name` is a string; `value` may be written.
    unsafe fn vc_rs_counter(name: *const c_char, value: *mut u64) -> bool {
        // SAFETY: As the caller says.
        let name = unsafe { CStr::from_char_ptr(name) };
        let Some(found) = with(|a| a.counter_named(name)) else {
            return false;
        };
        // SAFETY: As the caller says.
        unsafe { *value = found };
        true
    }

    /// # Safety
    ///
    /// As for `vc_rs_counter`.
    unsafe fn vc_rs_get_switch(name: *const c_char, value: *mut u32) -> bool {
        // SAFETY: As the caller says.
        let name = unsafe { CStr::from_char_ptr(name) };
        let Some(found) = with(|a| a.switch_named(name)) else {
            return false;
        };
        // SAFETY: As the caller says.
        unsafe { *value = found };
        true
    }

    /// # Safety
    ///
    /// `name` is a string.
    unsafe fn vc_rs_set_switch(name: *const c_char, value: u32) -> bool {
        // SAFETY: As the caller says.
        let name = unsafe { CStr::from_char_ptr(name) };
        with(|a| a.set_switch_named(name, value))
    }

    fn vc_rs_pin(addr: usize) -> u64 {
        with(|a| a.pin(addr).map_or(0, Pin::into_raw))
    }

    fn vc_rs_unpin(pin: u64, atomic: bool, caller: usize) {
        with(|a| a.unpin(Pin::from_raw(pin), atomic, caller));
    }

    fn vc_rs_present(addr: usize) -> usize {
        with(|a| a.present(addr).unwrap_or(0))
    }

    fn vc_rs_shrink_area(addr: usize, size: usize, gfp: c_uint, caller: usize) {
        with(|a| a.shrink(addr, size, gfp, caller));
    }

    /// # Safety
    ///
    /// `life` may be written.
    unsafe fn vc_rs_identify(addr: usize, life: *mut bindings::vc_life) -> bool {
        let Some(found) = with(|a| a.identify(addr)) else {
            return false;
        };
        // SAFETY: As the caller says.
        unsafe { *life = found };
        true
    }

    /// # Safety
    ///
    /// `bounds` may be written.
    unsafe fn vc_rs_locate(addr: usize, bounds: *mut bindings::vc_bounds) -> bool {
        let Some(found) = with(|a| a.locate(addr)) else {
            return false;
        };
        // SAFETY: As the caller says.
        unsafe { *bounds = found };
        true
    }

    /// # Safety
    ///
    /// `life` is what `vc_rs_identify` has written.
    unsafe fn vc_rs_note(life: *const bindings::vc_life) -> bool {
        // SAFETY: As the caller says.
        let (id, version) = unsafe { ((*life).id, (*life).version) };
        with(|a| a.manager().note(Ticket::from_parts(id, version)))
    }

    /// # Safety
    ///
    /// `visitor` is what `vc_visit` expects.
    unsafe fn vc_rs_walk(from: usize, visitor: *mut c_void) {
        with(|a| {
            a.walk(from, |area| {
                // SAFETY: As the caller says.
                unsafe {
                    bindings::vc_visit(visitor, area.addr, area.size, area.caller, area.pins)
                }
            });
        });
    }
}
