// SPDX-License-Identifier: GPL-2.0

//! All descriptors, each at the place that its area's address names: the first page leads to it without a
//! search. A descriptor stays a descriptor until the manager goes, so that a late reader always reads one.

use crate::{
    sys::{
        broken,
        mem::{boxed_array, Box, Mode, NoMemory, Table},
        sync::{AtomicU32, OnceBox, Ordering::Relaxed},
        Page,
    },
    va::{
        area::{link::DESCRIPTORS_MAX, Descriptor, Id, NO_ID},
        space::range::GUARD,
    },
};

/// Descriptors of a chunk: those of 32 pages, in 1 KiB. Large areas leave most of theirs unused, and another chunk each
/// time that they begin elsewhere: so what bounds all chunks is the addresses that were used, not the areas.
const CHUNK: usize = 16;

type Chunk = [Descriptor; CHUNK];

/// All descriptors. They are made in chunks when first needed and never go before the manager.
pub struct Descriptors {
    chunks: Table<OnceBox<Chunk>>,
    /// Number of chunks that were made.
    made: AtomicU32,
}

impl Descriptors {
    /// Room for the descriptors of an arena of `pages` pages, as far as a link can name them. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(pages: u32) -> Result<Self, NoMemory> {
        let most = pages.div_ceil(1 + GUARD).min(DESCRIPTORS_MAX);
        Ok(Self {
            chunks: Table::new((most as usize).div_ceil(CHUNK), Mode::Sleep, |_| {
                OnceBox::new()
            })?,
            made: AtomicU32::new(0),
        })
    }

    /// The descriptor of `id`.
    #[inline(always)]
    pub fn get(&self, id: Id) -> Option<&Descriptor> {
        let at = id.word() as usize;
        self.chunks.get(at / CHUNK)?.get()?.get(at % CHUNK)
    }

    /// The descriptor of an area that the caller holds, and which therefore exists.
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
        let Some(chunk) = self.chunks.get(id.word() as usize / CHUNK) else {
            broken(c"an area is to begin behind the end of the arena");
            return Err(NoMemory);
        };
        if chunk.get().is_none() {
            let made: Box<Chunk> = boxed_array(mode, |_| Descriptor::new())?;
            // If another task made the chunk meanwhile, that one serves as well.
            if chunk.set(made).is_ok() {
                self.made.fetch_add(1, Relaxed);
            }
        }
        Ok(id)
    }

    /// Descriptors in existence, used or not, and the bytes for them. Takes no lock.
    pub fn footprint(&self) -> (u32, usize) {
        let made = self.made.load(Relaxed) as usize;
        (
            (made * CHUNK) as u32,
            made * core::mem::size_of::<Chunk>()
                + self.chunks.len() * core::mem::size_of::<OnceBox<Chunk>>(),
        )
    }
}
