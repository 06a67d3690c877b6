// SPDX-License-Identifier: GPL-2.0

//! Every plan flushes what it must.

#![no_main]

use core_tests::{
    choice::{Bytes, Choice},
    flushes::check_plan,
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let ceiling = bytes.below(1 << 16);
    let span = [1 << 8, 1 << 16, u32::MAX][bytes.below(3) as usize];
    let mut areas = Vec::new();
    while !bytes.is_empty() {
        areas.push((bytes.below(span), bytes.below(1 << 8)));
    }
    check_plan(&areas, ceiling);
});
