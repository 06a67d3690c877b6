// SPDX-License-Identifier: GPL-2.0

//! The C functions of the laboratory (rust/bench/bench.h, include/vmapcache.h), as bindgen sees them.

#![allow(
    clippy::all,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

// Kbuild says where: beside the objects, which may be outside of this tree (MO=).
include!(env!("VMAPCACHE_BENCH_BINDINGS"));
