// SPDX-License-Identifier: GPL-2.0

//! Tracepoints: [`include/trace/events/vmapcache.h`](../../include/trace/events/vmapcache.h).
//!
//! While nobody traces, a tracepoint is one nop: Rust looks at its static key in place, and computes an
//! argument only behind that. `kernel::declare_trace!` does the same for tracepoints that the kernel crate
//! has bindings of. But its look says neither that it leaves the stack alone nor that it leaves memory
//! alone: each function with one then has a stack frame, and reads again what it knew before.
//!
//! The tracepoint `flush` is in rust/pages/page_tables.c, where all flushes are.
//!
//! C side: [`rust/face/trace.c`](trace.c).

use crate::{
    bindings::{self, vc_use},
    face::{allocator::Wanted, failure::Failure},
    va::{area::Kind, count::callers, env::Purged},
};
use kernel::{page::PAGE_SIZE, prelude::*};

#[cfg(CONFIG_TRACEPOINTS)]
#[allow(improper_ctypes, reason = "Rust takes their addresses alone")]
extern "C" {
    static __tracepoint_alloc: kernel::bindings::tracepoint;
    static __tracepoint_free: kernel::bindings::tracepoint;
    static __tracepoint_fail: kernel::bindings::tracepoint;
    static __tracepoint_purge_begin: kernel::bindings::tracepoint;
    static __tracepoint_purge_end: kernel::bindings::tracepoint;
}

/// Whether somebody traces an event, by its name.
#[cfg(all(CONFIG_TRACEPOINTS, CONFIG_JUMP_LABEL))]
macro_rules! traced {
    ($tracepoint:ident) => {
        'traced: {
            // SAFETY: C defines a tracepoint of that name, whose static key lives as long as the module. The
            // code is a nop or a jump.
            unsafe {
                kernel::asm!(
                    include!(concat!(
                        env!("OBJTREE"),
                        "/rust/kernel/generated_arch_static_branch_asm.rs"
                    ));
                    l_yes = label {
                        break 'traced true;
                    },
                    symb = sym $tracepoint,
                    off = const core::mem::offset_of!(kernel::bindings::tracepoint, key),
                    branch = const 0,
                    options(nomem, nostack, preserves_flags)
                );
            }
            false
        }
    };
}

/// The same where a key is a counter.
#[cfg(all(CONFIG_TRACEPOINTS, not(CONFIG_JUMP_LABEL)))]
macro_rules! traced {
    ($tracepoint:ident) => {
        // SAFETY: C defines a tracepoint of that name, whose static key lives as long as the module.
        unsafe {
            kernel::jump_label::static_branch_unlikely!(
                $tracepoint,
                kernel::bindings::tracepoint,
                key
            )
        }
    };
}

/// Nobody does on a kernel that cannot trace.
#[cfg(not(CONFIG_TRACEPOINTS))]
macro_rules! traced {
    ($tracepoint:ident) => {
        false
    };
}

/// What C calls a kind of areas.
pub(super) fn use_of(kind: Kind) -> vc_use {
    match kind {
        Kind::Vmalloc | Kind::VmallocUser => bindings::vc_use_VC_USE_VMALLOC,
        Kind::Vmap | Kind::VmapUser => bindings::vc_use_VC_USE_VMAP,
        Kind::VmMapRam => bindings::vc_use_VC_USE_RAM,
        Kind::VaOnly => bindings::vc_use_VC_USE_ADDRESSES,
    }
}

/// An area that goes.
pub(super) struct Gone {
    pub(super) addr: usize,
    /// Bytes.
    pub(super) size: usize,
    pub(super) kind: Kind,
    /// A work item unmaps it.
    pub(super) deferred: bool,
    /// Lazy pages, as far as CPUs have handed them on, and how many ask for a purge.
    pub(super) lazy: (u64, u32),
    /// The code that freed it, or 0.
    pub(super) caller: usize,
}

/// An allocation succeeded: the area at `addr`, which this returns. Any context.
// The address goes through, so that the fast path keeps nothing for the other one.
#[inline(always)]
pub(super) fn alloc(addr: usize, use_: vc_use, wanted: impl FnOnce() -> Wanted) -> usize {
    if traced!(__tracepoint_alloc) {
        return alloc_now(addr, use_, &wanted());
    }
    addr
}

#[cold]
#[inline(never)]
fn alloc_now(addr: usize, use_: vc_use, wanted: &Wanted) -> usize {
    // SAFETY: No precondition.
    unsafe {
        bindings::vc_trace_alloc(
            addr,
            // An area has whole pages, and there is one of this size.
            wanted.size.next_multiple_of(PAGE_SIZE),
            wanted.align,
            use_,
            wanted.gfp,
            callers::code(wanted.caller),
        );
    }
    addr
}

/// Whether somebody traces allocations. Any context.
#[inline(always)]
pub(super) fn wants_allocs() -> bool {
    traced!(__tracepoint_alloc)
}

/// Whether somebody traces frees. Any context.
#[inline(always)]
pub(super) fn wants_frees() -> bool {
    traced!(__tracepoint_free)
}

/// An area has lost its owner and its pins. Any context.
pub(super) fn free(gone: &Gone) {
    // SAFETY: No precondition.
    unsafe {
        bindings::vc_trace_free(
            gone.addr,
            gone.size,
            use_of(gone.kind),
            gone.deferred,
            gone.lazy.0 as usize,
            gone.lazy.1 as usize,
            gone.caller,
        );
    }
}

/// A request failed, or `waits`. `lazy` counts lazy pages. Any context.
#[inline]
pub(super) fn fail(
    why: Failure,
    wanted: &Wanted,
    use_: vc_use,
    waits: bool,
    lazy: impl FnOnce() -> u64,
) {
    if traced!(__tracepoint_fail) {
        let failure = bindings::vc_failure {
            reason: why.text().as_char_ptr(),
            size: wanted.size,
            align: wanted.align,
            caller: callers::code(wanted.caller),
            gfp: wanted.gfp,
            waits,
            lazy_pages: lazy() as usize,
            free_pages: 0,
            largest_pages: 0,
            fragmentation: 0,
        };
        // SAFETY: `failure` outlives the call, and its string is static.
        unsafe { bindings::vc_trace_fail(&failure, use_, why.errno()) };
    }
}

/// A purge begins, with so many lazy pages. Any context.
pub(super) fn purge_begin(how: &'static CStr, lazy: u64) {
    if traced!(__tracepoint_purge_begin) {
        // SAFETY: The string is static.
        unsafe { bindings::vc_trace_purge_begin(how.as_char_ptr(), lazy as usize) };
    }
}

/// The purge has ended. Any context.
pub(super) fn purge_end(how: &'static CStr, purged: &Purged) {
    if traced!(__tracepoint_purge_end) {
        // SAFETY: The string is static.
        unsafe {
            bindings::vc_trace_purge_end(
                how.as_char_ptr(),
                purged.areas as usize,
                purged.pages as usize,
                purged.flushes as usize,
                purged.left as usize,
            );
        }
    }
}
