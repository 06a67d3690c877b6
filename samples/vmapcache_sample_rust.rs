// SPDX-License-Identifier: GPL-2.0

//! A consumer of vmapcache in Rust: memory, a mapping, a pin, a walk.
//!
//! While it is loaded, vmapcache cannot be unloaded.
//!
//! C header: [`include/vmapcache.h`](../include/vmapcache.h).

use core::ptr::NonNull;
use kernel::{
    bindings,
    ffi::{c_int, c_uint, c_ulong, c_void},
    page::{Page, PAGE_SIZE},
    prelude::*,
};

module! {
    type: Sample,
    name: "vmapcache_sample_rust",
    authors: ["vmapcache developers"],
    description: "A consumer of vmapcache in Rust",
    license: "GPL",
}

/// `struct vmapcache_area`
#[repr(C)]
struct Area {
    addr: *const c_void,
    size: usize,
    caller: *const c_void,
    pins: c_uint,
}

extern "C" {
    fn vmapcache_vzalloc(size: c_ulong) -> *mut c_void;
    fn vmapcache_vfree(addr: *const c_void);
    fn vmapcache_vm_map_ram(pages: *mut *mut c_void, count: c_uint, node: c_int) -> *mut c_void;
    fn vmapcache_vm_unmap_ram(mem: *const c_void, count: c_uint);
    fn vmapcache_pin(addr: *const c_void) -> u64;
    fn vmapcache_unpin(pin: u64);
    fn vmapcache_walk(
        from: *const c_void,
        visit: unsafe extern "C" fn(*const Area, *mut c_void) -> bool,
        arg: *mut c_void,
    );
}

/// Memory that looks contiguous, made of pages that need not be.
///
/// # Invariants
///
/// `addr` is from vmapcache_vzalloc, has not been freed, and is `len` bytes long.
struct Memory {
    addr: NonNull<u8>,
    len: usize,
}

impl Memory {
    fn zeroed(len: usize) -> Result<Self> {
        // SAFETY: Task context.
        let addr = unsafe { vmapcache_vzalloc(len) };
        // INVARIANT: It was just allocated.
        Ok(Self {
            addr: NonNull::new(addr.cast()).ok_or(ENOMEM)?,
            len,
        })
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: By the invariant; zeroed memory is bytes, and `self` is borrowed.
        unsafe { core::slice::from_raw_parts_mut(self.addr.as_ptr(), self.len) }
    }

    /// Keeps the memory mapped for `f`, even if its owner frees it meanwhile.
    fn pinned<R>(&self, f: impl FnOnce() -> R) -> Result<R> {
        // SAFETY: Any address may be asked for.
        let pin = unsafe { vmapcache_pin(self.addr.as_ptr().cast()) };
        if pin == 0 {
            return Err(EIO);
        }
        let result = f();
        // SAFETY: Given back once.
        unsafe { vmapcache_unpin(pin) };
        Ok(result)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: By the invariant; it is not used again.
        unsafe { vmapcache_vfree(self.addr.as_ptr().cast()) };
    }
}

/// Shows one page twice, side by side, and looks at both.
fn two_views() -> Result {
    let page = Page::alloc_page(GFP_KERNEL)?;
    let mut pages = [page.as_ptr().cast(); 2];
    // SAFETY: Task context; two pages, which outlive the mapping.
    let views = unsafe { vmapcache_vm_map_ram(pages.as_mut_ptr(), 2, bindings::NUMA_NO_NODE) };
    let views = NonNull::new(views.cast::<u8>()).ok_or(ENOMEM)?;
    // SAFETY: Both bytes lie in the mapping. They are one byte of memory, hence volatile.
    let seen = unsafe {
        views.as_ptr().write_volatile(42);
        views.as_ptr().add(PAGE_SIZE).read_volatile()
    };
    // SAFETY: As it was mapped; not used again.
    unsafe { vmapcache_vm_unmap_ram(views.as_ptr().cast(), 2) };
    if seen == 42 {
        Ok(())
    } else {
        Err(EIO)
    }
}

/// # Safety
///
/// `area` is what `vmapcache_walk` shows, `total` a `usize`.
unsafe extern "C" fn add_size(area: *const Area, total: *mut c_void) -> bool {
    // SAFETY: As the caller says.
    unsafe { *total.cast::<usize>() += (*area).size };
    true
}

/// Bytes of everybody's areas.
fn total_size() -> usize {
    let mut total = 0usize;
    // SAFETY: `add_size` takes `total` for what it is, and does not keep it.
    unsafe { vmapcache_walk(core::ptr::null(), add_size, (&raw mut total).cast()) };
    total
}

struct Sample;

impl kernel::Module for Sample {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mut memory = Memory::zeroed(5 * PAGE_SIZE)?;
        memory.bytes().fill(1);
        memory.pinned(|| pr_info!("pinned\n"))?;
        two_views()?;
        if total_size() < 5 * PAGE_SIZE {
            return Err(EIO);
        }
        pr_info!("memory, mapping, pin and walk work\n");
        Ok(Self)
    }
}
