// SPDX-License-Identifier: GPL-2.0

//! Address to area in constant time, for any page of the area, without a lock.
//!
//! Shaped like the page tables: the arena is cut into *windows* of 512 pages (2 MiB, what one page
//! table maps). A window's table holds one word per page, the area's descriptor; it is made when
//! first needed, and goes again when memory is short and all of its pages are free or have one area
//! ([`Index::give_up`]). If one area covers a whole window, a single word says so, and the window needs no
//! table: so large areas cost no more than small ones. The window caches the area found last, next to
//! the words that a lookup reads anyway.
//!
//! # Invariants
//!
//! - A page's word names the area that holds it, in whatever state, or none. Guard pages have none.
//! - Only the holder of a range writes its words.

use crate::{
    sys::{
        broken,
        mem::{boxed_array, Box, Mode, NoMemory, Table},
        sync::{
            AtomicU32, AtomicU64, Limbo,
            Ordering::{Acquire, Relaxed, Release},
            Reading, Slot,
        },
        Page,
    },
    va::{
        area::{Id, NO_ID},
        space::range::{Range, GUARD},
    },
};

/// Pages in a window.
pub const WINDOW: u32 = 512;

/// In `last` of a window: no area.
const NO_RANGE: u64 = 0;

/// The window of `page`, and the page's place in it.
#[inline(always)]
fn place(page: Page) -> (usize, u32) {
    ((page.get() / WINDOW) as usize, page.get() % WINDOW)
}

/// One word for each page of a window.
pub type Words = [AtomicU32; WINDOW as usize];

/// What the index knows of 512 pages.
pub struct Window {
    /// The area found here last, and the pages of the window that it held: a guess that the lookup
    /// checks. It is one word, so that a wrong guess shows without a look at the area.
    last: AtomicU64,
    /// The area that takes the whole window.
    whole: AtomicU32,
    words: Slot<Words>,
}

impl Window {
    /// The area that holds `page`, which is one of this window, or `NO_ID`. Any context, no lock.
    #[inline(always)]
    pub fn get(&self, page: Page) -> Id {
        let reading = Reading::begin();
        let whole = Id::from_word(self.whole.load(Acquire));
        if whole != NO_ID {
            return whole;
        }
        let words = self.words.read(&reading);
        match words.and_then(|words| words.get(place(page).1 as usize)) {
            Some(word) => Id::from_word(word.load(Acquire)),
            None => NO_ID,
        }
    }

    /// The area found last, if it held `page` then. While all that was found here were single pages, the
    /// area that would start at `page`. A guess, which the caller must check.
    #[inline(always)]
    pub fn guess(&self, page: Page) -> Option<Id> {
        let last = self.last.load(Acquire);
        if last == NO_RANGE {
            return Some(Id::of(page));
        }
        let (first, len) = (last as u32 & 0xffff, last as u32 >> 16);
        (place(page).1.wrapping_sub(first) < len).then_some(Id::from_word((last >> 32) as u32))
    }

    /// Remembers `id`, found at `page`, with `pages` pages from `start` on, as the area found last. Does
    /// not remember a single page: that leads to its descriptor as fast.
    #[inline(always)]
    pub fn remember(&self, page: Page, id: Id, start: Page, pages: u32) {
        if pages > 1 {
            // The first page of the window.
            let base = page.minus(place(page).1);
            let first = start.max(base).since(base);
            let end = start.plus(pages).since(base).min(WINDOW);
            let range = u64::from(end.wrapping_sub(first) << 16 | first);
            self.last.store(u64::from(id.word()) << 32 | range, Release);
        }
    }
}

/// The index of one arena.
pub struct Index {
    windows: Table<Window>,
    /// Windows that have words.
    made: AtomicU32,
}

/// The parts of a range, one per window: `(window, first word, words)`.
fn parts(start: Page, pages: u32) -> impl Iterator<Item = (usize, u32, u32)> {
    let end = start.plus(pages);
    let mut at = start;
    core::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let (window, first) = place(at);
        let len = (WINDOW - first).min(end.since(at));
        at = at.plus(len);
        Some((window, first, len))
    })
}

impl Index {
    /// An index of `pages` pages, all without area. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(pages: u32) -> Result<Self, NoMemory> {
        let windows = pages.div_ceil(WINDOW) as usize;
        Ok(Self {
            windows: Table::new(windows, Mode::Sleep, |_| Window {
                whole: AtomicU32::new(NO_ID.word()),
                last: AtomicU64::new(NO_RANGE),
                words: Slot::new(),
            })?,
            made: AtomicU32::new(0),
        })
    }

    /// Makes the tables that [`Self::set`] of this range will need.
    ///
    /// # Errors
    ///
    /// [`NoMemory`]; tables made so far stay, and do no harm.
    pub fn prepare(&self, start: Page, pages: u32, mode: Mode) -> Result<(), NoMemory> {
        for (window, _, len) in parts(start, pages) {
            let Some(window) = self.windows.get(window) else {
                broken(c"the index is asked for pages that are not in the arena");
                return Err(NoMemory);
            };
            if len < WINDOW && !window.words.is_set() {
                let words: Box<Words> = boxed_array(mode, |_| AtomicU32::new(NO_ID.word()))?;
                // If another made it meanwhile, that one serves as well.
                if window.words.set(words).is_ok() {
                    self.made.fetch_add(1, Relaxed);
                }
            }
        }
        Ok(())
    }

    /// Names the area of a prepared range; `NO_ID` for none. Only for the holder of the range.
    pub fn set(&self, start: Page, pages: u32, id: Id) {
        for (window, first, len) in parts(start, pages) {
            let Some(window) = self.windows.get(window) else {
                return broken(c"the index is told of pages that are not in the arena");
            };
            if len == WINDOW {
                window.whole.store(id.word(), Release);
            } else if let Some(words) = window.words.get() {
                let words = words
                    .get(first as usize..(first + len) as usize)
                    .unwrap_or_default();
                for word in words {
                    word.store(id.word(), Release);
                }
            } else {
                broken(c"the index is told of pages that it was not prepared for");
            }
        }
    }

    /// Forgets the area of a range that has a guard page behind it.
    pub fn forget(&self, range: Range) {
        self.set(range.start, range.pages.saturating_sub(GUARD), NO_ID);
    }

    /// The window of `page`, if that is one of the arena's.
    #[inline(always)]
    pub fn window(&self, page: Page) -> Option<&Window> {
        self.windows.get(place(page).0)
    }

    /// The area that holds `page`, or `NO_ID`. Any context, no lock.
    #[inline(always)]
    pub fn get(&self, page: Page) -> Id {
        self.window(page).map_or(NO_ID, |window| window.get(page))
    }

    /// The first page at or after `page`, and before `end`, that belongs to an area, and that area.
    /// Skips windows without areas in one step each.
    pub fn next_from(&self, page: Page, end: Page) -> Option<(Page, Id)> {
        let mut at = page;
        while at < end {
            let (window, first) = place(at);
            let window = self.windows.get(window)?;
            let whole = Id::from_word(window.whole.load(Acquire));
            if whole != NO_ID {
                return Some((at, whole));
            }
            let reading = Reading::begin();
            if let Some(words) = window.words.read(&reading) {
                let words = words.get(first as usize..).unwrap_or_default();
                for (n, word) in (0..end.since(at)).zip(words) {
                    let id = Id::from_word(word.load(Acquire));
                    if id != NO_ID {
                        return Some((at.plus(n), id));
                    }
                }
            }
            at = at.plus(WINDOW - first);
        }
        None
    }

    /// Number of windows.
    pub fn windows(&self) -> u32 {
        self.windows.len() as u32
    }

    /// Whether window `number` has words.
    pub fn has_words(&self, number: u32) -> bool {
        let window = self.windows.get(number as usize);
        window.is_some_and(|window| window.words.is_set())
    }

    /// Takes the words of window `number` out of use, all of whose pages are free or have one area. The caller lets
    /// nobody take one or give one back meanwhile, and frees what it finds in `limbo` when no reader has it any more. Returns the bytes.
    pub fn give_up(&self, number: u32, limbo: &mut Limbo<Words>) -> usize {
        let window = self.windows.get(number as usize);
        if !window.is_some_and(|window| limbo.take(&window.words)) {
            return 0;
        }
        self.made.fetch_sub(1, Relaxed);
        core::mem::size_of::<Words>()
    }

    /// Bytes of what [`Self::give_up`] could take at most.
    pub fn bytes(&self) -> usize {
        self.made.load(Relaxed) as usize * core::mem::size_of::<Words>()
    }

    /// Bytes that the index takes.
    pub fn footprint(&self) -> usize {
        self.windows.len() * core::mem::size_of::<Window>() + self.bytes()
    }
}
