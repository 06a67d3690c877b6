// SPDX-License-Identifier: GPL-2.0

//! The collections in which the tests keep their models: the standard library's names, as far as the tests
//! use them, upon the kernel's vectors. A map is a sorted vector, which is fast enough for them. Where there is
//! no memory, they panic, in a kernel a BUG. tools/testing/core/src/collections.rs is the host's file of this name.

use crate::knobs;
use core::{
    iter, mem,
    ops::{Deref, DerefMut, Index, RangeBounds},
    slice,
};
use kernel::{
    alloc::{kvec::IntoIter, Flags, KVVec},
    new_mutex,
    prelude::*,
    sync::{lock, Mutex as KernelMutex},
};

/// A value on the heap.
pub type Box<T> = KBox<T>;

fn flags() -> Flags {
    if knobs::is_atomic() {
        GFP_ATOMIC
    } else {
        GFP_KERNEL
    }
}

/// Values in a row.
#[derive(Debug)]
pub struct Vec<T>(KVVec<T>);

impl<T> Vec<T> {
    /// None.
    pub const fn new() -> Self {
        Self(KVVec::new())
    }

    /// Adds one behind the last.
    pub fn push(&mut self, value: T) {
        assert!(self.0.push(value, flags()).is_ok(), "no memory");
    }

    /// Takes the last one out.
    pub fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    /// Puts one before the `i`-th.
    pub fn insert(&mut self, i: usize, value: T) {
        assert!(self.0.reserve(1, flags()).is_ok(), "no memory");
        assert!(self.0.insert_within_capacity(i, value).is_ok(), "no {i}-th");
    }

    /// Takes the `i`-th out.
    pub fn remove(&mut self, i: usize) -> T {
        match self.0.remove(i) {
            Ok(value) => value,
            Err(_) => panic!("no {i}-th"),
        }
    }

    /// Takes the `i`-th out, and puts the last one into its place.
    pub fn swap_remove(&mut self, i: usize) -> T {
        let last = self.0.len() - 1;
        self.0.swap(i, last);
        self.remove(last)
    }
}

impl<T> Default for Vec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for Vec<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Vec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> FromIterator<T> for Vec<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut all = Self::new();
        values.into_iter().for_each(|value| all.push(value));
        all
    }
}

impl<T> IntoIterator for Vec<T> {
    type Item = T;
    type IntoIter = IntoIter<T, kernel::alloc::allocator::KVmalloc>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Vec<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Keys in order, and the value of each.
pub struct BTreeMap<K, V>(Vec<(K, V)>);

/// Pairs of a map, in order.
pub type Pairs<'a, K, V> = iter::Map<slice::Iter<'a, (K, V)>, fn(&'a (K, V)) -> (&'a K, &'a V)>;

/// Pairs of a map, in order, whose values may change.
pub type PairsMut<'a, K, V> =
    iter::Map<slice::IterMut<'a, (K, V)>, fn(&'a mut (K, V)) -> (&'a K, &'a mut V)>;

impl<K: Ord, V> BTreeMap<K, V> {
    /// None.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The place of a key, or the one that it would have.
    fn place(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|pair| pair.0.cmp(key))
    }

    /// Gives `key` a value. Returns the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(i) => Some(mem::replace(&mut self.0[i].1, value)),
            Err(i) => {
                self.0.insert(i, (key, value));
                None
            }
        }
    }

    /// Takes a key out, and its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let i = self.place(key).ok()?;
        Some(self.0.remove(i).1)
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        let i = self.place(key).ok()?;
        Some(&self.0[i].1)
    }

    /// The value of a key, which may change.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let i = self.place(key).ok()?;
        Some(&mut self.0[i].1)
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// All pairs.
    pub fn iter(&self) -> Pairs<'_, K, V> {
        self.0.iter().map(|pair| (&pair.0, &pair.1))
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|pair| &pair.0)
    }

    /// The places of the pairs whose keys are in `range`.
    fn within(&self, range: impl RangeBounds<K>) -> core::ops::Range<usize> {
        let before = |pair: &(K, V)| match range.start_bound() {
            core::ops::Bound::Included(start) => pair.0 < *start,
            core::ops::Bound::Excluded(start) => pair.0 <= *start,
            core::ops::Bound::Unbounded => false,
        };
        let up_to = |pair: &(K, V)| match range.end_bound() {
            core::ops::Bound::Included(end) => pair.0 <= *end,
            core::ops::Bound::Excluded(end) => pair.0 < *end,
            core::ops::Bound::Unbounded => true,
        };
        self.0.partition_point(before)..self.0.partition_point(up_to)
    }

    /// The pairs whose keys are in `range`.
    pub fn range(&self, range: impl RangeBounds<K>) -> Pairs<'_, K, V> {
        let within = self.within(range);
        self.0[within].iter().map(|pair| (&pair.0, &pair.1))
    }

    /// The same, and their values may change.
    pub fn range_mut(&mut self, range: impl RangeBounds<K>) -> PairsMut<'_, K, V> {
        let within = self.within(range);
        self.0[within].iter_mut().map(|pair| (&pair.0, &mut pair.1))
    }
}

impl<K: Ord, V> Index<&K> for BTreeMap<K, V> {
    type Output = V;
    fn index(&self, key: &K) -> &V {
        match self.get(key) {
            Some(value) => value,
            None => panic!("no such key"),
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for BTreeMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut all = Self::new();
        pairs.into_iter().for_each(|(key, value)| {
            all.insert(key, value);
        });
        all
    }
}

/// Values in order, each once.
pub struct BTreeSet<T>(BTreeMap<T, ()>);

impl<T: Ord> BTreeSet<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T: Ord> FromIterator<T> for BTreeSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self(values.into_iter().map(|value| (value, ())).collect())
    }
}

/// A lock whose holder may sleep.
pub struct Mutex<T>(Pin<KBox<KernelMutex<T>>>);

/// There is nobody to poison a lock: its holder's test has failed, and was the last to use it.
#[derive(Debug)]
pub enum Poisoned {}

impl<T> Mutex<T> {
    /// Makes a lock around `value`.
    pub fn new(value: T) -> Self {
        match KBox::pin_init(new_mutex!(value, "vmapcache_kunit"), GFP_KERNEL) {
            Ok(mutex) => Self(mutex),
            Err(_) => panic!("no memory"),
        }
    }

    /// Waits for the lock.
    pub fn lock(&self) -> Result<lock::Guard<'_, T, lock::mutex::MutexBackend>, Poisoned> {
        Ok(self.0.lock())
    }
}
