// SPDX-License-Identifier: GPL-2.0

//! Pages and page tables: puts pages at addresses of the arena, and takes them away.
//!
//! The [`Payload`] of a range says what is mapped there and goes with it: one word, which the owner
//! of the range keeps and passes back.
//!
//! C side: [`rust/pages/mapping.c`](mapping.c), on page_tables.c and pages.c.

use crate::{bindings, pages::arena::Arena, sys::Page};
use kernel::{
    error::{code::EAGAIN, to_result},
    prelude::*,
};

/// A `struct page *`.
pub(crate) type PagePtr = *mut bindings::page;

/// Pages of the arena, without the guard page behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) start: Page,
    pub(crate) pages: u32,
}

/// A payload says what [`Mapping`] has mapped at a range of the arena: one of
///
/// - a *run*: the range's own pages, all neighbours, so that the first one tells them all;
/// - an *array*: the range's own pages, and the array that names them;
/// - a *given* array: pages of a caller, who gave them up with the array that names them;
/// - *borrowed* pages, which still belong to the caller;
/// - *nothing*.
///
/// # Invariants
///
/// - A run is the address of its first `struct page`, with bit 0 set.
/// - An array is its address. A given one has bit 1 set, too; borrowed pages have bit 1 alone.
/// - Nothing is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload(usize);

/// C makes the words with this bit: see `vc_populate`.
const RUN: usize = bindings::VC_RUN as usize;
const GIVEN: usize = 2;
const _: () = assert!(RUN == 1);

impl Payload {
    /// Nothing is mapped.
    pub(crate) const NOTHING: Self = Self(0);
    /// The pages still belong to the caller.
    const BORROWED: Self = Self(GIVEN);

    /// The word, for [`Self::from_word`].
    #[inline(always)]
    pub(crate) fn into_word(self) -> usize {
        self.0
    }

    /// What [`Self::into_word`] returned.
    #[inline(always)]
    pub(crate) fn from_word(word: usize) -> Self {
        Self(word)
    }

    #[inline(always)]
    fn is_run(self) -> bool {
        self.0 & RUN != 0
    }

    /// Whether the pages came from a caller.
    #[inline(always)]
    pub(crate) fn is_foreign(self) -> bool {
        self.0 & GIVEN != 0
    }

    /// The address of the array that names the pages and goes with them.
    #[inline(always)]
    pub(crate) fn array(self) -> Option<usize> {
        let address = self.0 & !GIVEN;
        (!self.is_run() && address != 0).then_some(address)
    }

    /// The first page of a run.
    pub(crate) fn run(self) -> Option<PagePtr> {
        self.is_run().then_some((self.0 & !RUN) as PagePtr)
    }

    /// Whether the pages go with the range.
    pub(crate) fn owns_pages(self) -> bool {
        self.is_run() || self.array().is_some()
    }
}

/// The page tables of the arena.
pub(crate) struct Mapping {
    arena: Arena,
}

impl Mapping {
    /// Nothing is mapped in `arena`.
    pub(crate) fn new(arena: Arena) -> Self {
        Self { arena }
    }

    /// The arena.
    #[inline(always)]
    pub(crate) fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Puts new pages at a range. Sleeps if `gfp` allows it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; then no PTE of the range is set, but it needs a flush nevertheless.
    ///
    /// # Safety
    ///
    /// The range is in the arena and belongs to the caller alone; nothing is mapped in it.
    #[inline]
    pub(crate) unsafe fn populate(&self, at: Place, gfp: u32, node: i32) -> Result<Payload> {
        let mut word = 0;
        // SAFETY: The caller vouches for the range; symbols are resolved; `word` is a local variable.
        to_result(unsafe {
            bindings::vc_populate(
                self.arena.address(at.start),
                at.pages as usize,
                gfp,
                node,
                &mut word,
            )
        })
        .map_err(|e| if e == EAGAIN { ENOMEM } else { e })?;
        // INVARIANT: A run's first page with `RUN`, or the address of an array.
        Ok(Payload(word))
    }

    /// Puts pages of the caller at a range. With `give` the range takes over the array and a reference
    /// to each page, if the call succeeds. Sleeps.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; then no PTE of the range is set, but it needs a flush nevertheless.
    ///
    /// # Safety
    ///
    /// - As for [`Self::populate`].
    /// - `pages` is valid for reads of `at.pages` page pointers; with `give` it was allocated by
    ///   kmalloc or vmalloc, and nobody else frees it.
    #[inline]
    pub(crate) unsafe fn map(
        &self,
        at: Place,
        pages: *mut PagePtr,
        give: bool,
        prot: usize,
    ) -> Result<Payload> {
        let addr = self.arena.address(at.start);
        let nr = at.pages as usize;
        // SAFETY: The caller vouches for the range and for `pages`.
        let result = to_result(unsafe { bindings::vc_map(addr, nr, pages, prot) });
        if let Err(e) = result {
            // SAFETY: As above.
            unsafe { bindings::vc_unmap(addr, nr) };
            return Err(e);
        }
        // INVARIANT: An array is aligned to a pointer, so that its two lowest bits are 0.
        Ok(if give {
            Payload(pages as usize | GIVEN)
        } else {
            Payload::BORROWED
        })
    }

    /// Clears the PTEs of a range, without a flush, and frees what goes with it. Sleeps.
    ///
    /// # Safety
    ///
    /// - The range belongs to the caller alone, and nobody uses its memory any more.
    /// - [`Self::populate`] or [`Self::map`] returned `payload` for exactly this range, which was not
    ///   cleared since; or it is [`Payload::NOTHING`].
    #[inline]
    pub(crate) unsafe fn clear(&self, at: Place, payload: Payload) {
        let addr = self.arena.address(at.start);
        let nr = at.pages as usize;
        if payload.is_foreign() {
            // SAFETY: The caller vouches for the range.
            unsafe { bindings::vc_unmap(addr, nr) };
            if let Some(array) = payload.array() {
                // SAFETY: It names the pages of the range, which took it over with them.
                unsafe { bindings::vc_put_pages(nr, array as *mut PagePtr) };
            }
        } else if payload != Payload::NOTHING {
            // SAFETY: The caller vouches for the range, and `vc_populate` made the word.
            unsafe { bindings::vc_depopulate(addr, nr, payload.0) };
        }
    }
}
