// SPDX-License-Identifier: GPL-2.0

//! Where clean areas go: this CPU's stock, the CPU that freed them, the depot.

use crate::{
    sys::{
        mem::{Box, Mode},
        sync::{Ordering::Relaxed, Owned},
    },
    va::{
        area::{Id, NO_CLASS},
        stock::magazine::{Chain, Depot, Local, Magazine},
        Env, Manager,
    },
};

/// So many wait for their CPU at most. One that only frees never asks for them.
const RETURNED_MAX: u32 = 4;

impl<E: Env> Manager<E> {
    /// Gives a clean mixed magazine back to the CPU that filled it, unless that has enough.
    pub(super) fn give_home(&self, magazine: Box<Magazine>) {
        if let Some(own) = self.returned.get(usize::from(magazine.home())) {
            self.shared.lazy_locks.fetch_add(1, Relaxed);
            let mut chain = own.chain.lock();
            if chain.len() < RETURNED_MAX {
                chain.push(magazine);
                own.any.store(true, Relaxed);
                return;
            }
        }
        self.shelve(magazine);
    }

    /// Takes the areas of a mixed magazine that came back into this CPU's stock. Returns it with what
    /// there is no place for.
    pub(super) fn come_home(&self, local: &mut Owned<'_, Local>) -> Option<Box<Magazine>> {
        let own = self.returned.get(local.cpu() as usize)?;
        if !own.any.load(Relaxed) {
            return None;
        }
        self.shared.lazy_locks.fetch_add(1, Relaxed);
        let mut chain = own.chain.lock();
        let back = chain.pop();
        own.any.store(!chain.is_empty(), Relaxed);
        drop(chain);
        let mut back = back?;
        back.retain(|id| {
            self.descriptors.get(id).is_some_and(|descriptor| {
                !local.keep_single(descriptor.class(), id, self.local_clean_max)
            })
        });
        Some(back)
    }

    /// Takes out what waits for CPU `cpu` to come for it.
    pub(super) fn take_returned(&self, cpu: usize) -> Chain {
        let Some(own) = self.returned.get(cpu) else {
            return Chain::new();
        };
        let mut chain = own.chain.lock();
        own.any.store(false, Relaxed);
        chain.take()
    }

    pub(super) fn put_spare(&self, local: &mut Local, empty: Box<Magazine>) {
        if !empty.ids().is_empty() {
            return self.shelve(empty);
        }
        if let Some(empty) = local.keep_spare(empty) {
            // A magazine too many is freed, outside of any spinlock.
            drop(self.depot.put_spare(empty));
        }
    }

    /// Puts a clean magazine, full or not, into the depot.
    pub(super) fn shelve(&self, mut magazine: Box<Magazine>) {
        let empty = if magazine.ids().is_empty() {
            Some(magazine)
        } else if magazine.class() == NO_CLASS {
            self.sort_out(magazine.ids().iter().copied());
            magazine.clear();
            Some(magazine)
        } else {
            let rounds = Depot::rounds(self.magazine_span, magazine.class());
            self.depot.put(magazine, rounds)
        };
        if let Some(empty) = empty {
            drop(self.depot.put_spare(empty));
        }
    }

    /// Puts clean areas into the depot, each where it belongs.
    pub(super) fn sort_out(&self, ids: impl Iterator<Item = Id>) {
        let mut spare = None;
        for id in ids {
            let class = match self.descriptors.get(id) {
                Some(descriptor) => descriptor.class(),
                None => continue,
            };
            let rounds = Depot::rounds(self.magazine_span, class);
            if self.depot.put_one(class, id, rounds, &mut spare) {
                continue;
            }
            // It takes a magazine more.
            spare = self
                .depot
                .take_spare()
                .or_else(|| Magazine::new(Mode::NoWait).ok());
            if !self.depot.put_one(class, id, rounds, &mut spare) {
                self.dissolve(&[id]);
            }
        }
        if let Some(spare) = spare {
            drop(self.depot.put_spare(spare));
        }
    }

    /// Puts one clean area into this CPU's stock. False when there is no room, or somebody else has
    /// the stock; then the caller keeps it.
    pub(super) fn stock(&self, class: u16, id: Id) -> bool {
        self.local
            .enter()
            .is_some_and(|mut local| local.stock(class, id))
    }
}
