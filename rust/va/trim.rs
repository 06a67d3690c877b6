// SPDX-License-Identifier: GPL-2.0

//! Bookkeeping goes back when memory is short: descriptors and words of the index of pages that are all free, or all
//! inside of one area; and nodes of extents that no shard needs.
//!
//! Areas that came and went leave all three behind. The next ones need them again, so nobody gives them back before the
//! kernel asks. A trim goes through the windows of the arena, from where the last one ended. Under the lock of a
//! window's shard it looks which pages are free, or inside of an area, and takes out of use what only an area that
//! begins or ends there would need. No allocation or free does more for that than before: without the lock nobody gives
//! pages back or takes them. Readers are without a lock; so the memory waits in a [`Limbo`], and goes when the worker has waited for them
//! ([`Manager::finish_trim`]).
//!
//! # Invariants
//!
//! - Nothing leaves the limbo before all readers that began earlier have ended.

use crate::{
    sys::{
        mem::{boxed, Box, Mode, NoMemory},
        sync::{
            free_unread, AtomicU64, AtomicUsize, Limbo, Mutex,
            Ordering::{Acquire, Relaxed},
        },
        Page,
    },
    va::{
        area::{
            descriptors::{Chunk, CHUNK_PAGES},
            index::{Words, WINDOW},
            Descriptor,
        },
        space::range::Range,
        Env, Manager,
    },
};

/// Chunks of descriptors of one window.
const CHUNKS: usize = (WINDOW / CHUNK_PAGES) as usize;

/// Windows to look at before other tasks may run.
const PART: u32 = 64;

/// Windows that one wait for readers serves at least and at most. Room for each costs 136 bytes all the time.
const LIMBO: (u32, u32) = (32, 512);

/// The task that trims has this.
struct Trimmer {
    chunks: Limbo<Chunk>,
    words: Limbo<Words>,
    /// The next window to look at.
    next: u32,
    /// [`Trims::at`] of the pass through all windows that is under way.
    began: u64,
}

impl Trimmer {
    /// For an arena of `pages` pages. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    fn new(pages: u32) -> Result<Self, NoMemory> {
        let windows = (pages.div_ceil(WINDOW) / 64).clamp(LIMBO.0, LIMBO.1) as usize;
        Ok(Self {
            chunks: Limbo::new(windows * CHUNKS, Mode::Sleep)?,
            words: Limbo::new(windows, Mode::Sleep)?,
            next: 0,
            began: 0,
        })
    }

    /// Whether all of a window finds room.
    fn has_room(&self) -> bool {
        self.chunks.room() >= CHUNKS && self.words.room() > 0
    }

    fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.words.is_empty()
    }
}

/// The state of an arena's trims.
pub(super) struct Trims {
    trimmer: Mutex<Trimmer>,
    /// Pages that had been dissolved when the last pass through all windows began.
    at: AtomicU64,
    /// Bytes that this pass has left.
    left: AtomicUsize,
    /// Bytes that somebody wanted, but the limbo was full, or the worker had it.
    wanted: AtomicUsize,
}

impl Trims {
    /// For an arena of `pages` pages. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    // Not inlined, and boxed: the frame of `Manager::new` has no room for it.
    #[inline(never)]
    pub(super) fn new(pages: u32) -> Result<Box<Self>, NoMemory> {
        let trims = Self {
            trimmer: Mutex::new(Trimmer::new(pages)?)?,
            at: AtomicU64::new(0),
            left: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
        };
        boxed(trims, Mode::Sleep)
    }
}

impl<E: Env> Manager<E> {
    /// Bytes of bookkeeping that is made on demand: for areas, and for areas that were.
    pub fn bookkeeping(&self) -> usize {
        self.descriptors.bytes() + self.index.bytes() + self.shards.bytes()
    }

    /// Bytes that [`Self::trim`] might take, at most: nothing if it has just looked at all, and hardly an area was
    /// dissolved since. A few loads, in any context.
    pub fn trimmable(&self) -> usize {
        let dissolved = self.shared.dissolved_gross.load(Relaxed);
        let since = dissolved.wrapping_sub(self.trims.at.load(Relaxed));
        let seen = match since {
            since if since < u64::from(WINDOW) => self.trims.left.load(Relaxed),
            _ => 0,
        };
        self.bookkeeping().saturating_sub(seen)
    }

    /// Takes some `most` bytes of bookkeeping out of use that no area needs, and asks for [`Self::finish_trim`], which
    /// frees them. Returns the bytes: fewer if there are no more, or earlier ones wait to be freed. Waits for nobody,
    /// but may let other tasks run.
    pub fn trim(&self, most: usize) -> usize {
        let Some(mut trimmer) = self.trims.trimmer.try_lock() else {
            self.trims.wanted.fetch_max(most, Relaxed);
            self.env.kick_trim();
            return 0;
        };
        let taken = self.trim_locked(&mut trimmer, most);
        if !trimmer.is_empty() {
            self.env.kick_trim();
        }
        taken
    }

    /// Waits for readers and frees what [`Self::trim`] has taken; then also what it had no room for. Sleeps, for long.
    pub fn finish_trim(&self) {
        let mut trimmer = self.trims.trimmer.lock();
        loop {
            let Trimmer { chunks, words, .. } = &mut *trimmer;
            free_unread(chunks, words);
            let wanted = self.trims.wanted.swap(0, Relaxed);
            if wanted == 0 || self.trim_locked(&mut trimmer, wanted) == 0 {
                return;
            }
        }
    }

    fn trim_locked(&self, trimmer: &mut Trimmer, most: usize) -> usize {
        let mut taken = self.trim_extents(most);
        let windows = self.index.windows();
        for _ in 0..windows {
            if taken >= most {
                break;
            }
            if !trimmer.has_room() {
                self.trims
                    .wanted
                    .fetch_max(most.saturating_sub(taken), Relaxed);
                break;
            }
            if trimmer.next == 0 {
                trimmer.began = self.shared.dissolved_gross.load(Acquire);
            }
            taken += self.trim_window(trimmer);
            trimmer.next += 1;
            if trimmer.next >= windows {
                trimmer.next = 0;
                self.trims.left.store(self.bookkeeping(), Relaxed);
                self.trims.at.store(trimmer.began, Relaxed);
            }
            if trimmer.next % PART == 0 {
                self.env.resched();
            }
        }
        taken
    }

    /// Takes what no area needs of the next window. Returns the bytes.
    fn trim_window(&self, trimmer: &mut Trimmer) -> usize {
        let number = trimmer.next;
        let start = Page::new(number.saturating_mul(WINDOW));
        let pages = self.end().max(start).since(start).min(WINDOW);
        let window = Range { start, pages };
        if !self.descriptors.any(window) && !self.index.has_words(number) {
            return 0;
        }
        let mut given = 0;
        let mut at = start;
        while at < window.end() {
            let rest = Range {
                start: at,
                pages: window.end().since(at),
            };
            let end = self.shards.with_free(at, |end, is_free| {
                let unused = |pages: Range| {
                    let here = pages.start >= at && pages.end() <= end;
                    here && (is_free(pages) || self.is_inside(pages))
                };
                given += self.descriptors.give_up(rest, unused, &mut trimmer.chunks);
                if unused(window) {
                    given += self.index.give_up(number, &mut trimmer.words);
                }
            });
            let Some(end) = end else {
                break;
            };
            at = end;
        }
        given
    }

    /// Says whether one area has all pages of `range` and begins before it. The caller keeps others from giving these
    /// pages back: so the area that the index names has them all the time.
    fn is_inside(&self, range: Range) -> bool {
        let descriptor = self.descriptors.get(self.index.get(range.start));
        let area = descriptor.and_then(Descriptor::range);
        area.is_some_and(|(start, pages)| start < range.start && start.plus(pages) >= range.end())
    }

    /// Frees nodes of extents. Returns the bytes.
    fn trim_extents(&self, most: usize) -> usize {
        let mut given = 0;
        for shard in 0..self.shards.count() {
            let mut more = true;
            while more && given < most {
                let step = self.shards.give_up(shard, most.saturating_sub(given));
                given += step.0;
                more = step.1;
                self.env.resched();
            }
        }
        given
    }
}
