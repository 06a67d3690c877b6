// SPDX-License-Identifier: GPL-2.0

//! A class: one size and one alignment, and everything that follows from them.
//!
//! # Invariants
//!
//! - No two pairs of size and alignment share a class.

use crate::va::space::range::GUARD;
use core::num::NonZeroU16;

/// The report if a table of classes lacks one.
pub const NO_PLACE: &core::ffi::CStr = c"a class has no place";

/// Largest area, in pages, that magazines keep at each of their alignments.
const ALIGNED_MAX: u32 = 256;
/// Largest area, in pages, that they keep where the request asks for no alignment.
pub const MAX_PAGES: u32 = 1024;
/// Alignments that magazines keep: 1, 2, ... 512 pages, which is what one page table maps.
const ALIGNMENTS: u32 = 10;
/// Classes of the former, [`BLOCK`] sizes at one alignment after the other, from 1 to [`BLOCK`] pages first; those of
/// larger areas follow.
const ALIGNED: u32 = ALIGNED_MAX * ALIGNMENTS;
const BLOCK: u32 = 128;
/// Alignments that [`NEAR`] has.
const NEAR_ALIGNMENTS: u32 = 8;
/// The classes that come first: 1 to 128 pages at alignments of 1 to 128 pages. A CPU has room for these in one piece.
pub const NEAR: usize = (BLOCK * NEAR_ALIGNMENTS) as usize;
/// Number of classes.
pub const CLASSES: usize = (ALIGNED + MAX_PAGES - ALIGNED_MAX) as usize;
/// Areas in a full magazine at most; with its header a magazine is 512 bytes.
pub const ROUNDS: usize = 120;

/// The exact page count and alignment of an area that magazines keep.
///
/// Counted from 1, so that "no class" is the 0 of a descriptor's tag, and costs no look of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class(NonZeroU16);

impl Class {
    /// The class of areas of `pages` pages at a multiple of `align` pages (a power of two); `None` if
    /// magazines do not keep them.
    #[inline(always)]
    pub fn from(pages: u32, align: u32) -> Option<Self> {
        let exponent = align.trailing_zeros();
        // The last condition: `align` is a power of two, checked without counting its bits.
        let number = if pages.wrapping_sub(1) < ALIGNED_MAX
            && exponent < ALIGNMENTS
            && align >> exponent == 1
        {
            let last = pages - 1;
            (last / BLOCK * ALIGNMENTS + exponent) * BLOCK + last % BLOCK + 1
        } else if pages > ALIGNED_MAX && pages <= MAX_PAGES && align == 1 {
            ALIGNED + (pages - ALIGNED_MAX)
        } else {
            return None;
        };
        Self::from_bits(number as u16)
    }

    /// As [`Self::from`], of areas whose last page comes `last` pages after the first, at a multiple of
    /// 1 << `exponent` pages; `None` also for classes that are not [near](NEAR).
    #[inline(always)]
    pub fn near(last: usize, exponent: usize) -> Option<Self> {
        if last >= BLOCK as usize {
            return None;
        }
        if exponent >= NEAR_ALIGNMENTS as usize {
            return None;
        }
        Self::at(exponent * BLOCK as usize + last)
    }

    /// The class in the tag of a descriptor.
    #[inline(always)]
    pub fn from_bits(bits: u16) -> Option<Self> {
        NonZeroU16::new(bits).map(Self)
    }

    /// A class, or none, for the tag of a descriptor.
    #[inline(always)]
    pub fn bits(class: Option<Self>) -> u16 {
        class.map_or(0, |class| class.0.get())
    }

    /// The class at place `index` of a table of [`CLASSES`] entries.
    #[inline(always)]
    pub fn at(index: usize) -> Option<Self> {
        if index < CLASSES {
            Self::from_bits(index as u16 + 1)
        } else {
            None
        }
    }

    /// Whether it is among the first [`NEAR`].
    pub fn is_near(self) -> bool {
        self.index() < NEAR
    }

    /// Its place in a table of [`CLASSES`] entries.
    #[inline(always)]
    pub fn index(self) -> usize {
        usize::from(self.0.get()).wrapping_sub(1)
    }

    /// Pages of an area, without the guard page.
    #[inline(always)]
    pub fn pages(self) -> u32 {
        let number = u32::from(self.0.get());
        if number <= ALIGNED {
            let (block, last) = ((number - 1) / BLOCK, (number - 1) % BLOCK);
            block / ALIGNMENTS * BLOCK + last + 1
        } else {
            number - ALIGNED + ALIGNED_MAX
        }
    }

    /// Pages that one area takes, guard page included.
    #[inline(always)]
    pub fn gross(self) -> u32 {
        self.pages() + GUARD
    }

    /// Pages that one area keeps from others: with the guard page, up to its alignment. This bounds
    /// stocks, since a page at a multiple of 1 MiB takes as much of the arena as 256 pages.
    #[inline(always)]
    pub fn span(self) -> u32 {
        let exponent = match u32::from(self.0.get()) {
            number if number <= ALIGNED => (number - 1) / BLOCK % ALIGNMENTS,
            _ => 0,
        };
        let below = (1 << exponent) - 1;
        (self.gross() + below) & !below
    }

    /// Areas that together keep at most `span` pages from others; one at least.
    pub fn fit(self, span: u32) -> u32 {
        // No class has 0 pages, but the compiler does not see that.
        span.checked_div(self.span()).unwrap_or(1).max(1)
    }

    /// Number of areas in a full magazine that may keep `span` pages from others.
    pub fn rounds(self, span: u32) -> u16 {
        self.fit(span).min(ROUNDS as u32) as u16
    }
}

/// Which lazy magazine of a CPU an area waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// That of its class.
    Own(Class),
    /// The one that all rare classes share.
    Mixed,
}
