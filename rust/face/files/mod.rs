// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs and procfs.

pub(crate) mod debugfs;
pub(crate) mod directory;
pub(crate) mod info;
pub(crate) mod number;
pub(crate) mod procfs;
mod takeover;
mod words;
