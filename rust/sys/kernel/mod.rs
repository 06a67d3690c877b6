// SPDX-License-Identifier: GPL-2.0

//! The kernel's world.

mod bug;
pub mod mem;
mod once_box;
mod percpu;
pub mod preempt;
pub mod sync;

pub use bug::{broken, found_broken};
