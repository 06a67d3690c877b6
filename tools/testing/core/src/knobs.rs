// SPDX-License-Identifier: GPL-2.0

//! Functions by which a test changes the world below the manager: the CPU, the context, memory that fails.
//! The KUnit module has a file of this name: tools/testing/selftests/vmapcache/modules/kunit/knobs.rs.

pub use crate::sys::{
    mem::{fail_from_nth, fail_nth, fail_nth_left, without_reclaim},
    sync::{assert_may_sleep, run_on_cpu},
};
use std::cell::Cell;
pub use std::thread::yield_now;

/// Whether there may be no memory although no test has asked for that.
pub const MEMORY_IS_SHORT: bool = false;

thread_local! {
    static ATOMIC: Cell<bool> = const { Cell::new(false) };
}

/// Says whether this thread pretends to be in a context that must not sleep.
pub fn set_atomic(atomic: bool) {
    ATOMIC.with(|a| a.set(atomic));
}

/// Whether it does.
pub fn is_atomic() -> bool {
    ATOMIC.with(|a| a.get())
}

/// The random numbers of `seed` are next: a test that fails says so.
pub fn begin(seed: u64) {
    println!("seed {seed}");
}
