// SPDX-License-Identifier: GPL-2.0

//! Lists of areas, linked by their descriptors: one to which every CPU pushes without a lock, and one
//! that has a single owner.

use crate::{
    sys::sync::{
        AtomicU32,
        Ordering::{Acquire, Relaxed, Release},
    },
    va::area::{Descriptor, Descriptors, Id, Link, NO_ID},
};

/// A list of areas, linked by their descriptors. Anybody may push at any time, and a taker takes the
/// whole list. There is no pop, hence no ABA.
pub struct Stack {
    head: AtomicU32,
}

impl Stack {
    /// Empty.
    pub fn new() -> Self {
        Self {
            head: AtomicU32::new(NO_ID.word()),
        }
    }

    /// Puts an area in front. Any context. True if the list was empty.
    pub fn push(&self, descriptors: &Descriptors, id: Id) -> bool {
        let Some(descriptor) = descriptors.held(id) else {
            return false;
        };
        let mut head = self.head.load(Relaxed);
        loop {
            descriptor.set_link(Link::to(Id::from_word(head)));
            match self
                .head
                .compare_exchange(head, id.word(), Release, Relaxed)
            {
                Ok(_) => return head == NO_ID.word(),
                Err(now) => head = now,
            }
        }
    }

    /// Takes the whole list. Any context.
    pub fn take(&self) -> List {
        // Saves the exchange if the list is empty, as it usually is.
        if self.head.load(Relaxed) == NO_ID.word() {
            return List(NO_ID);
        }
        List(Id::from_word(self.head.swap(NO_ID.word(), Acquire)))
    }
}

/// Areas linked by their descriptors, all held by one owner.
pub struct List(Id);

impl Default for List {
    fn default() -> Self {
        Self(NO_ID)
    }
}

impl List {
    /// Puts an area in front.
    pub fn push(&mut self, descriptors: &Descriptors, id: Id) {
        if let Some(descriptor) = descriptors.held(id) {
            descriptor.set_link(Link::to(self.0));
            self.0 = id;
        }
    }

    /// Puts a clean area in front, for readers to see that it is not lazy.
    #[inline(always)]
    pub fn push_clean(&mut self, descriptors: &Descriptors, id: Id) {
        if let Some(descriptor) = descriptors.held(id) {
            descriptor.set_link(Link::to_clean(self.0));
            self.0 = id;
        }
    }

    /// Takes the first area out.
    #[inline(always)]
    pub fn pop(&mut self, descriptors: &Descriptors) -> Option<Id> {
        let id = self.0;
        self.0 = descriptors.linked(id)?.link().id();
        Some(id)
    }

    /// As [`Self::pop`], with the descriptor. Takes nothing out, and says nothing, if the first area has none.
    #[inline(always)]
    pub fn pop_described<'d>(
        &mut self,
        descriptors: &'d Descriptors,
    ) -> Option<(Id, &'d Descriptor)> {
        let id = self.0;
        // Without a look whether the list is empty: `NO_ID` has no descriptor.
        let descriptor = descriptors.get(id)?;
        self.0 = descriptor.link().id();
        descriptors.prefetch(self.0);
        Some((id, descriptor))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0 == NO_ID
    }

    /// The areas, first to last, left in place.
    pub fn iter<'a>(&self, descriptors: &'a Descriptors) -> impl Iterator<Item = Id> + 'a {
        let mut at = self.0;
        core::iter::from_fn(move || {
            let id = at;
            at = descriptors.linked(id)?.link().id();
            Some(id)
        })
    }
}
