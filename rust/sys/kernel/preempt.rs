// SPDX-License-Identifier: GPL-2.0

//! Staying on this CPU for a moment.
//!
//! `preempt_disable()` is one instruction. A call into C for it costs several times as much, and an
//! allocation does it twice. So this file has the instructions for x86-64, for the layout of the
//! preemption count that percpu.c checks against the kernel's headers. On other processors, and if
//! the kernel traces or checks preemption, it calls C.

use super::mem::NoMemory;
use crate::bindings;
use core::ffi::c_void;

/// A pointer for each CPU, its *door*. The CPU itself reads it by one instruction.
pub(crate) struct Doors(usize);

impl Doors {
    /// All open to `behind`. May sleep.
    pub(crate) fn new(behind: *const c_void) -> Result<Self, NoMemory> {
        // SAFETY: No precondition but the context.
        match unsafe { bindings::vc_doors_new(behind.cast_mut()) } {
            0 => Err(NoMemory),
            doors => Ok(Self(doors)),
        }
    }

    /// Opens the door of `cpu` to `behind`. A CPU that reads the new pointer also sees all that the caller wrote
    /// before.
    pub(crate) fn set(&self, cpu: u32, behind: *const c_void) {
        // SAFETY: These doors have not been freed.
        unsafe { bindings::vc_door_set(self.0, cpu, behind.cast_mut()) };
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        // SAFETY: Nobody has a reference to them any more.
        unsafe { bindings::vc_doors_free(self.0) };
    }
}

/// Keeps the code on its CPU, with preemption off, until dropped. Cannot be sent to another thread.
pub(crate) struct Stay {
    _not_send: core::marker::PhantomData<*mut ()>,
}

impl Stay {
    /// Preemption off. Any context. Also tells what is behind the door of this CPU: an acquire load.
    #[inline(always)]
    pub(crate) fn here(doors: &Doors) -> (*const c_void, Self) {
        (
            // SAFETY: They have not been freed.
            unsafe { imp::enter(doors.0) },
            Self {
                _not_send: core::marker::PhantomData,
            },
        )
    }
}

impl Drop for Stay {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: `here` has turned preemption off once for this value, which was not sent away.
        unsafe { imp::exit() };
    }
}

/// The CPU that this code ran on a moment ago. Any context.
#[inline(always)]
pub(crate) fn cpu_hint() -> u32 {
    imp::cpu_hint()
}

#[cfg(all(
    CONFIG_X86_64,
    CONFIG_SMP,
    CONFIG_PREEMPTION,
    not(CONFIG_DEBUG_PREEMPT),
    not(CONFIG_TRACE_PREEMPT_TOGGLE)
))]
mod imp {
    use super::c_void;
    use crate::bindings;
    use core::arch::asm;

    extern "C" {
        // Per-CPU variables: the code uses only their offset from gs, never a value through these.
        static __preempt_count: usize;
        static cpu_number: i32;
    }

    /// As `preempt_disable()` of arch/x86/include/asm/preempt.h does it, and `this_cpu_read()`.
    ///
    /// # Safety
    ///
    /// `doors` is the per-CPU address of a pointer.
    #[inline(always)]
    pub(super) unsafe fn enter(doors: usize) -> *const c_void {
        let behind: *const c_void;
        // SAFETY: Both are this CPU's, by gs; percpu.c has checked the layout of the count. Being an
        // `asm!` that may touch memory, this keeps the compiler from moving accesses across.
        unsafe {
            #[cfg(CONFIG_HAS_SEPARATE_PREEMPT_RESCHED_BITS)]
            asm!("add qword ptr gs:[rip + {}], 1", sym __preempt_count, options(nostack));
            #[cfg(not(CONFIG_HAS_SEPARATE_PREEMPT_RESCHED_BITS))]
            asm!("add dword ptr gs:[rip + {}], 1", sym __preempt_count, options(nostack));
            asm!("mov {}, qword ptr gs:[{}]", out(reg) behind, in(reg) doors,
                options(nostack, preserves_flags));
        }
        behind
    }

    /// As `preempt_enable()` does it.
    ///
    /// # Safety
    ///
    /// Undoes one `enter` on the same CPU.
    #[inline(always)]
    pub(super) unsafe fn exit() {
        // SAFETY: As in `enter`. The count was raised by it, so that this does not underflow. If it is 0
        // now, nothing keeps preemption off, and a task waits for the CPU.
        unsafe {
            #[cfg(CONFIG_HAS_SEPARATE_PREEMPT_RESCHED_BITS)]
            asm!("sub qword ptr gs:[rip + {}], 1", "je {}", sym __preempt_count,
                label { reschedule() }, options(nostack));
            #[cfg(not(CONFIG_HAS_SEPARATE_PREEMPT_RESCHED_BITS))]
            asm!("sub dword ptr gs:[rip + {}], 1", "je {}", sym __preempt_count,
                label { reschedule() }, options(nostack));
        }
    }

    /// The end of [`exit`] if the count is 0. It keeps all registers, so that the way past it need not save
    /// any.
    #[cfg(not(CONFIG_FRAME_POINTER))]
    #[inline(always)]
    fn reschedule() {
        // SAFETY: The count is 0, as in `preempt_enable()` at this point. The function keeps all registers.
        // A kernel has no red zone below the stack pointer, and does not align it for calls.
        unsafe { asm!("call {}", sym bindings::vc_preempt_schedule, options(nostack)) };
    }

    /// Where a call needs a frame, the compiler must see it.
    #[cfg(CONFIG_FRAME_POINTER)]
    #[cold]
    fn reschedule() {
        // SAFETY: The count is 0, as in `preempt_enable()` at this point.
        unsafe { bindings::vc_preempt_schedule() };
    }

    #[inline(always)]
    pub(super) fn cpu_hint() -> u32 {
        let cpu: u32;
        // SAFETY: As in `enter`.
        unsafe {
            asm!("mov {:e}, dword ptr gs:[rip + {}]", out(reg) cpu, sym cpu_number,
                options(nostack, preserves_flags));
        }
        cpu
    }
}

#[cfg(not(all(
    CONFIG_X86_64,
    CONFIG_SMP,
    CONFIG_PREEMPTION,
    not(CONFIG_DEBUG_PREEMPT),
    not(CONFIG_TRACE_PREEMPT_TOGGLE)
)))]
mod imp {
    use super::c_void;
    use crate::bindings;

    /// # Safety
    ///
    /// `doors` is the per-CPU address of a pointer.
    #[inline(always)]
    pub(super) unsafe fn enter(doors: usize) -> *const c_void {
        // SAFETY: As the caller says; `exit` undoes it.
        unsafe { bindings::vc_cpu_enter(doors) }
    }

    /// # Safety
    ///
    /// Undoes one `enter` on the same CPU.
    #[inline(always)]
    pub(super) unsafe fn exit() {
        // SAFETY: As the caller says.
        unsafe { bindings::vc_cpu_exit() };
    }

    #[inline(always)]
    pub(super) fn cpu_hint() -> u32 {
        // SAFETY: No precondition.
        unsafe { bindings::vc_cpu_hint() }
    }
}
