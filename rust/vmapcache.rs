// SPDX-License-Identifier: GPL-2.0

//! vmapcache: kernel virtual address ranges, managed beside the in-tree allocator.
//!
//! The crate root: parameters, and the order in which things are brought up and torn down.

use kernel::prelude::*;

mod arena;
mod bindings;
mod symbols;

use arena::Arena;

module! {
    type: Vmapcache,
    name: "vmapcache",
    authors: ["vmapcache developers"],
    description: "Kernel virtual address ranges, managed beside the in-tree allocator",
    license: "GPL",
    params: {
        arena_mb: u64 {
            default: 0,
            description: "Size of the arena in MiB (0: four times the memory, at most 64 GiB)",
        },
    },
}

/// The loaded module. Fields are dropped in this order.
struct Vmapcache {
    _arena: Arena,
}

impl kernel::Module for Vmapcache {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        symbols::resolve()?;
        let arena = Arena::reserve(module_parameters::arena_mb.value())?;
        pr_info!(
            "arena of {} MiB reserved, {} kernel symbols resolved\n",
            arena.mib(),
            symbols::all().filter(|s| s.how.is_some()).count()
        );
        Ok(Self { _arena: arena })
    }
}
