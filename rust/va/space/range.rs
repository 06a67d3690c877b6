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

/// The place of `pages` pages among [`SIZES`].
#[inline(always)]
pub fn size_of(pages: u32) -> usize {
    // The logarithm of `pages`, rounded up; an odd number, so that there is a highest bit.
    let odd = pages.wrapping_mul(2).wrapping_sub(1);
    (31 ^ odd.leading_zeros()) as usize % SIZES
}
