// SPDX-License-Identifier: GPL-2.0

//! The tests of lib/test_vmalloc.c, under their own names, written anew over any side.
//!
//! An operation is one round of a test's loop. Areas that a test allocates before its loop exist before
//! the clock starts. `pcpu_alloc_test` and the two `kvfree_rcu` tests are missing: they reach the
//! in-tree allocator only.

use super::{At, Hoard, Scenario, Stuff};
use crate::{
    ground,
    line::Spec,
    measure::Step,
    rng::Rng,
    side::{Ask, Held, Pages, Side},
};
use kernel::{
    bindings::{GFP_ATOMIC, GFP_KERNEL, GFP_NOWAIT, __GFP_NOWARN, __GFP_ZERO},
    page::PAGE_SIZE,
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

pub(crate) const FIX_SIZE: u8 = 0;
pub(crate) const FULL_FIT: u8 = 1;
pub(crate) const LONG_BUSY_LIST: u8 = 2;
pub(crate) const RANDOM_SIZE: u8 = 3;
pub(crate) const FIX_ALIGN: u8 = 4;
pub(crate) const RANDOM_SIZE_ALIGN: u8 = 5;
pub(crate) const ALIGN_SHIFT: u8 = 6;
pub(crate) const NO_BLOCK: u8 = 7;

/// Areas that `long_busy_list_alloc_test` holds.
const BUSY: u32 = 15_000;
/// THREAD_ALIGN << 1 on x86-64.
const TWICE_THREAD_ALIGN: usize = 32 << 10;

/// One of the tests that are a loop of vmalloc() and vfree().
pub(crate) struct Test<const WHICH: u8>;

impl<const WHICH: u8> Test<WHICH> {
    /// The areas that the test holds while its loop runs.
    fn hold<S: Side>(hoard: &mut Hoard<'_, S>, side: &S, stop: &Atomic<bool>) -> Result {
        match WHICH {
            LONG_BUSY_LIST => {
                for _ in 0..BUSY {
                    hoard.add(side.vmalloc(Ask::plain(1)))?;
                }
            }
            FULL_FIT => {
                // Free every second one, so that the address space is full of holes of one page.
                let mut junk = Hoard::new(side, S::vfree);
                let count =
                    (u32::BITS - ground::cpus().leading_zeros()) * ((32 << 20) / PAGE_SIZE as u32);
                for _ in 0..count {
                    // This takes half a second, and a signal must end it.
                    if stop.load(Relaxed) {
                        return Err(EINTR);
                    }
                    hoard.add(side.vmalloc(Ask::plain(1)))?;
                    junk.add(side.vmalloc(Ask::plain(1)))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    #[inline]
    fn ask(spec: &Spec, rng: &mut Rng, round: u32) -> Ask {
        let zeroed = |pages, align| Ask {
            pages,
            align,
            gfp: GFP_KERNEL | __GFP_ZERO,
        };
        match WHICH {
            FIX_SIZE => Ask::plain(spec.pages.max),
            LONG_BUSY_LIST => Ask::plain(100),
            RANDOM_SIZE => Ask::plain(rng.within(1, 100)),
            FIX_ALIGN => zeroed(5, TWICE_THREAD_ALIGN),
            RANDOM_SIZE_ALIGN => {
                let random = rng.within(0, 255);
                zeroed(random % 10 + 1, 1 << (random % 23))
            }
            ALIGN_SHIFT => Ask {
                // The larger ones fail by intention; no message for each.
                gfp: GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN,
                ..zeroed(1, 1 << (round % usize::BITS))
            },
            NO_BLOCK => Ask {
                gfp: if rng.within(0, 1) == 1 {
                    GFP_ATOMIC
                } else {
                    GFP_NOWAIT
                },
                ..Ask::plain(spec.pages.max)
            },
            _ => Ask::plain(1),
        }
    }
}

impl<S: Side, const WHICH: u8> Scenario<S> for Test<WHICH> {
    const STUFF: Stuff = Stuff::Memory;

    fn prepare(_spec: &Spec, _side: &S, _live: &mut KVVec<Held>) -> Result<Self> {
        Ok(Test)
    }

    fn worker<'a>(&'a self, at: At<'a, S>) -> Result<impl Step + 'a> {
        let mut hoard = Hoard::new(at.side, S::vfree);
        Self::hold(&mut hoard, at.side, at.stop)?;
        let mut rng = Rng::new(at.spec.seed, at.thread);
        let mut round = 0u32;
        Ok(move || {
            let _held = &hoard;
            let ask = Self::ask(at.spec, &mut rng, round);
            round = round.wrapping_add(1);
            let atomic = (WHICH == NO_BLOCK).then(ground::no_preemption);
            let area = at.side.vmalloc(ask);
            drop(atomic);
            let Some(area) = area else { return false };
            // This one test allocates a second area beside the first.
            let second = match WHICH {
                LONG_BUSY_LIST => at.side.vmalloc(Ask::plain(1)),
                _ => None,
            };
            if !matches!(WHICH, FIX_ALIGN | RANDOM_SIZE_ALIGN | ALIGN_SHIFT) {
                area.touch();
            }
            at.side.vfree(area);
            if let Some(second) = second {
                second.touch();
                at.side.vfree(second);
            }
            WHICH != LONG_BUSY_LIST || second.is_some()
        })
    }
}

/// `vm_map_ram_test`.
pub(crate) struct VmMapRam {
    pages: Pages,
}

impl<S: Side> Scenario<S> for VmMapRam {
    const STUFF: Stuff = Stuff::Nothing;

    fn prepare(spec: &Spec, _side: &S, _live: &mut KVVec<Held>) -> Result<Self> {
        Ok(VmMapRam {
            pages: Pages::new(spec.pages.max)?,
        })
    }

    fn worker<'a>(&'a self, at: At<'a, S>) -> Result<impl Step + 'a> {
        Ok(move || {
            let Some(area) = at.side.map_ram(&self.pages) else {
                return false;
            };
            area.touch();
            at.side.unmap_ram(area);
            true
        })
    }
}

/// `vrealloc_test`: from one page to four, back, to half a page, to a page.
pub(crate) struct Vrealloc;

impl<S: Side> Scenario<S> for Vrealloc {
    const STUFF: Stuff = Stuff::Nothing;

    fn prepare(_spec: &Spec, _side: &S, _live: &mut KVVec<Held>) -> Result<Self> {
        Ok(Vrealloc)
    }

    fn worker<'a>(&'a self, at: At<'a, S>) -> Result<impl Step + 'a> {
        const SIZES: [usize; 4] = [4 * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE / 2, PAGE_SIZE];
        Ok(move || {
            let Some(mut area) = at.side.vmalloc(Ask::plain(1)) else {
                return false;
            };
            area.touch();
            let kept = SIZES.iter().all(|size| {
                let moved = at.side.vrealloc(area, *size);
                area = moved.unwrap_or(area);
                moved.is_some() && area.touched()
            });
            at.side.vfree(area);
            kept
        })
    }
}
