// SPDX-License-Identifier: GPL-2.0

//! Functions by which a test changes the world below the manager, as far as a kernel lets it: the CPU, and
//! the context. Memory never fails here. tools/testing/core/src/knobs.rs is the host's file of this name.

use crate::bindings;
use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};
use kernel::{prelude::*, str::CString};

/// Whether there may be no memory although no test has asked for that: there may, for who does not wait.
pub const MEMORY_IS_SHORT: bool = true;

// One test runs at a time.
static ATOMIC: AtomicBool = AtomicBool::new(false);
static SEED: AtomicU64 = AtomicU64::new(0);

/// Lets this thread not sleep from now on, by turning preemption off; or sleep again.
pub fn set_atomic(atomic: bool) {
    if ATOMIC.swap(atomic, Relaxed) != atomic {
        // SAFETY: By turns, as the flag says.
        unsafe { bindings::vc_kunit_atomic(atomic) };
    }
}

/// Whether it must not sleep.
pub fn is_atomic() -> bool {
    ATOMIC.load(Relaxed)
}

/// Has the kernel warn where nobody may sleep.
pub fn assert_may_sleep() {
    // SAFETY: No precondition.
    unsafe { bindings::vc_kunit_may_sleep() };
}

/// Lets other tasks run.
pub fn yield_now() {
    // SAFETY: Only tests that may sleep call it.
    unsafe { bindings::vc_kunit_yield() };
}

/// Moves this thread to another CPU, and keeps it there. If there are too few, several numbers mean the
/// same one.
pub fn run_on_cpu(cpu: u32) {
    // SAFETY: Only tests that may sleep call it.
    unsafe { bindings::vc_kunit_run_on(cpu) };
}

/// Without effect.
pub fn fail_nth(_n: u64) {}

/// Without effect.
pub fn fail_from_nth(_n: u64) {}

/// More than 0: no allocation has failed on request.
pub fn fail_nth_left() -> u64 {
    1
}

/// Runs `f`. The kernel's reclaim would not mind if it waited for memory.
pub fn without_reclaim<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// The random numbers of `seed` are next. The log has a line for each, and so has a failure.
pub fn begin(seed: u64) {
    SEED.store(seed, Relaxed);
    say(format_args!("seed {seed}"));
    yield_now();
}

/// Adds a line to the test's log.
fn say(line: fmt::Arguments<'_>) {
    if let Ok(line) = CString::try_from_fmt(line) {
        // SAFETY: It is a string. The call keeps no pointer.
        unsafe { bindings::vc_kunit_say(line.as_char_ptr()) };
    }
}

/// Fails the test, and ends its thread, without a destructor: what the test holds is lost.
#[cold]
#[inline(never)]
pub(crate) fn fail(file: &'static CStr, line: u32, message: fmt::Arguments<'_>) -> ! {
    // With preemption off, no thread can end.
    set_atomic(false);
    let seed = SEED.load(Relaxed);
    let made = CString::try_from_fmt(format_args!("seed {seed}: {message}"));
    let message = made
        .as_ref()
        .map_or(c"no memory for the message", |made| made);
    let (file, line) = (file.as_char_ptr(), line as i32);
    // SAFETY: All are strings. The call keeps no pointer.
    unsafe { bindings::vc_kunit_fail(file, line, message.as_char_ptr()) };
    core::panic!("an assertion failed where no test runs");
}
