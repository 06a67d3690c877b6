// SPDX-License-Identifier: GPL-2.0

//! All descriptors, each at the place that its area's address names: the first page leads to it without a
//! search.
//!
//! Descriptors come in chunks, each made when an area first begins in its pages. When memory is short and no area begins
//! there, a chunk goes again ([`Descriptors::give_up`]). A late reader still reads descriptors: see
//! [`Reading`].
//!
//! # Invariants
//!
//! - A chunk goes only while no area begins in its pages, and none can: so nobody holds one of its descriptors.
//! - No version of a place comes twice, whatever chunk has the place: a new chunk begins with the last version of all
//!   that went.

use crate::{
    sys::{
        broken,
        mem::{boxed_array, Box, Mode, NoMemory, Table},
        sync::{keep, prefetch, AtomicU32, Limbo, Ordering::Relaxed, Reading, Slot},
        Page,
    },
    va::{
        area::{link::LINKED_MAX, Descriptor, Id, NO_ID},
        space::range::{Range, GUARD},
    },
};

/// Descriptors of a chunk: those of 32 pages, in 1 KiB. Large areas leave most of theirs unused, and another chunk each
/// time that they begin elsewhere: so what bounds all chunks is the addresses that were used, not the areas.
const CHUNK: usize = 16;

/// Pages of the areas that begin in one chunk.
pub const CHUNK_PAGES: u32 = CHUNK as u32 * (1 + GUARD);

/// Some descriptors, made together.
pub type Chunk = [Descriptor; CHUNK];

/// All descriptors. They are made in chunks when first needed.
pub struct Descriptors {
    chunks: Table<Slot<Chunk>>,
    /// Number of chunks.
    made: AtomicU32,
    /// The last version of all descriptors that went. Only the task that gives chunks up writes it.
    floor: AtomicU32,
}

impl Descriptors {
    /// Room for the descriptors of an arena of `pages` pages, as far as a link can name them. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(pages: u32) -> Result<Self, NoMemory> {
        let most = pages.min(LINKED_MAX).div_ceil(1 + GUARD);
        Ok(Self {
            chunks: Table::new((most as usize).div_ceil(CHUNK), Mode::Sleep, |_| {
                Slot::new()
            })?,
            made: AtomicU32::new(0),
            floor: AtomicU32::new(0),
        })
    }

    /// The descriptor of `id`, for a reader who holds no area there.
    #[inline(always)]
    pub fn look<'a>(&'a self, id: Id, reading: &'a Reading) -> Option<&'a Descriptor> {
        let at = id.place();
        self.chunks.get(at / CHUNK)?.read(reading)?.get(at % CHUNK)
    }

    /// A descriptor that a reader has found, once it holds its area: so it stays.
    #[inline(always)]
    pub fn keep(&self, found: &Descriptor) -> &Descriptor {
        keep(found, self)
    }

    /// The descriptor of `id`, of an area that the caller holds.
    #[inline(always)]
    pub fn get(&self, id: Id) -> Option<&Descriptor> {
        let at = id.place();
        self.chunks.get(at / CHUNK)?.get()?.get(at % CHUNK)
    }

    /// Fetches the descriptor `id`, which this CPU is about to write, into its cache. Nothing, if there is none.
    #[inline(always)]
    pub fn prefetch(&self, id: Id) {
        if let Some(descriptor) = self.get(id) {
            prefetch(descriptor);
        }
    }

    /// As [`Self::get`], which therefore exists.
    #[inline(always)]
    pub fn held(&self, id: Id) -> Option<&Descriptor> {
        let descriptor = self.get(id);
        if descriptor.is_none() {
            broken(c"an area has no descriptor");
        }
        descriptor
    }

    /// The descriptor of a list's area `id`; `None` if the list ends there.
    #[inline]
    pub fn linked(&self, id: Id) -> Option<&Descriptor> {
        if id == NO_ID {
            return None;
        }
        self.held(id)
    }

    /// Makes the descriptor of an area that will start at `start`, if nobody has made it yet.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn prepare(&self, start: Page, mode: Mode) -> Result<Id, NoMemory> {
        let id = Id::of(start);
        let Some(chunk) = self.chunks.get(id.place() / CHUNK) else {
            broken(c"an area is to begin behind the end of the arena");
            return Err(NoMemory);
        };
        if !chunk.is_set() {
            // The caller holds the page. Whoever gave up a chunk there let others take it after that.
            let floor = self.floor.load(Relaxed);
            let made: Box<Chunk> = boxed_array(mode, |_| Descriptor::new(floor))?;
            // If another task made the chunk meanwhile, that one serves as well.
            if chunk.set(made).is_ok() {
                self.made.fetch_add(1, Relaxed);
            }
        }
        Ok(id)
    }

    /// Whether areas that begin in `range` have had a descriptor.
    pub fn any(&self, range: Range) -> bool {
        self.chunks_of(range).any(|(_, chunk)| chunk.is_set())
    }

    /// Takes those chunks of `range` out of use whose pages are `unused`: no area begins there, and the caller lets none
    /// begin meanwhile. It frees what it finds in `limbo` when no reader has it any more. One task at a time. Returns
    /// the bytes.
    pub fn give_up(
        &self,
        range: Range,
        unused: impl Fn(Range) -> bool,
        limbo: &mut Limbo<Chunk>,
    ) -> usize {
        let mut given = 0;
        for (pages, chunk) in self.chunks_of(range) {
            if limbo.room() == 0 || !chunk.is_set() || !unused(pages) {
                continue;
            }
            let floor = self.floor.load(Relaxed);
            let ended = chunk.get().map_or(floor, |chunk| {
                chunk.iter().fold(floor, |last, d| later(last, d.version()))
            });
            // Before others can begin an area there.
            self.floor.store(ended, Relaxed);
            if limbo.take(chunk) {
                given += core::mem::size_of::<Chunk>();
                self.made.fetch_sub(1, Relaxed);
            }
        }
        given
    }

    /// The chunks whose pages begin in `range`, each with its pages.
    fn chunks_of(&self, range: Range) -> impl Iterator<Item = (Range, &Slot<Chunk>)> {
        let first = range.start.get().div_ceil(CHUNK_PAGES) as usize;
        let last = range.end().get().div_ceil(CHUNK_PAGES) as usize;
        let chunks = self.chunks.get(first..last).unwrap_or_default();
        chunks
            .iter()
            .zip(first as u32..)
            .map(move |(chunk, number)| {
                let start = Page::new(number * CHUNK_PAGES);
                let pages = CHUNK_PAGES.min(range.end().since(start));
                (Range { start, pages }, chunk)
            })
    }

    /// Bytes of what [`Self::give_up`] could take at most.
    pub fn bytes(&self) -> usize {
        self.made.load(Relaxed) as usize * core::mem::size_of::<Chunk>()
    }

    /// Descriptors in existence, used or not, and the bytes for them. Takes no lock.
    pub fn footprint(&self) -> (u32, usize) {
        let made = self.made.load(Relaxed) as usize;
        (
            (made * CHUNK) as u32,
            self.bytes() + self.chunks.len() * core::mem::size_of::<Slot<Chunk>>(),
        )
    }
}

/// The later one of two versions, which wrap.
fn later(a: u32, b: u32) -> u32 {
    if b.wrapping_sub(a) as i32 > 0 {
        b
    } else {
        a
    }
}
