// SPDX-License-Identifier: GPL-2.0

//! rust/core, built on the host: the same files as in the module, behind `std`.

#[path = "../../../../rust/core/mod.rs"]
pub mod va;
