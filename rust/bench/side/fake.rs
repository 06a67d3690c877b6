// SPDX-License-Identifier: GPL-2.0

//! Allocators that allocate nothing: tests measure the measuring with them.

use super::{Ask, Held, Pages, Side};
use core::hint::black_box;
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// Rounds of work in an operation of cost 1: some microseconds, so that the loop around it, which both
/// fakes share, is less than a percent.
const ROUNDS: u32 = 4_000;

/// Number of areas, handed out in turn.
const SLOTS: usize = 64;

pub(crate) struct Fake {
    cost: u32,
    /// Every n-th call fails; 0: none does.
    fail_every: u64,
    calls: Atomic<u64>,
    memory: KVVec<u8>,
    /// Bytes from one area to the next.
    stride: usize,
}

impl Fake {
    pub(crate) fn new(pages: u32, cost: u32, fail_every: u64, overlap: bool) -> Result<Fake> {
        let bytes = (pages as usize)
            .checked_mul(kernel::page::PAGE_SIZE)
            .ok_or(EINVAL)?;
        let guard = kernel::page::PAGE_SIZE;
        let whole = bytes.checked_add(guard).ok_or(EINVAL)?;
        let total = whole.checked_mul(SLOTS).ok_or(EINVAL)?;
        Ok(Fake {
            cost,
            fail_every,
            calls: Atomic::new(0),
            memory: KVVec::from_elem(0, total, GFP_KERNEL)?,
            stride: if overlap { bytes / 2 } else { whole },
        })
    }

    fn alloc(&self, pages: u32) -> Option<Held> {
        for _ in 0..self.cost.saturating_mul(ROUNDS) {
            black_box(());
        }
        let call = self.calls.fetch_add(1, Relaxed);
        if call.checked_rem(self.fail_every) == Some(self.fail_every.wrapping_sub(1)) {
            return None;
        }
        let offset = (call as usize % SLOTS).checked_mul(self.stride)?;
        Some(Held {
            addr: self.memory.as_ptr() as usize + offset,
            pages,
            token: 0,
        })
    }
}

impl Side for Fake {
    fn va_alloc(&self, pages: u32, _align: u32) -> Option<Held> {
        self.alloc(pages)
    }

    fn vmap(&self, pages: &Pages) -> Option<Held> {
        self.alloc(pages.count())
    }

    fn vmalloc(&self, ask: Ask) -> Option<Held> {
        self.alloc(ask.pages)
    }

    fn find(&self, addr: usize) -> bool {
        addr != 0
    }
}
