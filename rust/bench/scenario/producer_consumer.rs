// SPDX-License-Identifier: GPL-2.0

//! `producer_consumer`: every even thread allocates, and the odd thread behind it frees, on another CPU
//! if there is one. Both are timed; an operation is one half of an area's way.

use super::{At, Scenario, Shapes, Stuff};
use crate::{
    ground,
    line::Spec,
    measure::Step,
    side::{Held, Side},
};
use kernel::{
    prelude::*,
    sync::atomic::{Acquire, Atomic, Relaxed, Release},
};

/// Most areas on their way; a power of two.
const RING: usize = 256;
/// Marks a slot whose allocation failed.
const FAILED: usize = 1;
/// How often to look at a slot before yielding the CPU, perhaps to the partner.
const SPINS: u32 = 200;

/// One slot: 0 in `addr` means empty. `token` is valid while it is not.
struct Slot {
    addr: Atomic<usize>,
    token: Atomic<usize>,
}

pub(crate) struct ProducerConsumer {
    /// `RING` slots for each pair of threads.
    slots: KVVec<Slot>,
}

/// Waits until a slot is full (or empty). Returns its content, or `None` if all must end.
#[inline]
fn wait(slot: &Slot, full: bool, stop: &Atomic<bool>) -> Option<usize> {
    let mut spins = 0;
    loop {
        let addr = slot.addr.load(Acquire);
        if (addr != 0) == full {
            return Some(addr);
        }
        spins += 1;
        if spins % SPINS == 0 {
            if stop.load(Relaxed) {
                return None;
            }
            ground::give_way();
        }
        core::hint::spin_loop();
    }
}

impl<S: Side> Scenario<S> for ProducerConsumer {
    const STUFF: Stuff = Stuff::Addresses;

    fn prepare(spec: &Spec, _side: &S, _live: &mut KVVec<Held>) -> Result<Self> {
        let count = (spec.threads as usize / 2)
            .checked_mul(RING)
            .ok_or(EINVAL)?;
        let mut slots = KVVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            let slot = Slot {
                addr: Atomic::new(0),
                token: Atomic::new(0),
            };
            slots.push(slot, GFP_KERNEL)?;
        }
        Ok(ProducerConsumer { slots })
    }

    fn worker<'a>(&'a self, at: At<'a, S>) -> Result<impl Step + 'a> {
        let first = at.thread as usize / 2 * RING;
        let slots = self.slots.get(first..first + RING).ok_or(EINVAL)?;
        let consumer = at.thread % 2 == 1;
        let mut shapes = Shapes::new(at.spec, at.thread)?;
        let mut i = 0;
        Ok(move || {
            let Some(slot) = slots.get(i & (RING - 1)) else {
                return false;
            };
            i += 1;
            let Some(addr) = wait(slot, consumer, at.stop) else {
                return true;
            };
            if consumer {
                let token = slot.token.load(Relaxed);
                slot.addr.store(0, Release);
                if addr > FAILED {
                    at.side.va_free(Held {
                        addr,
                        pages: 0,
                        token,
                    });
                }
                return true;
            }
            let (pages, align) = shapes.next();
            let area = at.side.va_alloc(pages, align);
            slot.token.store(area.map_or(0, |a| a.token), Relaxed);
            slot.addr.store(area.map_or(FAILED, |a| a.addr), Release);
            area.is_some()
        })
    }

    fn after(&self, side: &S) {
        for slot in &self.slots {
            let addr = slot.addr.load(Acquire);
            if addr > FAILED {
                let token = slot.token.load(Relaxed);
                side.va_free(Held {
                    addr,
                    pages: 0,
                    token,
                });
            }
            slot.addr.store(0, Relaxed);
        }
    }
}
