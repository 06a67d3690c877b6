// SPDX-License-Identifier: GPL-2.0

//! When an address is clean: what a flush proves, what it must cover, and the lists that wait for it.

pub mod epochs;
pub mod list;
pub mod plan;
