// SPDX-License-Identifier: GPL-2.0

//! The host's memory. A test can make the n-th allocation fail, or all from that one on.

pub use super::held::without_reclaim;
use super::held::{assert_may_allocate, assert_may_free, assert_may_reclaim};
pub use crate::sys::{Mode, NoMemory};
use std::cell::Cell;

std::thread_local! {
    static FAIL_NTH: Cell<u64> = const { Cell::new(0) };
    /// Whether those after it fail, too, and whether they do so now.
    static FAIL_ON: Cell<(bool, bool)> = const { Cell::new((false, false)) };
}

/// Lets the `n`-th allocation of this thread from now on fail (1 is the next, 0 none).
pub fn fail_nth(n: u64) {
    FAIL_NTH.with(|f| f.set(n));
    FAIL_ON.with(|on| on.set((false, false)));
}

/// As [`fail_nth`], and all allocations after that one, until one of the two is called again.
pub fn fail_from_nth(n: u64) {
    fail_nth(n);
    FAIL_ON.with(|on| on.set((true, false)));
}

/// The rest of the countdown that [`fail_nth`] set.
pub fn fail_nth_left() -> u64 {
    FAIL_NTH.with(|f| f.get())
}

pub(super) fn charge(mode: Mode) -> Result<(), NoMemory> {
    assert_may_allocate();
    if mode == Mode::Sleep {
        assert_may_reclaim();
    }
    FAIL_NTH.with(|f| {
        let n = f.get();
        f.set(n.saturating_sub(1));
        let (all, failing) = FAIL_ON.with(Cell::get);
        if n == 1 || failing {
            FAIL_ON.with(|on| on.set((all, all)));
            Err(NoMemory)
        } else {
            Ok(())
        }
    })
}

/// One value on the heap, which must not be freed where the kernel could not free memory.
pub struct Box<T>(std::boxed::Box<T>);

impl<T> Drop for Box<T> {
    #[track_caller]
    fn drop(&mut self) {
        assert_may_free();
    }
}

impl<T> std::ops::Deref for Box<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> std::ops::DerefMut for Box<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// Moves `value` to the heap.
pub fn boxed<T>(value: T, mode: Mode) -> Result<Box<T>, NoMemory> {
    charge(mode)?;
    Ok(Box(std::boxed::Box::new(value)))
}

/// An array on the heap.
pub fn boxed_array<T, const N: usize>(
    mode: Mode,
    init: impl FnMut(usize) -> T,
) -> Result<Box<[T; N]>, NoMemory> {
    boxed(std::array::from_fn(init), mode)
}

/// A large value on the heap.
pub type LargeBox<T> = std::boxed::Box<T>;

/// A large array on the heap.
pub fn large_array<T, const N: usize>(
    mode: Mode,
    init: impl FnMut(usize) -> T,
) -> Result<LargeBox<[T; N]>, NoMemory> {
    charge(mode)?;
    // Not through the stack, which is small under loom.
    let values: Vec<T> = (0..N).map(init).collect();
    values.try_into().map_err(|_| NoMemory)
}

/// A value on the heap with several owners.
pub type Shared<T> = std::sync::Arc<T>;

/// Moves `value` to the heap, to be shared.
pub fn shared<T>(value: T, mode: Mode) -> Result<Shared<T>, NoMemory> {
    charge(mode)?;
    Ok(Shared::new(value))
}

/// A slice on the heap whose length never changes.
pub struct Table<T>(Vec<T>);

impl<T> Table<T> {
    /// Makes a table of `len` values, the i-th of which is `init(i)`.
    ///
    /// # Errors
    ///
    /// [`NoMemory`], of the table or of `init`.
    pub fn try_new(
        len: usize,
        mode: Mode,
        init: impl FnMut(usize) -> Result<T, NoMemory>,
    ) -> Result<Self, NoMemory> {
        charge(mode)?;
        (0..len).map(init).collect::<Result<Vec<_>, _>>().map(Self)
    }
}

impl<T> std::ops::Deref for Table<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> std::ops::DerefMut for Table<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}
