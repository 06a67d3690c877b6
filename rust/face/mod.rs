// SPDX-License-Identifier: GPL-2.0

//! Others meet vmapcache here: the allocator, its exports, the functions that the kernel calls, and files.

pub(crate) mod allocator;
pub(crate) mod events;
mod exports;
mod failure;
pub(crate) mod files;
pub(crate) mod guards;
pub(crate) mod published;
mod surroundings;
pub(crate) mod takeover;
mod trace;
