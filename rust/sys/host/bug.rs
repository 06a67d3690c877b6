// SPDX-License-Identifier: GPL-2.0

//! What cannot happen, and did: it ends the test.

use std::ffi::CStr;

/// Says that something happened which cannot.
///
/// # Panics
///
/// Always. The kernel's counts it and goes on.
#[track_caller]
pub fn broken(what: &'static CStr) {
    panic!("{}", what.to_str().unwrap());
}

/// How often: here it does not come to a second time.
pub fn found_broken() -> u64 {
    0
}
