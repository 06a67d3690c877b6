// SPDX-License-Identifier: GPL-2.0

//! Bugs of the module: something happened that cannot. Counts each, and warns of the first one with a
//! backtrace.

use crate::bindings;
use core::{
    ffi::CStr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use kernel::prelude::*;

static FOUND: AtomicU64 = AtomicU64::new(0);

/// Reports that `what` happened, which cannot. The caller goes on as best it can. Any context.
#[cold]
#[inline(never)]
pub fn broken(what: &'static CStr) {
    FOUND.fetch_add(1, Relaxed);
    // SAFETY: `what` is a string.
    unsafe { bindings::vc_broken(what.as_char_ptr()) };
}

/// How often [`broken`] was called.
pub fn found_broken() -> u64 {
    FOUND.load(Relaxed)
}
