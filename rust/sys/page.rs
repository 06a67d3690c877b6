// SPDX-License-Identifier: GPL-2.0

//! The position of a page in the arena. rust/va decides who has it, and rust/pages knows its address.
//!
//! A number of pages stays a `u32`. So the compiler refuses a number where a position is meant, and
//! the other way round.

/// The position of a page in the arena: its first page is 0. It may also be the end of the arena, or
/// behind that, where no page is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Page(u32);

impl Page {
    /// The page at `position`.
    #[inline(always)]
    pub const fn new(position: u32) -> Self {
        Self(position)
    }

    /// The position as a number: for an atomic, an alignment, or a place in a table.
    #[inline(always)]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The page `pages` pages further on; the last position if there is none.
    #[inline(always)]
    pub const fn plus(self, pages: u32) -> Self {
        Self(self.0.saturating_add(pages))
    }

    /// The page `pages` pages further on, if it has a position.
    #[inline]
    pub fn checked_plus(self, pages: u32) -> Option<Self> {
        self.0.checked_add(pages).map(Self)
    }

    /// The page `pages` pages before. There must be one.
    #[inline(always)]
    pub const fn minus(self, pages: u32) -> Self {
        Self(self.0.wrapping_sub(pages))
    }

    /// Pages from `start` up to this page. `start` must not be behind it.
    #[inline(always)]
    pub const fn since(self, start: Self) -> u32 {
        self.0.wrapping_sub(start.0)
    }

    /// Whether it is one of the `pages` pages from `start` on.
    #[inline(always)]
    pub const fn is_in(self, start: Self, pages: u32) -> bool {
        // Before `start`, the difference wraps around to more than any range has.
        self.since(start) < pages
    }
}
