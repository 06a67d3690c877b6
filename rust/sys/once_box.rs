// SPDX-License-Identifier: GPL-2.0

//! A heap value that is set at most once and then stays until its owner goes: a [`Slot`] that nobody can empty.
//!
//! `kernel::sync::SetOnce` does the same for a value in place. Each read of it is a function call; here a read
//! is one load.

use super::{mem::Box, sync::Slot};

/// # Invariants
///
/// Nobody takes the value out of the slot.
pub struct OnceBox<T>(Slot<T>);

impl<T> OnceBox<T> {
    /// Nothing set yet.
    pub fn new() -> Self {
        // INVARIANT: no method gives the slot away.
        Self(Slot::new())
    }

    /// The value, once it is set. Any context.
    #[inline(always)]
    pub fn get(&self) -> Option<&T> {
        self.0.get()
    }

    /// Sets the value. Gives it back if another task was faster. Any context.
    pub fn set(&self, value: Box<T>) -> Result<(), Box<T>> {
        self.0.set(value)
    }
}
