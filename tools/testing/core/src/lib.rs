// SPDX-License-Identifier: GPL-2.0

//! rust/va on the host's rust/sys (`std` or loom): the same files as in the module; and code that the
//! tests and the fuzz targets share.
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
#[cfg(not(loom))]
pub mod env;
pub mod first_fit;
pub mod flushes;
pub mod inputs;
#[cfg(not(loom))]
pub mod laws;
#[cfg(not(loom))]
pub mod model;
pub mod pair;
#[cfg(not(loom))]
pub mod rows;
pub mod sorted;

/// What the arena looks like, and whether that came from the cache.
pub fn look<E: va::Env>(manager: &va::Manager<E>) -> (va::info::cache::Info, bool) {
    let mut info = va::info::cache::Info::default();
    let cached = manager.info(&mut info);
    (info, cached)
}
