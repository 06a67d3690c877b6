// SPDX-License-Identifier: GPL-2.0

//! The kernel below the loops of [`super::measure`]: the clock, the pause, bound threads.
//!
//! C part: [`rust/bench/ground.c`](ground.c). All `unsafe` that the threads need is here.

use super::measure;
use crate::bindings;
use core::{ffi::c_void, ptr::NonNull};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// Nanoseconds of this CPU's clock. Between CPUs it may differ by up to a tick.
#[inline]
pub(super) fn now() -> u64 {
    // SAFETY: local_clock() may be called in any context.
    unsafe { bindings::vc_bench_now() }
}

/// CPU time of the calling thread, in ns. Yields first; sleeps.
pub(super) fn cpu_time() -> u64 {
    // SAFETY: Only ever called by threads of the laboratory, which may sleep here.
    unsafe { bindings::vc_bench_cpu_time() }
}

/// Whether the calling task has a signal pending.
pub(super) fn signalled() -> bool {
    // SAFETY: Looks at `current` only.
    unsafe { bindings::vc_bench_signal() }
}

/// Lets other tasks run if they want to. May sleep.
#[inline]
pub(super) fn resched() {
    // SAFETY: The laboratory holds no lock and runs in task context.
    unsafe { bindings::vc_bench_resched() }
}

/// Yields this CPU to other tasks. May sleep.
pub(super) fn give_way() {
    // SAFETY: As for `resched`.
    unsafe { bindings::vc_bench_yield() }
}

/// Preemption is off while this lives.
pub(super) struct NoPreemption(());

#[inline]
pub(super) fn no_preemption() -> NoPreemption {
    // SAFETY: Turned on again when the value is dropped, by the same thread.
    unsafe { bindings::vc_bench_preempt(false) };
    NoPreemption(())
}

impl Drop for NoPreemption {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: It was turned off when this was made.
        unsafe { bindings::vc_bench_preempt(true) };
    }
}

/// CPUs that are online.
pub(super) fn cpus() -> u32 {
    // SAFETY: Reads a counter.
    unsafe { bindings::vc_bench_cpus() }.max(1)
}

/// The kernel under the loops. `stop` ends them early.
pub(super) struct Ground<'a> {
    pub(super) stop: &'a Atomic<bool>,
}

impl measure::Ground for Ground<'_> {
    #[inline]
    fn now(&self) -> u64 {
        now()
    }

    #[inline]
    fn pause(&self) -> bool {
        resched();
        !self.stop.load(Relaxed)
    }
}

/// Runs `work(i)` for each `i` below `count`, each in a kernel thread of its own. Thread `i` is bound
/// to an online CPU; the CPUs take turns. Returns when all threads are done.
///
/// A signal to the calling task sets `stop`, and `work` must look at it. The call waits for the
/// threads all the same.
///
/// # Errors
///
/// `EINTR` after a signal. `ENOMEM` if a thread could not be started; then `stop` was set and the
/// other threads have ended.
pub(super) fn team<F: Fn(u32) + Sync>(count: u32, stop: &Atomic<bool>, work: &F) -> Result {
    struct Job<'a, F> {
        work: &'a F,
        index: u32,
    }

    /// # Safety
    ///
    /// `data` is a `Job<F>` that outlives the call.
    unsafe extern "C" fn enter<F: Fn(u32) + Sync>(data: *mut c_void) {
        // SAFETY: `team` passes a `Job<F>` that lives until this thread has ended, shared only
        // by reference; `F: Sync` makes that sound from another thread.
        let job = unsafe { &*data.cast::<Job<'_, F>>() };
        (job.work)(job.index);
    }

    let mut jobs = KVec::with_capacity(count as usize, GFP_KERNEL)?;
    for index in 0..count {
        jobs.push(Job { work, index }, GFP_KERNEL)?;
    }
    let mut threads = KVec::with_capacity(count as usize, GFP_KERNEL)?;
    let mut result = Ok(());

    for job in &jobs {
        let data = core::ptr::from_ref(job).cast_mut().cast();
        // SAFETY: `jobs` outlives the threads: this function waits below for each one that starts,
        // on every way out, and does not touch `jobs` until then.
        let thread = unsafe { bindings::vc_bench_thread_start(Some(enter::<F>), data, job.index) };
        if thread.is_null() || threads.push(thread, GFP_KERNEL).is_err() {
            // The push cannot fail, the capacity was reserved.
            stop.store(true, Relaxed);
            result = Err(ENOMEM);
            break;
        }
    }
    for &thread in &threads {
        // SAFETY: Started above and not ended yet.
        while unsafe { bindings::vc_bench_thread_wait(thread) } != 1 {
            if signalled() {
                stop.store(true, Relaxed);
                result = Err(EINTR);
                break;
            }
        }
        // SAFETY: Started above, ended once, and not used afterwards.
        unsafe { bindings::vc_bench_thread_end(thread) };
    }
    result
}

/// Calls of flush_tlb_kernel_range while this lives, by a kprobe.
pub(super) struct FlushCount(());

/// What a [`FlushCount`] saw.
#[derive(Clone, Copy, Default)]
pub(super) struct Flushes {
    /// Called from vmapcache.
    pub(super) own: u64,
    /// Called from anywhere else.
    pub(super) other: u64,
}

impl FlushCount {
    /// # Errors
    ///
    /// Those of register_kprobe().
    pub(super) fn start() -> Result<FlushCount> {
        // SAFETY: May sleep here; only one run at a time, so the probe is not registered.
        kernel::error::to_result(unsafe { bindings::vc_bench_flushes_start() })?;
        Ok(FlushCount(()))
    }

    pub(super) fn stop(self) -> Flushes {
        let flushes = self.take();
        core::mem::forget(self);
        flushes
    }

    fn take(&self) -> Flushes {
        let (mut own, mut other) = (0usize, 0usize);
        // SAFETY: Registered by `start`, and called once: by `stop`, which forgets `self`, or
        // by `drop`.
        unsafe { bindings::vc_bench_flushes_stop(&mut own, &mut other) };
        Flushes {
            own: own as u64,
            other: other as u64,
        }
    }
}

impl Drop for FlushCount {
    fn drop(&mut self) {
        self.take();
    }
}

/// Counts the instructions of the calling thread while this lives, those of the kernel.
pub(super) struct Instructions(NonNull<bindings::perf_event>);

impl Instructions {
    /// `None` if the processor has no free counter.
    pub(super) fn start() -> Option<Instructions> {
        // SAFETY: May sleep here; for the calling task.
        NonNull::new(unsafe { bindings::vc_bench_instructions_start() }).map(Instructions)
    }

    pub(super) fn read(&self) -> u64 {
        // SAFETY: Started, and not yet stopped.
        unsafe { bindings::vc_bench_instructions_read(self.0.as_ptr()) }
    }
}

impl Drop for Instructions {
    fn drop(&mut self) {
        // SAFETY: Started by `start`, and stopped once.
        unsafe { bindings::vc_bench_instructions_stop(self.0.as_ptr()) }
    }
}

/// Watches the CPU of the calling thread, which is bound to it, until `stop` is set. Returns the
/// longest delay of a real-time thread there, in ns.
pub(super) fn watch(stop: &Atomic<bool>) -> u64 {
    // SAFETY: An `Atomic<bool>` has the layout of a `bool`, is always initialised, and the C
    // side reads it with READ_ONCE(), which is a relaxed load in the kernel's memory model.
    unsafe { bindings::vc_bench_watch(stop.as_ptr()) }
}
