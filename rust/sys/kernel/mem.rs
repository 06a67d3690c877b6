// SPDX-License-Identifier: GPL-2.0

//! Boxes and tables from the kernel's allocators, as sleeping or not as `Mode` says.

pub use crate::sys::{Mode, NoMemory};
use kernel::{alloc::Flags, prelude::*, sync::Arc};

pub(super) fn flags(mode: Mode) -> Flags {
    match mode {
        Mode::Sleep => GFP_KERNEL | __GFP_NOWARN,
        Mode::Gentle | Mode::NoWait => GFP_NOWAIT | __GFP_NOWARN,
    }
}

/// One value on the heap.
pub type Box<T> = KBox<T>;

/// Moves `value` to the heap.
pub fn boxed<T>(value: T, mode: Mode) -> Result<Box<T>, NoMemory> {
    KBox::new(value, flags(mode)).map_err(|_| NoMemory)
}

/// An array on the heap, made in place: nothing of it goes through the stack.
pub fn boxed_array<T, const N: usize>(
    mode: Mode,
    init: impl FnMut(usize) -> T,
) -> Result<Box<[T; N]>, NoMemory> {
    KBox::init(pin_init::init_array_from_fn(init), flags(mode)).map_err(|_| NoMemory)
}

/// A large value on the heap, perhaps of several pieces of memory.
pub type LargeBox<T> = KVBox<T>;

/// As [`boxed_array`], of many values.
pub fn large_array<T, const N: usize>(
    mode: Mode,
    init: impl FnMut(usize) -> T,
) -> Result<LargeBox<[T; N]>, NoMemory> {
    KVBox::init(pin_init::init_array_from_fn(init), flags(mode)).map_err(|_| NoMemory)
}

/// A value on the heap with several owners.
pub type Shared<T> = Arc<T>;

/// Moves `value` to the heap, to be shared.
pub fn shared<T>(value: T, mode: Mode) -> Result<Shared<T>, NoMemory> {
    Arc::new(value, flags(mode)).map_err(|_| NoMemory)
}

/// A slice on the heap whose length never changes.
pub struct Table<T>(KVVec<T>);

impl<T> Table<T> {
    /// Makes a table of `len` values, the i-th of which is `init(i)`.
    ///
    /// # Errors
    ///
    /// [`NoMemory`], of the table or of `init`.
    pub fn try_new(
        len: usize,
        mode: Mode,
        mut init: impl FnMut(usize) -> Result<T, NoMemory>,
    ) -> Result<Self, NoMemory> {
        let mut v = KVVec::with_capacity(len, flags(mode)).map_err(|_| NoMemory)?;
        for i in 0..len {
            v.push_within_capacity(init(i)?).map_err(|_| NoMemory)?;
        }
        Ok(Self(v))
    }
}

impl<T> core::ops::Deref for Table<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> core::ops::DerefMut for Table<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}
