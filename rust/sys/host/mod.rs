// SPDX-License-Identifier: GPL-2.0

//! The host's world: `std`, or loom. It knows what a thread holds, and panics where the kernel would
//! sleep, or ask for memory, in the wrong place.

mod bug;
mod held;
pub mod mem;
mod slot;
pub mod sync;

pub use bug::{broken, found_broken};
