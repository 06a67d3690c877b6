// SPDX-License-Identifier: GPL-2.0

//! Sequences of operations on a manager, with memory that fails, against the model.

#![no_main]

use core_tests::{choice::Bytes, model::Model};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let mut model = Model::new(&mut bytes, true);
    while !bytes.is_empty() {
        model.step(&mut bytes);
    }
    model.finish();
});
