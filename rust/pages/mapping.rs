// SPDX-License-Identifier: GPL-2.0

//! Pages and page tables: puts pages at addresses of the arena, and takes them away.
//!
//! The [`Payload`] of a range says what is mapped there and goes with it: one word, which the owner
//! of the range keeps and passes back.
//!
//! C side: [`rust/pages/mapping.c`](mapping.c), on page_tables.c and pages.c.

use crate::{bindings, pages::arena::Arena, sys::Page};
use kernel::{error::to_result, prelude::*};

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
/// - an *array*: the range's own pages, and the array that names them; a *part* if they are fewer than
///   the range has room for;
/// - a *given* array: pages of a caller, who gave them up with the array that names them;
/// - *borrowed* pages, which still belong to the caller;
/// - *nothing*.
///
/// # Invariants
///
/// - A run is the address of its first `struct page`, with bit 0 set.
/// - An array is its address. A given one has bit 1 set, too, a part has bit 2; borrowed pages have bit 1
///   alone.
/// - Nothing is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload(usize);

/// C makes the words with these two bits: see `vc_populate`.
const RUN: usize = bindings::VC_RUN as usize;
const PART: usize = bindings::VC_PART as usize;
const GIVEN: usize = 2;
const _: () = assert!(RUN == 1 && PART == 4);

impl Payload {
    /// Nothing is mapped.
    pub(crate) const NOTHING: Self = Self(0);
    /// The pages still belong to the caller.
    pub(crate) const BORROWED: Self = Self(GIVEN);

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
        let address = self.0 & !(GIVEN | PART);
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

    /// Whether the pages are the range's own, from [`Mapping::populate`].
    fn is_populated(self) -> bool {
        self.owns_pages() && !self.is_foreign()
    }

    /// Whether the range has fewer pages than it has room for.
    pub(crate) fn is_part(self) -> bool {
        !self.is_run() && self.0 & PART != 0
    }

    /// Pages that a range of `pages` has. Any context. Only for the owner of the range.
    pub(crate) fn present(self, pages: u32) -> u32 {
        if !self.is_part() {
            return pages;
        }
        // SAFETY: By the invariants this is a part, whose array lives as long as the owner of the
        // range keeps it.
        let present = unsafe { bindings::vc_pages_present(pages as usize, self.0) };
        present as u32
    }
}

/// Pages that nobody can map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadPages {
    /// There is no array.
    NoArray,
    /// An entry of the array is null.
    Hole,
    /// A page of the array has no page frame.
    NoFrame,
}

impl BadPages {
    /// Looks for the first bad one of `count` pages.
    ///
    /// # Safety
    ///
    /// `pages` is null, or valid for reads of `count` page pointers.
    #[inline(always)]
    pub(crate) unsafe fn find(pages: *mut PagePtr, count: u32) -> Option<Self> {
        // SAFETY: As the caller says.
        match unsafe { bindings::vc_pages_bad(pages, count as usize) } {
            bindings::vc_bad_pages::VC_PAGES_GOOD => None,
            bindings::vc_bad_pages::VC_PAGES_NO_ARRAY => Some(Self::NoArray),
            bindings::vc_bad_pages::VC_PAGES_HOLE => Some(Self::Hole),
            _ => Some(Self::NoFrame),
        }
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
    /// No memory. The range needs a flush. If the error is not [`Payload::NOTHING`], pages may be mapped:
    /// [`Self::clear`] must take it, where sleeping is allowed.
    ///
    /// # Safety
    ///
    /// The range is in the arena and belongs to the caller alone; nothing is mapped in it.
    #[inline]
    pub(crate) unsafe fn populate(
        &self,
        at: Place,
        gfp: u32,
        node: i32,
    ) -> Result<Payload, Payload> {
        let mut word = 0;
        // SAFETY: The caller vouches for the range; symbols are resolved; `word` is a local variable.
        let err = unsafe {
            bindings::vc_populate(
                self.arena.address(at.start),
                at.pages as usize,
                gfp,
                node,
                &mut word,
            )
        };
        // INVARIANT: A run's first page with `RUN`, or the address of an array, perhaps with `PART`.
        if err == 0 {
            Ok(Payload(word))
        } else {
            Err(Payload(word))
        }
    }

    /// As [`Self::populate`], with huge pages where memory and addresses fit. Sleeps.
    ///
    /// # Errors
    ///
    /// As [`Self::populate`], always with [`Payload::NOTHING`].
    ///
    /// # Safety
    ///
    /// As for [`Self::populate`]. The range has at least as many pages as a huge page, and `gfp` allows to sleep.
    pub(crate) unsafe fn populate_huge(
        &self,
        at: Place,
        gfp: u32,
        node: i32,
    ) -> Result<Payload, Payload> {
        let addr = self.arena.address(at.start);
        let mut word = 0;
        // SAFETY: The caller vouches for the range; symbols are resolved; `word` is a local variable.
        let err =
            unsafe { bindings::vc_populate_huge(addr, at.pages as usize, gfp, node, &mut word) };
        // INVARIANT: The address of an array; nothing if there was an error.
        if err == 0 {
            Ok(Payload(word))
        } else {
            Err(Payload(word))
        }
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
    /// - `pages` is valid for reads of `at.pages` page pointers, which [`BadPages::find`] found good; with
    ///   `give` it was allocated by kmalloc or vmalloc, and nobody else frees it.
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

    /// Clears the PTEs of a range, without a flush, and frees what goes with it. Returns the address of a
    /// given array that is in the arena: the caller must free that area. Sleeps.
    ///
    /// # Safety
    ///
    /// - The range belongs to the caller alone, and nobody uses its memory any more.
    /// - [`Self::populate`] or [`Self::map`] returned `payload` for exactly this range, which was not
    ///   cleared since; or it is [`Payload::NOTHING`].
    #[inline]
    #[must_use]
    pub(crate) unsafe fn clear(&self, at: Place, payload: Payload) -> Option<usize> {
        let addr = self.arena.address(at.start);
        let nr = at.pages as usize;
        if payload.is_foreign() {
            // SAFETY: The caller vouches for the range.
            unsafe { bindings::vc_unmap(addr, nr) };
            if let Some(array) = payload.array() {
                // SAFETY: It names the pages of the range, which took it over with them.
                unsafe { bindings::vc_put_pages(nr, array as *mut PagePtr) };
                if self.arena.page_of(array).is_some() {
                    return Some(array);
                }
                // SAFETY: The range took over the array, which is nowhere in the arena.
                unsafe { bindings::vc_free_array(array) };
            }
        } else if payload != Payload::NOTHING {
            // SAFETY: The caller vouches for the range, and `vc_populate` made the word.
            unsafe { bindings::vc_depopulate(addr, nr, payload.0) };
        } else if cfg!(CONFIG_DEBUG_PAGEALLOC) {
            // SAFETY: Any kernel address may be flushed. The owner has unmapped what it had mapped there.
            unsafe { bindings::vc_flush_unmapped(addr, nr) };
        }
        None
    }

    /// Has a debugging kernel look for live objects in a range that is freed: locks that this task holds,
    /// active timers. Any context but NMI.
    #[inline(always)]
    pub(crate) fn check_freed(&self, at: impl FnOnce() -> Place) {
        if cfg!(any(CONFIG_DEBUG_LOCK_ALLOC, CONFIG_DEBUG_OBJECTS_FREE)) {
            let at = at();
            let addr = self.arena.address(at.start);
            // SAFETY: It only looks.
            unsafe { bindings::vc_check_freed(addr, at.pages as usize) };
        }
    }

    /// Leaves the pages of a range to whoever maps them, and a given array to its owner. The range keeps
    /// showing them; its payload must become [`Payload::BORROWED`]. Any context but NMI.
    ///
    /// # Safety
    ///
    /// As for [`Self::clear`]; and nobody clears the range with `payload` any more.
    pub(crate) unsafe fn leave(&self, at: Place, payload: Payload) {
        if payload.is_populated() {
            let addr = self.arena.address(at.start);
            // SAFETY: `vc_populate` or `vc_pages_cut` made the word.
            unsafe { bindings::vc_leave(addr, at.pages as usize, payload.0) };
        }
    }

    /// How many pages a range must keep that wants to keep `keep`: huge pages stay whole. Any context. Only for
    /// the owner of the range.
    pub(crate) fn keep_whole(&self, at: Place, keep: u32) -> u32 {
        if keep >= at.pages {
            return at.pages;
        }
        let end = self.arena.address(at.start.plus(keep));
        // SAFETY: The address is in the arena.
        let whole = unsafe { bindings::vc_tables_whole(end, keep as usize) };
        whole as u32
    }

    /// A payload for the first `keep` pages of a range, or `None` if there is no memory for it, or the
    /// range has no more pages of its own than that. [`Self::shrink`] or [`Self::uncut`] must follow.
    /// Sleeps if `gfp` allows it.
    ///
    /// # Safety
    ///
    /// As for the `payload` of [`Self::clear`].
    pub(crate) unsafe fn cut(
        &self,
        at: Place,
        payload: Payload,
        keep: u32,
        gfp: u32,
    ) -> Option<Payload> {
        if !payload.is_populated() || keep == 0 || keep >= payload.present(at.pages) {
            return None;
        }
        // SAFETY: `vc_populate` or `vc_pages_cut` made the word.
        let word =
            unsafe { bindings::vc_pages_cut(at.pages as usize, payload.0, keep as usize, gfp) };
        // INVARIANT: The address of an array, with `PART`.
        (word != 0).then_some(Payload(word))
    }

    /// Gives back what [`Self::cut`] returned.
    ///
    /// # Safety
    ///
    /// `cut` is what it returned for `payload`, and nobody else has it.
    pub(crate) unsafe fn uncut(&self, payload: Payload, cut: Payload) {
        // SAFETY: As the caller says.
        unsafe { bindings::vc_pages_uncut(payload.0, cut.0) };
    }

    /// Unmaps, flushes and frees all but the first `keep` pages of a range. Sleeps.
    ///
    /// # Safety
    ///
    /// - [`Self::cut`] replaced `payload` for `keep` pages.
    /// - The range belongs to the caller, and nobody uses the other pages any more.
    pub(crate) unsafe fn shrink(&self, at: Place, payload: Payload, keep: u32) {
        let addr = self.arena.address(at.start);
        let present = payload.present(at.pages) as usize;
        // SAFETY: As the caller says.
        unsafe { bindings::vc_shrink(addr, present, payload.0, keep as usize) };
    }
}
