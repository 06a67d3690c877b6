// SPDX-License-Identifier: GPL-2.0

//! The extents and, beside them, a plain linear first fit: every step does the same to both and
//! compares.

use crate::{
    choice::{Choice, Rng},
    collections::Vec,
    first_fit::FirstFit,
    knobs,
    sys::{mem::Mode, Page},
    va::space::{
        extents::{Extents, Refused},
        tree::CHUNK,
    },
};

/// One kind of load.
pub struct Mix {
    /// Pages of the shard.
    pub pages: u32,
    /// Pages of the longest request.
    pub longest: u32,
    /// Alignments are powers of two up to this exponent.
    pub exp: u32,
    /// Of 100 requests, how many want an alignment.
    pub aligned: u32,
    /// Areas that live at a time, about.
    pub live: usize,
}

/// Several.
pub const MIXES: [Mix; 4] = [
    Mix {
        pages: 3_000,
        longest: 8,
        exp: 4,
        aligned: 30,
        live: 400,
    },
    Mix {
        pages: 20_000,
        longest: 64,
        exp: 9,
        aligned: 50,
        live: 500,
    },
    Mix {
        pages: 1 << 20,
        longest: 3_000,
        exp: 20,
        aligned: 40,
        live: 600,
    },
    // A shard of 1 TiB, so that the capped maxima matter.
    Mix {
        pages: 1 << 28,
        longest: 200_000,
        exp: 23,
        aligned: 40,
        live: 700,
    },
];

/// All extents from page `from` on, as start and pages. One that holds `from` counts.
pub fn iter_from(extents: &Extents, from: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
    let mut at = Page::new(from);
    core::iter::from_fn(move || {
        let extent = extents.extent_from(at)?;
        at = extent.end;
        Some((extent.start.get(), extent.pages()))
    })
}

/// The extents, with the nodes they need, and the oracle beside them.
pub struct Pair {
    /// The extents under test.
    pub extents: Extents,
    /// The oracle.
    pub oracle: FirstFit,
    /// The taken ranges, as start and pages.
    pub live: Vec<(u32, u32)>,
}

impl Pair {
    /// A shard of `pages` pages from `start` on.
    pub fn new(start: u32, pages: u32) -> Self {
        let extents = Extents::new(Page::new(start), pages, Mode::Sleep).unwrap();
        Self {
            extents,
            oracle: FirstFit::new(start, pages),
            live: Vec::new(),
        }
    }

    /// Makes sure that there are nodes for taking the next piece and giving it back.
    pub fn reserve(&mut self) {
        while !self.extents.covers(self.live.len() as u32) {
            let chunk = Extents::prepare(Mode::Sleep).unwrap();
            assert!(self.extents.donate(chunk).is_none());
        }
    }

    /// The same request to both.
    #[track_caller]
    pub fn alloc(&mut self, pages: u32, align: u32) -> Option<u32> {
        self.reserve();
        let got = self.extents.alloc(pages, align, &mut 0).map(Page::get);
        assert_eq!(
            got,
            self.oracle.alloc(pages, align),
            "alloc({pages}, {align})"
        );
        if let Some(start) = got {
            self.live.push((start, pages));
        }
        got
    }

    /// Gives back the range that begins at `start`.
    #[track_caller]
    pub fn free(&mut self, start: u32) {
        let i = self.live.iter().position(|l| l.0 == start).unwrap();
        self.free_nth(i);
    }

    /// Gives back the `i`-th of [`Self::live`].
    #[track_caller]
    pub fn free_nth(&mut self, i: usize) {
        let (start, pages) = self.live.swap_remove(i);
        self.extents.free(Page::new(start), pages).unwrap();
        self.oracle.free(start, pages);
    }

    /// Compares all there is to compare.
    #[track_caller]
    pub fn check(&self) {
        self.extents.validate().unwrap();
        assert!(iter_from(&self.extents, 0).eq(self.oracle.iter()));
        assert_eq!(self.extents.largest(), self.oracle.largest());
        assert_eq!(self.extents.free_pages(), self.oracle.free_pages());
        assert_eq!(self.extents.count() as usize, self.oracle.iter().count());
    }

    /// One random thing of a load; `more` of 100 times it takes something.
    pub fn step(&mut self, choice: &mut impl Choice, mix: &Mix, more: u32) {
        match choice.below(100) {
            n if n < more => {
                let align = if choice.below(100) < mix.aligned {
                    choice.below(mix.exp + 1)
                } else {
                    0
                };
                // Mostly short ones.
                let longest = 1 + choice.below(mix.longest);
                self.alloc(1 + choice.below(longest), 1 << align);
            }
            n if n < 97 && !self.live.is_empty() => {
                let i = choice.below(self.live.len() as u32) as usize;
                self.free_nth(i);
            }
            97 => self.take_somewhere(choice, mix),
            98 => self.free_what_is_free(choice),
            _ => {
                let start = choice.below(mix.pages);
                let page = Page::new(start);
                assert_eq!(self.extents.head_run(page), self.oracle.head_run(start));
                assert_eq!(self.extents.tail_run(page), self.oracle.tail_run(start));
                let rest = self.oracle.iter().filter(|e| e.0 + e.1 > start);
                assert!(iter_from(&self.extents, start).eq(rest));
            }
        }
    }

    fn take_somewhere(&mut self, choice: &mut impl Choice, mix: &Mix) {
        let (start, pages) = (choice.below(mix.pages), 1 + choice.below(mix.longest));
        self.reserve();
        let got = self.extents.take_at(Page::new(start), pages);
        assert_eq!(got, self.oracle.take_at(start, pages));
        if got {
            self.live.push((start, pages));
        }
    }

    fn free_what_is_free(&mut self, choice: &mut impl Choice) {
        let Some(&(start, pages)) = self.live.first() else {
            return;
        };
        let Some((free, length)) = self.oracle.iter().nth(choice.below(3) as usize) else {
            return;
        };
        let wrong = [
            (free, 1),
            (free + length - 1, 1),
            (free, length),
            (start, free.saturating_sub(start) + 1),
        ];
        for (start, pages) in wrong {
            if self.oracle.is_free(start, pages) != Some(false) {
                self.refused(start, pages);
            }
        }
        // And once more after it is given back.
        self.free(start);
        self.refused(start, pages);
    }

    fn refused(&mut self, start: u32, pages: u32) {
        let freed = self.extents.free(Page::new(start), pages);
        assert_eq!(freed, Err(Refused::Overlap));
    }

    /// Drops the nodes that nobody needs; those for the taken pieces and one more stay.
    #[track_caller]
    pub fn give_up(&mut self) {
        let pieces = self.live.len() as u32;
        let covered = self.extents.covers(pieces);
        while self.extents.give_up(pieces).is_some() {
            assert!(self.extents.covers(pieces));
        }
        assert_eq!(self.extents.covers(pieces), covered);
        self.extents.validate().unwrap();
    }

    /// Gives all back, and checks that they are one extent then, of as few nodes as can be.
    pub fn finish(mut self) {
        while !self.live.is_empty() {
            self.free_nth(0);
        }
        self.check();
        assert_eq!(self.extents.count(), 1);
        self.give_up();
        self.check();
        assert_eq!(self.extents.spare(), CHUNK - 1);
    }
}

/// Whether the extents use their free-area cache.
#[derive(Clone, Copy, PartialEq)]
pub enum CacheUse {
    /// Always.
    On,
    /// Never.
    Off,
    /// Now and then.
    Toggled,
}

/// So many operations of a load, on both.
pub fn differential(seed: u64, mix: &Mix, operations: u32, cache: CacheUse) {
    knobs::begin(seed);
    let mut rng = Rng::new(seed);
    // Shards begin anywhere.
    let mut pair = Pair::new(rng.below(1 << 12), mix.pages);
    pair.extents.set_cache(cache != CacheUse::Off);
    for op in 0..operations {
        if cache == CacheUse::Toggled && rng.below(50) == 0 {
            pair.extents.set_cache(rng.below(2) == 0);
        }
        // Now the shard fills up, now it empties.
        let filling = (op / 2_000) % 2 == 0;
        let more = if pair.live.len() > mix.live * 2 {
            10
        } else if filling {
            65
        } else {
            40
        };
        pair.step(&mut rng, mix, more);
        if op % 500 == 0 {
            pair.check();
        }
        if op % 700 == 0 {
            pair.give_up();
            pair.check();
        }
    }
    pair.finish();
}
