// SPDX-License-Identifier: GPL-2.0

//! `/proc/vmapcacheinfo`: a line for each area, in the format of `/proc/vmallocinfo`.
//!
//! Documented in Documentation/ABI/testing/procfs-vmapcache. A reader walks the index and takes no
//! lock, so no allocation or free waits for it.
//!
//! C side: [`rust/face/files/procfs.c`](procfs.c).

use crate::{
    bindings::{self, export, vc_row_kind},
    face::allocator::Allocator,
    pages::mapping::Payload,
    sys::Page,
    va::{
        area::{Kind, Snapshot},
        Walked, GUARD,
    },
};
use core::ptr::NonNull;
use kernel::{
    ffi::{c_uint, c_void},
    page::PAGE_SHIFT,
    prelude::*,
    sync::Arc,
};

/// The file. Dropping it removes the file after the reads under way. Later reads of a file that is
/// still open fail.
pub(crate) struct Procfs {
    file: NonNull<bindings::proc_dir_entry>,
    /// The allocator that the file shows. Dropped after the file is removed.
    _allocator: Arc<Allocator>,
}

// SAFETY: procfs may be called from any task.
unsafe impl Send for Procfs {}
// SAFETY: A shared reference gives access to nothing.
unsafe impl Sync for Procfs {}

impl Procfs {
    /// Makes the file. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, also if the name is taken.
    pub(crate) fn new(allocator: Arc<Allocator>) -> Result<Self> {
        let source = core::ptr::from_ref(&*allocator).cast();
        // SAFETY: The allocator stays until the file is removed: see `drop`.
        let file = unsafe { bindings::vc_procfs_create(source) };
        Ok(Self {
            file: NonNull::new(file).ok_or(ENOMEM)?,
            _allocator: allocator,
        })
    }
}

impl Drop for Procfs {
    fn drop(&mut self) {
        // SAFETY: `new` created it, and only this removes it.
        unsafe { bindings::vc_procfs_remove(self.file.as_ptr()) };
    }
}

fn row_of(allocator: &Allocator, walked: &Walked) -> bindings::vc_row {
    let end = walked.start.plus(walked.pages).plus(GUARD);
    let addr = allocator.arena().address(walked.start);
    let mut row = bindings::vc_row {
        addr,
        size: (end.since(walked.start) as usize) << PAGE_SHIFT,
        pages: walked.pages as usize,
        address: 0,
        array: 0,
        caller: 0,
        next: end.get(),
        page: walked.start.get(),
        version: 0,
        kind: vc_row_kind::VC_ROW_VA_ONLY,
        pins: 0,
        cpu: 0,
        owns_pages: false,
        freed: false,
        lazy: walked.lazy,
    };
    if let Some(live) = &walked.live {
        fill(&mut row, allocator, live);
    }
    row
}

fn fill(row: &mut bindings::vc_row, allocator: &Allocator, live: &Snapshot) {
    let payload = Payload::from_word(live.payload);
    row.kind = match live.kind {
        Kind::Vmalloc | Kind::VmallocUser => vc_row_kind::VC_ROW_VMALLOC,
        Kind::Vmap | Kind::VmapUser => vc_row_kind::VC_ROW_VMAP,
        Kind::VmMapRam => vc_row_kind::VC_ROW_VM_MAP_RAM,
        Kind::VaOnly => vc_row_kind::VC_ROW_VA_ONLY,
    };
    row.array = payload.array().unwrap_or(0);
    row.owns_pages = payload.owns_pages();
    row.caller = live.caller;
    row.address = allocator.manager().caller(live.caller);
    row.version = live.version();
    row.pins = live.pins();
    row.freed = live.dying();
    row.cpu = live.cpu;
}

export! {
    /// Fills `row` with the first area at or after `page` that is live or lazy. False if there is none.
    ///
    /// # Safety
    ///
    /// `source` is the argument of `vc_procfs_create`; `row` belongs to the caller.
    unsafe fn vc_rs_next_row(
        source: *const c_void,
        page: c_uint,
        row: *mut bindings::vc_row,
    ) -> bool {
        // SAFETY: By the function's contract; it stays until the file is removed, which waits for us.
        let allocator = unsafe { &*source.cast::<Allocator>() };
        let Some(walked) = allocator.manager().next_shown(Page::new(page)) else {
            return false;
        };
        // SAFETY: By the function's contract.
        unsafe { *row = row_of(allocator, &walked) };
        true
    }

    /// Whether the area of `row` is still the one that it shows.
    ///
    /// # Safety
    ///
    /// As for [`vc_rs_next_row`].
    unsafe fn vc_rs_row_holds(source: *const c_void, row: *const bindings::vc_row) -> bool {
        // SAFETY: By the function's contract.
        let (allocator, row) = unsafe { (&*source.cast::<Allocator>(), &*row) };
        let page = Page::new(row.page);
        allocator
            .manager()
            .inspect(page)
            .is_some_and(|seen| seen.start == page && seen.version() == row.version)
    }
}
