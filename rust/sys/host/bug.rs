// SPDX-License-Identifier: GPL-2.0

//! Bugs of the module: something happened that cannot. It ends the test.

use std::ffi::CStr;

/// Reports that `what` happened, which cannot.
///
/// # Panics
///
/// Always. The kernel's function counts it and returns.
#[track_caller]
pub fn broken(what: &'static CStr) {
    panic!("{}", what.to_str().unwrap());
}

/// How often [`broken`] was called: on the host it never returns.
pub fn found_broken() -> u64 {
    0
}
