// SPDX-License-Identifier: GPL-2.0

//! All descriptors. A descriptor stays a descriptor until the manager goes, so that a late reader always
//! reads one.

use crate::{
    sys::{
        broken,
        mem::{boxed_array, Box, Mode, NoMemory, Table},
        sync::{AtomicU32, Lock, LockClass, OnceBox, Ordering::Relaxed},
    },
    va::area::{link::DESCRIPTORS_MAX, Descriptor, Id, Link, NO_ID},
};

const CHUNK: usize = 64;

type Chunk = [Descriptor; CHUNK];

struct Unused {
    /// Descriptors given back, linked as a list.
    head: Id,
    /// The words of all ids from here on were never used.
    fresh: u32,
}

/// Descriptors whose areas are gone, on their way back.
#[must_use = "descriptors that are dropped are lost"]
pub struct Gone {
    first: Id,
    last: Id,
}

impl Default for Gone {
    fn default() -> Self {
        Self {
            first: NO_ID,
            last: NO_ID,
        }
    }
}

impl Gone {
    /// Adds the descriptor of an area that the index does not name any more.
    pub fn push(&mut self, descriptors: &Descriptors, id: Id) {
        if let Some(descriptor) = descriptors.held(id) {
            descriptor.set_link(Link::to(self.first));
            if self.last == NO_ID {
                self.last = id;
            }
            self.first = id;
        }
    }
}

/// All descriptors. They are made in chunks when first needed and never go before the manager.
pub struct Descriptors {
    chunks: Table<OnceBox<Chunk>>,
    unused: Lock<Unused>,
    /// `fresh` of `unused`, for readers without the lock.
    made: AtomicU32,
}

impl Descriptors {
    /// Room for `max` descriptors, but no more than a link can name. May sleep.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn new(max: u32) -> Result<Self, NoMemory> {
        let chunks = (max.min(DESCRIPTORS_MAX) as usize).div_ceil(CHUNK);
        Ok(Self {
            chunks: Table::new(chunks, Mode::Sleep, |_| OnceBox::new())?,
            unused: Lock::new(
                Unused {
                    head: NO_ID,
                    fresh: 0,
                },
                LockClass::Descriptors,
            )?,
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

    /// Takes an unused descriptor.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn take(&self, mode: Mode) -> Result<Id, NoMemory> {
        loop {
            let missing = {
                let mut unused = self.unused.lock();
                let id = unused.head;
                if let Some(descriptor) = self.linked(id) {
                    unused.head = descriptor.link().id();
                    return Ok(id);
                }
                let fresh = unused.fresh;
                let Some(chunk) = self.chunks.get(fresh as usize / CHUNK) else {
                    broken(c"there are more areas than the arena has room for");
                    return Err(NoMemory);
                };
                if chunk.get().is_some() {
                    unused.fresh = fresh + 1;
                    self.made.store(unused.fresh, Relaxed);
                    return Ok(Id::from_word(fresh));
                }
                chunk
            };
            let chunk: Box<Chunk> = boxed_array(mode, |_| Descriptor::new())?;
            // If another task made the chunk meanwhile, that one serves as well.
            drop(missing.set(chunk));
        }
    }

    /// Gives descriptors back whose areas are gone.
    pub fn give_back(&self, gone: Gone) {
        if let Some(last) = self.linked(gone.last) {
            let mut unused = self.unused.lock();
            last.set_link(Link::to(unused.head));
            unused.head = gone.first;
        }
    }

    /// Descriptors in existence, and their bytes. Takes no lock.
    pub fn footprint(&self) -> (u32, usize) {
        let made = self.made.load(Relaxed) as usize;
        let bytes = made.next_multiple_of(CHUNK) * core::mem::size_of::<Descriptor>();
        (
            made as u32,
            bytes + self.chunks.len() * core::mem::size_of::<OnceBox<Chunk>>(),
        )
    }
}
