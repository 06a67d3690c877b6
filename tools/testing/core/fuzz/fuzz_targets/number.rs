// SPDX-License-Identifier: GPL-2.0

//! Numbers written to debugfs.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    core_tests::inputs::check_number(data);
});
