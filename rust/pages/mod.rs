// SPDX-License-Identifier: GPL-2.0

//! What lies at the addresses: the arena, page tables, pages, and the functions of mm/ that they need.

pub(crate) mod arena;
pub(crate) mod mapping;
pub(crate) mod symbols;
