// SPDX-License-Identifier: GPL-2.0

//! Lines written to bench/run.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bench_tests::checks::check_line(data);
});
