// SPDX-License-Identifier: GPL-2.0

//! vm_map_ram() as a side of its own: the in-tree allocator's faster way to map pages.

use super::{allocator::InTree, Held, Pages, Side};

pub(crate) struct MapRam;

impl Side for MapRam {
    fn vmap(&self, pages: &Pages) -> Option<Held> {
        InTree.map_ram(pages)
    }

    fn vunmap(&self, area: Held) {
        InTree.unmap_ram(area)
    }

    fn purge(&self) {
        InTree.purge();
    }

    /// Small mappings are side by side in a block.
    fn guards(&self) -> bool {
        false
    }

    fn va_alloc(&self, pages: u32, align: u32) -> Option<Held> {
        // Areas that only live beside the ones measured.
        InTree.va_alloc(pages, align)
    }

    fn va_free(&self, area: Held) {
        InTree.va_free(area)
    }
}
