/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel functions that no module may link, as static calls: symbols.c finds
 * them, and rust/bench/symbols.c those of the laboratory; other files call them.
 *
 * Where the architecture has static calls, they are patched into direct calls. On x86, a call
 * through a pointer would fault on a CPU with IBT: the kernel seals functions whose address nobody
 * takes. On arm64, which has none, a static call is a call through its key. All functions here
 * have external linkage, so that with BTI, too, they begin with a landing pad; kCFI compares
 * types, which RET0 and NULL below lack.
 */
#ifndef VMAPCACHE_SYMBOLS_H
#define VMAPCACHE_SYMBOLS_H

#include <linux/debugobjects.h>
#include <linux/ftrace.h>
#include <linux/gfp.h>
#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/pgtable.h>
#include <linux/set_memory.h>
#include <linux/slab.h>
#include <linux/static_call.h>
#include <linux/vmalloc.h>

#if !defined(CONFIG_HAVE_STATIC_CALL) && (!defined(CONFIG_ARM64) || defined(CONFIG_CFI))
#error vmapcache needs an architecture with static calls (CONFIG_HAVE_STATIC_CALL), or arm64 without CONFIG_CFI
#endif

/* No header declares these for modules; prototypes.sh has compared them with the tree's. */
#ifdef VMAPCACHE_MAP_TAKES_GFP
int vc_proto_vmap_pages_range_noflush(unsigned long addr, unsigned long end,
				      pgprot_t prot, struct page **pages,
				      unsigned int page_shift, gfp_t gfp_mask);
#else
int vc_proto_vmap_pages_range_noflush(unsigned long addr, unsigned long end,
				      pgprot_t prot, struct page **pages,
				      unsigned int page_shift);
#endif
void vc_proto_vunmap_range_noflush(unsigned long start, unsigned long end);
#ifndef VMAPCACHE_FLUSH_IS_INLINE
void vc_proto_flush_tlb_kernel_range(unsigned long start, unsigned long end);
#endif

/* Of fork.c, which gives it to cpuhp_setup_state(): that fixes its prototype. */
int vc_proto_free_vm_stack_cache(unsigned int cpu);

struct vm_struct *vc_proto___get_vm_area_node(unsigned long size, unsigned long align,
					      unsigned long shift, unsigned long flags,
					      unsigned long start, unsigned long end, int node,
					      gfp_t gfp_mask, const void *caller);

#ifdef VMAPCACHE_HAS_FREE_PAGES_BULK
#define vc_proto_free_pages_bulk	free_pages_bulk
#else
void vc_proto_free_pages_bulk(struct page **page_array, unsigned long nr_pages);
#endif

DECLARE_STATIC_CALL(vc_vmap_pages_range_noflush, vc_proto_vmap_pages_range_noflush);
DECLARE_STATIC_CALL(vc_vunmap_range_noflush, vc_proto_vunmap_range_noflush);
#ifndef VMAPCACHE_FLUSH_IS_INLINE
DECLARE_STATIC_CALL(vc_flush_tlb_kernel_range, vc_proto_flush_tlb_kernel_range);
#endif
DECLARE_STATIC_CALL(vc_free_pages_bulk, vc_proto_free_pages_bulk);
DECLARE_STATIC_CALL(vc_alloc_pages_bulk_mempolicy, alloc_pages_bulk_mempolicy_noprof);
DECLARE_STATIC_CALL(vc___get_vm_area_caller, __get_vm_area_caller);
#ifdef CONFIG_DEBUG_OBJECTS_FREE
DECLARE_STATIC_CALL(vc_debug_check_no_obj_freed, debug_check_no_obj_freed);
#endif
/* The guards of rust/face/guards.c, and the hooks under them, use these. */
DECLARE_STATIC_CALL(vc_ftrace_location, ftrace_location);
DECLARE_STATIC_CALL(vc_kvfree_rcu_barrier, kvfree_rcu_barrier);
#ifdef CONFIG_LTO_CLANG
DECLARE_STATIC_CALL(vc_kallsyms_on_each_symbol, kallsyms_on_each_symbol);
#endif
DECLARE_STATIC_CALL(vc_set_direct_map_invalid_noflush, set_direct_map_invalid_noflush);
DECLARE_STATIC_CALL(vc_set_direct_map_default_noflush, set_direct_map_default_noflush);

/* The filter of takeover uses this, and vc___module_address below. */
DECLARE_STATIC_CALL(vc_kernel_text_address, kernel_text_address);

/* The laboratory calls the in-tree allocator by these. */
DECLARE_STATIC_CALL(vc_get_vm_area, get_vm_area);
DECLARE_STATIC_CALL(vc___get_vm_area_node, vc_proto___get_vm_area_node);
DECLARE_STATIC_CALL(vc_find_vm_area, find_vm_area);
DECLARE_STATIC_CALL(vc___vmalloc_node, __vmalloc_node_noprof);
DECLARE_STATIC_CALL(vc___module_address, __module_address);

struct blocking_notifier_head *vc_purge_chain(void);

#endif /* VMAPCACHE_SYMBOLS_H */
