// SPDX-License-Identifier: GPL-2.0

//! Staying on this CPU for a moment.
//!
//! `preempt_disable()` is one instruction. A call into C for it costs several times as much, and an
//! allocation does it twice. So this file has the instructions for x86-64, for the layout of the
//! preemption count that percpu.c checks against the kernel's headers. On other processors, and if
//! the kernel traces or checks preemption, it calls C.

/// Keeps the code on its CPU, with preemption off, until dropped. Cannot be sent to another thread.
pub(crate) struct Stay {
    _not_send: core::marker::PhantomData<*mut ()>,
}

impl Stay {
    /// Preemption off. Any context. Also tells which CPU this is.
    #[inline(always)]
    pub(crate) fn here() -> (u32, Self) {
        (
            imp::enter(),
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
    use crate::bindings;
    use core::arch::asm;

    extern "C" {
        // Per-CPU variables: the code uses only their offset from gs, never a value through these.
        static __preempt_count: usize;
        static cpu_number: i32;
    }

    /// As `preempt_disable()` of arch/x86/include/asm/preempt.h does it.
    #[inline(always)]
    pub(super) fn enter() -> u32 {
        let cpu: u32;
        // SAFETY: Both are this CPU's, by gs; percpu.c has checked the layout of the count. Being an
        // `asm!` that may touch memory, this keeps the compiler from moving accesses across.
        unsafe {
            #[cfg(CONFIG_HAS_SEPARATE_PREEMPT_RESCHED_BITS)]
            asm!("add qword ptr gs:[rip + {}], 1", sym __preempt_count, options(nostack));
            #[cfg(not(CONFIG_HAS_SEPARATE_PREEMPT_RESCHED_BITS))]
            asm!("add dword ptr gs:[rip + {}], 1", sym __preempt_count, options(nostack));
            asm!("mov {:e}, dword ptr gs:[rip + {}]", out(reg) cpu, sym cpu_number,
                options(nostack, preserves_flags));
        }
        cpu
    }

    /// As `preempt_enable()` does it.
    ///
    /// # Safety
    ///
    /// Undoes one `enter` on the same CPU.
    #[inline(always)]
    pub(super) unsafe fn exit() {
        let now: u8;
        // SAFETY: As in `enter`. The count was raised by it, so that this does not underflow.
        unsafe {
            #[cfg(CONFIG_HAS_SEPARATE_PREEMPT_RESCHED_BITS)]
            asm!("sub qword ptr gs:[rip + {}], 1", "sete {}", sym __preempt_count, out(reg_byte) now,
                options(nostack));
            #[cfg(not(CONFIG_HAS_SEPARATE_PREEMPT_RESCHED_BITS))]
            asm!("sub dword ptr gs:[rip + {}], 1", "sete {}", sym __preempt_count, out(reg_byte) now,
                options(nostack));
        }
        // 0: nothing keeps preemption off, and a task waits for the CPU.
        if now != 0 {
            // SAFETY: The count is 0, as in `preempt_enable()` at this point.
            unsafe { bindings::vc_preempt_schedule() };
        }
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
    use crate::bindings;

    #[inline(always)]
    pub(super) fn enter() -> u32 {
        // SAFETY: No precondition; `exit` undoes it.
        unsafe { bindings::vc_cpu_enter() }
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
