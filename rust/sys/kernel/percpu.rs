// SPDX-License-Identifier: GPL-2.0

//! One value per CPU, which the CPU itself uses without a lock or an atomic instruction.
//!
//! The *owner* of a slot is the code that runs on its CPU with preemption off ([`PerCpu::enter`]). A
//! *remote* task may claim the slot ([`PerCpu::with_each`]): it closes the CPU's *door*, the pointer by which
//! an owner finds its slot, waits for an RCU grace period, and then has the slot alone. In short, biased
//! locking: the rare side pays for both.
//!
//! # Why it is sound
//!
//! At most one `&mut T` of a slot exists at any time, because
//!
//! - *owner against owner*: code with preemption off on one CPU is interrupted by hard interrupts,
//!   softirqs and NMIs only, and each of those ends before what it interrupted goes on. `busy` is
//!   written on that CPU alone; code that finds it set has interrupted an owner, and gets nothing. An
//!   interrupt between the read of `busy` and the write leaves it clear again when it ends.
//! - *owner against remote*: a region with preemption off is an RCU read-side critical section
//!   (`synchronize_rcu_expedited` has waited for them since the RCU flavors were merged in 5.0). RCU
//!   guarantees that such a region either sees what was stored before the grace period began, here
//!   the closed door, and then it does not touch the slot; or ends before the grace period does, and then
//!   the remote task sees all writes of the region.
//! - *remote against owner*: a door is opened with release and read with acquire, so that an
//!   owner that finds it open sees all writes of the remote task.
//! - *remote against remote*: a mutex.
//!
//! RCU does not watch a CPU in its idle loop, on its last steps offline, or before it is up. No code
//! that runs there allocates or frees areas; an interrupt taken there makes RCU watch first. A CPU
//! that is offline is quiescent: the grace period does not wait for it, and nothing runs on it.
//!
//! An NMI is an interrupt like any other here. The holder of an [`Owned`] must not sleep, as always
//! with preemption off, and so cannot call [`PerCpu::with_each`].

use super::{
    mem::{boxed, Mode, NoMemory, Table},
    preempt::{Doors, Stay},
};
use crate::{bindings, sys::once_box::OnceBox};
use core::{
    cell::UnsafeCell,
    ffi::c_void,
    ops::{Deref, DerefMut},
    sync::atomic::{
        compiler_fence, AtomicBool,
        Ordering::{Relaxed, SeqCst},
    },
};
use kernel::{new_mutex, prelude::*, sync::Mutex};

/// The beginning of a slot. An owner that goes through a door looks at this first.
#[repr(C)]
struct Front {
    /// The owner has the value.
    busy: AtomicBool,
    /// The CPU.
    cpu: u32,
}

/// The front that an owner finds behind a closed door. No slot has it, and nobody clears its `busy`: so an owner that asks
/// whether a slot is busy need not ask whether the door is closed.
static CLOSED: Front = Front {
    busy: AtomicBool::new(true),
    cpu: 0,
};

/// One CPU's value, on cache lines of its own.
#[repr(C, align(128))]
struct Slot<T> {
    front: Front,
    value: UnsafeCell<T>,
}

// SAFETY: The value is reached through `PerCpu` only, which hands out one exclusive reference at a
// time (see above), from one CPU or task to another: so `T: Send` is enough.
unsafe impl<T: Send> Sync for Slot<T> {}

/// This CPU's value. Its holder must not sleep.
///
/// # Invariants
///
/// This is the owner of `slot`, and has set its `busy`.
pub struct Owned<'a, T> {
    slot: &'a Slot<T>,
    // Dropped last: preemption is on again only when the slot is free.
    _stay: Stay,
}

impl<T> Owned<'_, T> {
    /// The CPU.
    #[inline(always)]
    pub fn cpu(&self) -> u32 {
        self.slot.front.cpu
    }
}

impl<T> Deref for Owned<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: By the invariant, which makes this the only way to the value.
        unsafe { &*self.slot.value.get() }
    }
}

impl<T> DerefMut for Owned<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: As in `deref`; and `self` is borrowed as long as the reference lives.
        unsafe { &mut *self.slot.value.get() }
    }
}

impl<T> Drop for Owned<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        compiler_fence(SeqCst);
        self.slot.front.busy.store(false, Relaxed);
    }
}

/// The pointer that closes a door.
fn closed() -> *const c_void {
    core::ptr::from_ref(&CLOSED).cast()
}

/// One value per CPU, for each CPU that was given one.
pub struct PerCpu<T> {
    slots: Table<OnceBox<Slot<T>>>,
    /// Those to the slots. A closed one says that there is no slot, or that a remote task has it, or is
    /// about to have it.
    doors: Doors,
    remote: Pin<KBox<Mutex<()>>>,
}

impl<T> PerCpu<T> {
    /// Room for a value of each CPU below `cpus`. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(cpus: u32) -> Result<Self, NoMemory> {
        Ok(Self {
            slots: Table::new(cpus as usize, Mode::Sleep, |_| OnceBox::new())?,
            doors: Doors::new(closed())?,
            remote: KBox::pin_init(new_mutex!((), "vmapcache_percpu"), GFP_KERNEL)
                .map_err(|_| NoMemory)?,
        })
    }

    /// Whether `cpu` has a value. Any context.
    pub fn has(&self, cpu: u32) -> bool {
        self.slots
            .get(cpu as usize)
            .is_some_and(|slot| slot.get().is_some())
    }

    /// Gives `cpu` its value, which stays. Without effect if it has one. Sleeps, if not
    /// for memory, then for a remote task.
    ///
    /// # Errors
    ///
    /// [`NoMemory`], also if there is no such CPU.
    pub fn put(&self, cpu: u32, value: T, mode: Mode) -> Result<(), NoMemory> {
        let place = self.slots.get(cpu as usize).ok_or(NoMemory)?;
        let made = boxed(
            Slot {
                front: Front {
                    busy: AtomicBool::new(false),
                    cpu,
                },
                value: UnsafeCell::new(value),
            },
            mode,
        )?;
        // A remote task that closes the doors finds this one closed, or closes it, too.
        let guard = self.remote.lock();
        let surplus = place.set(made).err();
        if let (None, Some(slot)) = (&surplus, place.get()) {
            self.open(slot);
        }
        drop(guard);
        Ok(())
    }

    /// Opens the door to a slot.
    fn open(&self, slot: &Slot<T>) {
        self.doors
            .set(slot.front.cpu, core::ptr::from_ref(slot).cast());
    }

    /// This CPU's value, with preemption off until it is dropped. `None` if it has none, or a remote task
    /// has it, or the owner that this code interrupted. Any context.
    #[inline(always)]
    pub fn enter(&self) -> Option<Owned<'_, T>> {
        let (behind, stay) = Stay::here(&self.doors);
        // SAFETY: A door opens to `CLOSED`, or to a slot of this table, which stays. Both begin with a `Front`.
        let front = unsafe { &*behind.cast::<Front>() };
        if front.busy.load(Relaxed) {
            return None;
        }
        front.busy.store(true, Relaxed);
        // SAFETY: `CLOSED` is always busy, so this is a slot of this table.
        let slot = unsafe { &*behind.cast::<Slot<T>>() };
        // An interrupt on this CPU sees memory in program order; the fences make the compiler keep
        // that order.
        compiler_fence(SeqCst);
        // INVARIANT: Preemption is off as long as `stay` lives, no remote task had claimed the slot, since
        // the door was open, and no owner was interrupted: as argued above, nobody else has the value or
        // comes to it before `busy` is cleared.
        Some(Owned { slot, _stay: stay })
    }

    /// Runs `f` on each CPU's value in turn, online or not. Meanwhile owners get nothing from
    /// [`Self::enter`]. Sleeps; not from an RCU read-side critical section or with a spinlock held.
    pub fn with_each(&self, mut f: impl FnMut(u32, &mut T)) {
        let guard = self.remote.lock();
        let slots = || self.slots.iter().filter_map(OnceBox::get);
        for slot in slots() {
            self.doors.set(slot.front.cpu, closed());
        }
        // SAFETY: Task context, may sleep: this function's own condition.
        unsafe { bindings::vc_cpu_wait_owners() };
        for slot in slots() {
            let cpu = slot.front.cpu;
            // After the grace period the last owner has ended: `busy` is clear, or the argument above
            // is wrong.
            if slot.front.busy.load(Relaxed) {
                // SAFETY: No precondition.
                unsafe { bindings::vc_cpu_report_owner(cpu) };
            } else {
                // SAFETY: The slot is claimed by this task, which holds the mutex, and a grace period
                // has passed since: as argued above, no owner has it, or gets it before it is released.
                f(cpu, unsafe { &mut *slot.value.get() });
            }
            self.open(slot);
        }
        drop(guard);
    }
}
