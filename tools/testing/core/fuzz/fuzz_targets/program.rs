// SPDX-License-Identifier: GPL-2.0

//! Programs written to bench/program.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bench_tests::checks::check_program(data);
});
