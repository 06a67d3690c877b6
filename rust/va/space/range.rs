// SPDX-License-Identifier: GPL-2.0

//! Ranges of pages, the guard page behind each, and the places of sizes in histograms.

use crate::sys::Page;

/// Unmapped pages behind each area.
pub const GUARD: u32 = 1;

/// A range of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// First page.
    pub start: Page,
    /// Pages; never 0 in a plan.
    pub pages: u32,
}

impl Range {
    /// The page behind the last one.
    pub fn end(&self) -> Page {
        self.start.plus(self.pages)
    }
}

/// Sizes are counted by power of two: 1, 2, 3 to 4, ... pages.
pub const SIZES: usize = 32;

/// The size of an area that has a class, as counters count it. Each slot of a CPU's stock holds that of its
/// class, so that the usual way does not compute it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Pages, guard page included.
    pub gross: u16,
    /// The place among [`SIZES`].
    pub place: u8,
}

impl Size {
    /// The size of an area of `pages` pages that has a class.
    pub fn of(pages: u32) -> Self {
        Self {
            gross: (pages + GUARD) as u16,
            place: size_of(pages) as u8,
        }
    }
}

/// The place of `pages` pages among [`SIZES`].
#[inline(always)]
pub const fn size_of(pages: u32) -> usize {
    // The logarithm of `pages`, rounded up; an odd number, so that there is a highest bit.
    let odd = pages.wrapping_mul(2).wrapping_sub(1);
    (31 ^ odd.leading_zeros()) as usize % SIZES
}
