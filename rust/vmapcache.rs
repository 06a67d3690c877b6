// SPDX-License-Identifier: GPL-2.0

//! vmapcache: kernel virtual address ranges, managed beside the in-tree allocator.
//!
//! The crate root: parameters, and the order of bring-up and tear-down.

use core::borrow::Borrow;
use kernel::prelude::*;

mod bindings;
mod face;
mod pages;
// The host crate shares these two; to it they are public.
#[allow(unreachable_pub)]
mod sys;
#[allow(unreachable_pub)]
mod va;

use face::{
    allocator::Allocator,
    events::Events,
    files::{debugfs::Debugfs, procfs::Procfs},
    guards::{self, Guards},
    published::Published,
    takeover::Takeover,
};
use kernel::sync::Arc;
use pages::{arena::Arena, symbols};

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
    /// Nobody reads or switches any more.
    _procfs: Procfs,
    _debugfs: Debugfs,
    /// No call of an in-tree function allocates here any more.
    _takeover: Takeover,
    /// Reclaims what consumers leaked; then no in-tree function leads here any more.
    _guards: Guards,
    /// Stops all other calls from the kernel.
    _events: Events,
    /// The last owner: all areas are flushed by now, and this gives the arena back.
    _allocator: Arc<Allocator>,
}

impl kernel::Module for Vmapcache {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        symbols::resolve()?;
        // The value itself since 7.3, a reference to it before.
        let mib = *Borrow::<u64>::borrow(&module_parameters::arena_mb.value());
        let arena = Arena::reserve(mib)?;
        let mib = arena.mib();
        let allocator = Allocator::new(arena)?;
        let events = Events::start(Published::new(allocator.clone()))?;
        let debugfs = Debugfs::new(allocator.clone())?;
        let procfs = Procfs::new(allocator.clone())?;
        let guards = Guards::put_on(allocator.clone())?;
        let takeover = Takeover::new();
        pr_info!(
            "arena of {mib} MiB reserved, {} kernel symbols resolved, {} guards on\n",
            symbols::all().filter(|s| s.how.is_some()).count(),
            guards::all().filter(|g| g.is_on()).count()
        );
        Ok(Self {
            _procfs: procfs,
            _debugfs: debugfs,
            _takeover: takeover,
            _guards: guards,
            _events: events,
            _allocator: allocator,
        })
    }
}
