// SPDX-License-Identifier: GPL-2.0

//! rust/core, built on the host: the same files as in the module, behind `std` or loom; and what the
//! tests, the fuzz targets and the benchmarks share.

#[path = "../../../../rust/core/mod.rs"]
pub mod va;

pub mod choice;
#[cfg(not(loom))]
pub mod env;
pub mod first_fit;
pub mod flushes;
#[cfg(not(loom))]
pub mod model;
pub mod pair;
