// SPDX-License-Identifier: GPL-2.0

//! Sequences of operations on the tree of extents, against a sorted vector.

#![no_main]

use core_tests::{
    choice::{Bytes, Choice},
    sorted::{Sorted, GROUNDS},
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let ground = &GROUNDS[bytes.below(GROUNDS.len() as u32) as usize];
    let mut sorted = Sorted::new();
    while !bytes.is_empty() {
        sorted.step(&mut bytes, ground, 50);
        sorted.check();
    }
    sorted.finish();
});
