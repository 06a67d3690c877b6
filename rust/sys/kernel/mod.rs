// SPDX-License-Identifier: GPL-2.0

//! The kernel's world: its locks and memory, one value per CPU, and preemption off without a call.

mod bug;
pub mod mem;
mod percpu;
pub mod preempt;
mod slot;
pub mod sync;

pub use bug::{broken, found_broken};
