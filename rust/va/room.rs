// SPDX-License-Identifier: GPL-2.0

//! Whether a purge can help a request: the arena without its live areas has a gap for it, or has none.
//!
//! A purge turns lazy areas and stock into free extents, so at best everything between two live areas
//! becomes one extent. If no such gap is large enough, no purge helps, and a request that may sleep fails
//! at once: without a flush, and with all stock where it is.

use crate::{
    sys::{
        sync::Ordering::{Relaxed, Release},
        Page,
    },
    va::{report::Glance, space::extents::align_up, Env, Manager, GUARD},
};

/// A gap for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// Pages, guard page included.
    gross: u32,
    /// Alignment of the first page: a power of two, in pages.
    align: u32,
}

impl Gap {
    /// The gap that a request for `pages` pages at a multiple of `align` needs.
    pub(super) fn of(pages: u32, align: u32) -> Self {
        Self {
            gross: pages.saturating_add(GUARD),
            align,
        }
    }

    /// The gap as one word, never 0.
    fn word(self) -> u64 {
        u64::from(self.gross) << 32 | u64::from(self.align)
    }

    /// The gap that [`Self::word`] made into `word`; `None` for 0.
    fn from_word(word: u64) -> Option<Self> {
        (word != 0).then_some(Self {
            gross: (word >> 32) as u32,
            align: word as u32,
        })
    }

    /// Whether pages `from..to` have room for it.
    fn fits(self, from: Page, to: Page) -> bool {
        let end = align_up(from, self.align).and_then(|start| start.checked_plus(self.gross));
        end.is_some_and(|end| end <= to)
    }
}

/// Pages of the arena to look at before other tasks may run.
const PART: u32 = 1 << 16;

impl<E: Env> Manager<E> {
    /// Whether the arena has room for `gap` beside the areas that somebody has. What others allocate or
    /// free meanwhile may or may not count. Sleeps.
    pub(super) fn has_room(&self, gap: Gap) -> bool {
        !self.each_gap(|from, to| !gap.fits(from, to))
    }

    /// The state of the arena as it would be after a drain. Sleeps.
    pub fn look(&self) -> Glance {
        let mut seen = Glance::default();
        self.each_gap(|from, to| {
            let pages = u64::from(to.since(from));
            seen.free += pages;
            seen.largest = seen.largest.max(pages);
            true
        });
        seen
    }

    /// Shows the gaps between areas that somebody has, in ascending order, until `visit` returns false.
    /// Returns whether it never did. Sleeps.
    fn each_gap(&self, mut visit: impl FnMut(Page, Page) -> bool) -> bool {
        let mut free_from = Page::new(0);
        let mut from = free_from;
        while from < self.end() {
            let to = from.plus(PART).min(self.end());
            let more = self.walk_part(from, to, &mut |area| {
                if area.live.is_none() && !area.claimed {
                    return true;
                }
                let gap = (free_from, area.start);
                free_from = area.start.plus(area.pages).plus(GUARD);
                gap.0 >= gap.1 || visit(gap.0, gap.1)
            });
            if !more {
                return false;
            }
            from = to.max(free_from);
            self.env.resched();
        }
        free_from >= self.end() || visit(free_from, self.end())
    }

    /// Has the worker make room for `gap`. Any context but NMI.
    pub(super) fn want(&self, gap: Gap) {
        self.wanted.store(gap.word(), Relaxed);
        // Pairs with the acquire in `purge_due`, which then sees what is wanted.
        if !self.purges.kicked.swap(true, Release) {
            self.env.kick_purge();
        }
    }

    /// Whether a drain would make room for what [`Self::want`] was last called for. Sleeps.
    pub(super) fn is_drain_wanted(&self) -> bool {
        let gap = Gap::from_word(self.wanted.swap(0, Relaxed));
        gap.is_some_and(|gap| self.has_room(gap))
    }
}
