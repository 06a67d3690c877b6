// SPDX-License-Identifier: GPL-2.0

//! Functions of the kernel by address, and which of those on a stack is the caller.

use crate::{trace::symbols, view::readable};

/// The in-tree allocator's own functions, without what compilers and memory profiling add to the names. The
/// first one above them is the caller.
const OWN: [&str; 40] = [
    "alloc_vmap_area",
    "get_vm_area",
    "get_vm_area_caller",
    "get_vm_area_node",
    "generic_ioremap_prot",
    "ioremap",
    "ioremap_cache",
    "ioremap_caller",
    "ioremap_encrypted",
    "ioremap_prot",
    "ioremap_uc",
    "ioremap_wc",
    "kvmalloc_node",
    "kvrealloc_node_align",
    "kvzalloc",
    "memremap",
    "new_vmap_block",
    "vb_alloc",
    "vcalloc",
    "vm_map_ram",
    "vmalloc",
    "vmalloc_32",
    "vmalloc_32_user",
    "vmalloc_array",
    "vmalloc_huge",
    "vmalloc_huge_node",
    "vmalloc_node",
    "vmalloc_node_range",
    "vmalloc_user",
    "vmap",
    "vmap_pfn",
    "vrealloc_node_align",
    "vzalloc",
    "vzalloc_node",
    "execmem_alloc",
    "execmem_alloc_rw",
    "execmem_cache_alloc",
    "execmem_cache_populate",
    "execmem_vmalloc",
    "module_memory_alloc",
];

/// A function's name without leading underscores, and without what compilers and memory profiling add.
fn plain(name: &str) -> &str {
    let name = name.split(['.', ' ']).next().unwrap_or(name);
    let name = name.trim_start_matches('_');
    name.strip_suffix("_noprof").unwrap_or(name)
}

/// All functions, sorted by address.
pub struct Names(Vec<(u64, String)>);

impl Names {
    /// Reads what /proc/kallsyms has.
    pub fn new(text: &str) -> Names {
        let entries = text.lines().filter_map(symbols::entry);
        let functions = entries.filter(|entry| entry.function);
        let mut all: Vec<_> = functions
            .map(|entry| match entry.module {
                Some(module) => (entry.address, format!("{} {module}", entry.name)),
                None => (entry.address, entry.name.to_string()),
            })
            .collect();
        all.sort_by_key(|(address, _)| *address);
        Names(all)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The function with this address in it.
    fn at(&self, address: u64) -> Option<&str> {
        let behind = self.0.partition_point(|(begin, _)| *begin <= address);
        let (_, name) = self.0.get(behind.checked_sub(1)?)?;
        Some(name)
    }

    /// The function that asked the allocator, by return addresses, the innermost first.
    pub fn caller(&self, stack: &[u64]) -> Option<String> {
        // A return address may lie behind the last instruction of its function.
        let mut functions = stack
            .iter()
            .map(|address| self.at(address.saturating_sub(1)));
        let own = |function: &Option<&str>| function.is_some_and(|f| OWN.contains(&plain(f)));
        let first = functions.position(|function| own(&function));
        // Else it is no stack of the allocator.
        first?;
        let found = functions.find(|function| !own(function))??;
        Some(match found.split_once(' ') {
            Some((name, module)) => format!("{} {module}", readable(name)),
            None => readable(found),
        })
    }
}
