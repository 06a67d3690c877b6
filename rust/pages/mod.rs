// SPDX-License-Identifier: GPL-2.0

//! This room maps pages at addresses: the arena, page tables, pages, and the functions of mm/ for them.

pub(crate) mod arena;
pub(crate) mod mapping;
pub(crate) mod symbols;
