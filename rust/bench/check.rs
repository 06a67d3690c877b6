// SPDX-License-Identifier: GPL-2.0

//! The content check: many areas at once, each with a signature of its own in every page.
//!
//! Runs apart from the timed passes. By addresses it catches areas that overlap, or that have no guard
//! page between them; by signatures it catches mappings of wrong pages.

use super::{
    ground,
    line::Spec,
    scenario::{Scenario, Shapes, Stuff},
    side::{Ask, Held, Pages, Side},
    statistics::sort,
};
use kernel::{page::PAGE_SIZE, prelude::*};

/// Most areas held at once, and most pages of all of them.
const MOST_AREAS: u32 = 64;
const MOST_PAGES: u32 = 4_096;

/// Words between two that carry a signature.
const WORDS_APART: usize = 64;

/// The result of the check.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All is well, in this number of areas.
    Good(u32),
    /// There was nothing to check.
    Nothing,
    /// Areas that overlap, or touch each other without a guard page.
    Overlap,
    /// A page that does not hold its signature.
    Content,
    /// An area that does not start where the alignment says.
    Align,
    /// Other areas live than should.
    Live,
}

impl Verdict {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Verdict::Good(_) => "ok",
            Verdict::Nothing => "none",
            Verdict::Overlap => "overlap",
            Verdict::Content => "content",
            Verdict::Align => "align",
            Verdict::Live => "live",
        }
    }

    pub(super) const fn is_good(self) -> bool {
        matches!(self, Verdict::Good(_))
    }
}

/// An area, with the pages under it where they are the laboratory's own.
struct Kept {
    area: Held,
    align: u32,
    pages: Option<Pages>,
}

/// Areas that are freed on every way out.
struct Keep<'a, S: Side> {
    side: &'a S,
    stuff: Stuff,
    areas: KVec<Kept>,
}

impl<S: Side> Drop for Keep<'_, S> {
    fn drop(&mut self) {
        for kept in &self.areas {
            match self.stuff {
                Stuff::Addresses => self.side.va_free(kept.area),
                Stuff::Mapped => self.side.vunmap(kept.area),
                Stuff::Memory => self.side.vfree(kept.area),
                Stuff::Nothing => {}
            }
        }
    }
}

/// The signature of a page of an area.
fn signature(area: usize, page: usize) -> u64 {
    let mixed = ((area as u64) << 32) | page as u64;
    // Room for the number of a word within the page.
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) & !0xff
}

/// Calls `f` with each page of each area: the area's number, the page's, and where it begins.
fn each_page(areas: &[Kept], mut f: impl FnMut(usize, usize, *mut u64) -> bool) -> bool {
    areas.iter().enumerate().all(|(i, kept)| {
        ground::resched();
        (0..kept.area.pages as usize)
            .all(|page| f(i, page, (kept.area.addr + page * PAGE_SIZE) as *mut u64))
    })
}

/// See [`Scenario::check`].
pub(super) fn check<S: Side, C: Scenario<S>>(spec: &Spec, side: &S) -> Result<Verdict> {
    if C::STUFF == Stuff::Nothing {
        return Ok(Verdict::Nothing);
    }
    let mut shapes = Shapes::new(spec, 0)?;
    let mut keep = Keep {
        side,
        stuff: C::STUFF,
        areas: KVec::new(),
    };
    let mut budget = MOST_PAGES;
    // At least two, however large: one area alone cannot overlap.
    while keep.areas.len() < MOST_AREAS as usize && (keep.areas.len() < 2 || budget > 0) {
        let (pages, align) = shapes.next();
        budget = budget.saturating_sub(pages);
        keep.areas.reserve(1, GFP_KERNEL)?;
        let (area, pages) = match C::STUFF {
            Stuff::Mapped => {
                let pages = Pages::new(pages)?;
                (side.vmap(&pages), Some(pages))
            }
            Stuff::Memory => {
                let align = align as usize * PAGE_SIZE;
                (
                    side.vmalloc(Ask {
                        align,
                        ..Ask::plain(pages)
                    }),
                    None,
                )
            }
            _ => (side.va_alloc(pages, align), None),
        };
        if let Some(area) = area {
            keep.areas.push(Kept { area, align, pages }, GFP_KERNEL)?;
        } else if ground::signalled() {
            return Err(EINTR);
        } else if budget == 0 {
            break;
        }
    }

    let aligned =
        |k: &Kept| k.align == 1 || k.area.addr.checked_rem(k.align as usize * PAGE_SIZE) == Some(0);
    if !keep.areas.iter().all(aligned) {
        return Ok(Verdict::Align);
    }
    let mut ranges = KVec::with_capacity(keep.areas.len(), GFP_KERNEL)?;
    for kept in &keep.areas {
        let gross = kept.area.pages as usize + usize::from(side.guards());
        ranges.push(
            (kept.area.addr, kept.area.addr + gross * PAGE_SIZE),
            GFP_KERNEL,
        )?;
    }
    sort(&mut ranges);
    let apart = |pair: &[(usize, usize)]| matches!(pair, [a, b] if a.1 <= b.0);
    if !ranges.windows(2).all(apart) {
        return Ok(Verdict::Overlap);
    }
    let good = Verdict::Good(keep.areas.len() as u32);
    if C::STUFF == Stuff::Addresses {
        return Ok(good);
    }
    each_page(&keep.areas, |area, page, at| {
        for (i, word) in (0..PAGE_SIZE / 8).step_by(WORDS_APART).enumerate() {
            // SAFETY: The side says that this page belongs to an area that we hold, and the
            // areas were just seen not to overlap.
            unsafe {
                at.add(word)
                    .write_volatile(signature(area, page) + i as u64)
            };
        }
        true
    });
    let right = each_page(&keep.areas, |area, page, at| {
        let here = (0..PAGE_SIZE / 8)
            .step_by(WORDS_APART)
            .enumerate()
            .all(|(i, word)| {
                // SAFETY: As above.
                unsafe { at.add(word).read_volatile() == signature(area, page) + i as u64 }
            });
        let under = keep.areas.get(area).and_then(|kept| kept.pages.as_ref());
        here && under.is_none_or(|p| p.first_word(page) == Some(signature(area, page)))
    });
    Ok(if right { good } else { Verdict::Content })
}
