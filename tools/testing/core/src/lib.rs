// SPDX-License-Identifier: GPL-2.0

//! rust/va on the host's rust/sys (`std` or loom): the same files as in the module; and code that the
//! tests and the fuzz targets share. KUnit suites run a part of that in a kernel, upon its rust/sys: they
//! have files of their own in place of [`collections`] and [`knobs`].
//!
//! | command | what it does |
//! |---|---|
//! | `cargo test --release` | extents against a linear first fit, their tree against a sorted vector, the manager against a model, many threads at once |
//! | `RUSTFLAGS='--cfg loom' cargo test --release --test loom` | CPUs that act at the same time, in every order |
//! | `make mutants SET=core` | one deliberate fault after the other, each of which a test must catch |
//! | `./fuzz.sh [TARGET] [SECONDS]` | libFuzzer on sequences of operations, the flush planner, readers of /proc, and writes to debugfs |

#[path = "../../../../rust/sys/mod.rs"]
pub mod sys;
#[path = "../../../../rust/va/mod.rs"]
pub mod va;

pub mod choice;
pub mod collections;
#[cfg(not(loom))]
pub mod env;
pub mod first_fit;
#[cfg(not(loom))]
pub mod flushes;
pub mod inputs;
#[cfg(not(loom))]
pub mod knobs;
#[cfg(not(loom))]
pub mod laws;
mod look;
#[cfg(not(loom))]
pub mod model;
#[cfg(not(loom))]
pub mod pair;
#[cfg(not(loom))]
pub mod rows;
#[cfg(not(loom))]
pub mod sorted;
#[cfg(not(loom))]
pub mod sorts;

pub use look::look;
