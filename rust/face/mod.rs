// SPDX-License-Identifier: GPL-2.0

//! What others see: the allocator, its exports, the kernel's calls, files.

pub(crate) mod allocator;
pub(crate) mod events;
mod exports;
mod failure;
pub(crate) mod files;
pub(crate) mod guards;
pub(crate) mod published;
mod surroundings;
