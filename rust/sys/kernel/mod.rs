// SPDX-License-Identifier: GPL-2.0

//! The kernel's world.

pub mod mem;
mod once_box;
mod percpu;
pub mod preempt;
pub mod sync;
