// SPDX-License-Identifier: GPL-2.0

//! Sequences of operations on the extents, against a linear first fit.

#![no_main]

use core_tests::{
    choice::{Bytes, Choice},
    pair::{Pair, MIXES},
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    // The last one is too large to be made for each run.
    let mix = &MIXES[bytes.below(3) as usize];
    let mut pair = Pair::new(bytes.below(1 << 12), mix.pages);
    while !bytes.is_empty() {
        if bytes.below(50) == 0 {
            pair.extents.set_cache(bytes.below(2) == 0);
        }
        pair.step(&mut bytes, mix, 55);
    }
    pair.finish();
});
