// SPDX-License-Identifier: GPL-2.0

//! No allocator: the page tables and pages that every allocator needs. An allocator's figure minus
//! this one is the cost of its management.
//!
//! C part: [`rust/bench/side/bare.c`](bare.c).

use super::{Held, Pages, Side};
use crate::bindings;
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// One range of addresses for each thread, held for as long as this lives.
pub(crate) struct Bare {
    /// Room for an area of each thread; empty where no address is needed.
    windows: KVec<Held>,
    next: Atomic<u32>,
}

impl Bare {
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(pages: u32, threads: u32) -> Result<Bare> {
        let mut bare = Bare {
            windows: KVec::with_capacity(threads as usize, GFP_KERNEL)?,
            next: Atomic::new(0),
        };
        for _ in 0..threads {
            let window = super::allocator::InTree.va_alloc(pages, 1).ok_or(ENOMEM)?;
            bare.windows.push(window, GFP_KERNEL)?;
        }
        Ok(bare)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        for window in &self.windows {
            super::allocator::InTree.va_free(*window);
        }
    }
}

impl Side for Bare {
    /// A thread takes its window once. Dropping the side gives it back.
    fn va_alloc(&self, _pages: u32, _align: u32) -> Option<Held> {
        let n = self.next.fetch_add(1, Relaxed) as usize;
        self.windows
            .get(n.checked_rem(self.windows.len())?)
            .copied()
    }
}

/// Maps pages into a window. False if there was no memory for page tables.
#[inline]
pub(crate) fn map(window: Held, pages: &Pages) -> bool {
    // SAFETY: The window is ours, has room for these pages, and nothing is mapped there.
    unsafe { bindings::vc_bench_bare_map(window.addr, pages.count() as usize, pages.as_ptr()) == 0 }
}

/// Clears what `map` set. Stale TLB entries may stay: nobody reads through the window.
#[inline]
pub(crate) fn unmap(window: Held) {
    // SAFETY: The window is ours.
    unsafe { bindings::vc_bench_bare_unmap(window.addr, window.pages as usize) }
}

/// Allocates as many pages as `pages` has room for, and frees them.
#[inline]
pub(crate) fn pages(room: &mut [usize]) -> bool {
    // SAFETY: The array may be written, and its length is passed along; a pointer has the size of a
    // `usize`.
    unsafe { bindings::vc_bench_bare_pages(room.len(), room.as_mut_ptr().cast()) }
}
