// SPDX-License-Identifier: GPL-2.0

//! Readers of /proc/vmapcacheinfo, from any position, while areas come and go.

#![no_main]

use core_tests::{choice::Bytes, rows::Rows};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let mut rows = Rows::new(&mut bytes);
    while !bytes.is_empty() {
        rows.step(&mut bytes);
    }
    rows.finish();
});
