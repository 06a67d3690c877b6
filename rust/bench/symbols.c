// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel functions that no module may link, for the laboratory: the in-tree allocator's, and
 * those that every allocator needs.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "bench.h"
#include "symbols.h"
#include "resolve.h"

DEFINE_STATIC_CALL_RET0(vc_get_vm_area, get_vm_area);
DEFINE_STATIC_CALL_RET0(vc___get_vm_area_node, vc_proto___get_vm_area_node);
DEFINE_STATIC_CALL_RET0(vc_find_vm_area, find_vm_area);
DEFINE_STATIC_CALL_RET0(vc___vmalloc_node, __vmalloc_node_noprof);
DEFINE_STATIC_CALL_RET0(vc_vmap_pages_range_noflush, vc_proto_vmap_pages_range_noflush);
DEFINE_STATIC_CALL_NULL(vc_vunmap_range_noflush, vc_proto_vunmap_range_noflush);
DEFINE_STATIC_CALL(vc_free_pages_bulk, free_pages_one_by_one);
DEFINE_STATIC_CALL_RET0(vc___module_address, __module_address);

/* Points a static call at the function @symbol, without which there is no laboratory. */
#define need(call, symbol)						\
({									\
	struct vc_symbol _needed = {					\
		.name = symbol,						\
		.needs = "CONFIG_KALLSYMS and CONFIG_MMU",		\
	};								\
									\
	resolve(call, &_needed);					\
})

/**
 * vc_bench_symbols_resolve() - find every symbol and point the static calls at them
 *
 * Context: Task context, may sleep. Once, before anything else.
 * Return: 0, or -ENOENT after a line that names the missing symbol and its options.
 */
int vc_bench_symbols_resolve(void)
{
	struct vc_symbol lookup = {
		.name = "kallsyms_lookup_name",
		.needs = "CONFIG_KPROBES and CONFIG_KALLSYMS",
	};
	int err = resolve_lookup(&lookup);

	if (!err)
		err = need(vc_get_vm_area, "get_vm_area");
	if (!err)
		err = need(vc___get_vm_area_node, "__get_vm_area_node");
	if (!err)
		err = need(vc_find_vm_area, "find_vm_area");
	if (!err)
		err = need(vc___vmalloc_node, "__vmalloc_node_noprof");
	if (!err)
		err = need(vc_vmap_pages_range_noflush, "vmap_pages_range_noflush");
	if (!err)
		err = need(vc_vunmap_range_noflush, "vunmap_range_noflush");
	if (!err)
		err = need(vc___module_address, "__module_address");
#ifdef VMAPCACHE_HAS_FREE_PAGES_BULK
	if (!err)
		err = need(vc_free_pages_bulk, "free_pages_bulk");
#endif
	return err;
}
