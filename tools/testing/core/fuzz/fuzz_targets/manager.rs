// SPDX-License-Identifier: GPL-2.0

//! Sequences of operations on a manager, with memory that fails, against the model.

#![no_main]

use core_tests::{
    choice::Bytes,
    model::{manager, Model},
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let manager = manager(&mut bytes);
    let mut model = Model::new(&manager, true);
    while !bytes.is_empty() {
        model.step(&mut bytes);
    }
    model.finish();
});
