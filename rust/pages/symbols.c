// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel functions that no module may link, and that vmapcache cannot do without.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/kernel.h>
#include <linux/set_memory.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "pages.h"
#include "resolve.h"
#include "symbols.h"

/* Stands in for alloc_pages_bulk_mempolicy() if the kernel has none: there is one node. */
static unsigned long bulk_of_this_node(gfp_t gfp, unsigned long nr_pages,
				       struct page **page_array)
{
	return alloc_pages_bulk(gfp, nr_pages, page_array);
}

DEFINE_STATIC_CALL_RET0(vc_vmap_pages_range_noflush, vc_proto_vmap_pages_range_noflush);
DEFINE_STATIC_CALL_NULL(vc_vunmap_range_noflush, vc_proto_vunmap_range_noflush);
#ifndef VMAPCACHE_FLUSH_IS_INLINE
DEFINE_STATIC_CALL_NULL(vc_flush_tlb_kernel_range, vc_proto_flush_tlb_kernel_range);
#endif
DEFINE_STATIC_CALL(vc_free_pages_bulk, free_pages_one_by_one);
DEFINE_STATIC_CALL(vc_alloc_pages_bulk_mempolicy, bulk_of_this_node);
DEFINE_STATIC_CALL_RET0(vc___get_vm_area_caller, __get_vm_area_caller);
#ifdef CONFIG_DEBUG_OBJECTS_FREE
DEFINE_STATIC_CALL_NULL(vc_debug_check_no_obj_freed, debug_check_no_obj_freed);
#endif
DEFINE_STATIC_CALL_RET0(vc_ftrace_location, ftrace_location);
DEFINE_STATIC_CALL_NULL(vc_kvfree_rcu_barrier, kvfree_rcu_barrier);
#ifdef CONFIG_LTO_CLANG
DEFINE_STATIC_CALL_RET0(vc_kallsyms_on_each_symbol, kallsyms_on_each_symbol);
#endif
DEFINE_STATIC_CALL_RET0(vc_set_direct_map_invalid_noflush, set_direct_map_invalid_noflush);
DEFINE_STATIC_CALL_RET0(vc_set_direct_map_default_noflush, set_direct_map_default_noflush);

enum {
	SYM_KALLSYMS_LOOKUP_NAME,
	SYM_VMAP_PAGES_RANGE_NOFLUSH,
	SYM_VUNMAP_RANGE_NOFLUSH,
#ifndef VMAPCACHE_FLUSH_IS_INLINE
	SYM_FLUSH_TLB_KERNEL_RANGE,
#endif
	SYM_FREE_PAGES_BULK,
	SYM_ALLOC_PAGES_BULK_MEMPOLICY,
	SYM_GET_VM_AREA_CALLER,
#ifdef CONFIG_DEBUG_OBJECTS_FREE
	SYM_DEBUG_CHECK_NO_OBJ_FREED,
#endif
	SYM_FTRACE_LOCATION,
	SYM_KVFREE_RCU_BARRIER,
#ifdef CONFIG_LTO_CLANG
	SYM_KALLSYMS_ON_EACH_SYMBOL,
#endif
	SYM_VMAP_NOTIFY_LIST,
	SYM_SAVED_COMMAND_LINE,
	SYM_SET_DIRECT_MAP_INVALID_NOFLUSH,
	SYM_SET_DIRECT_MAP_DEFAULT_NOFLUSH,
};

static struct vc_symbol symbols[] = {
	[SYM_KALLSYMS_LOOKUP_NAME] = {
		"kallsyms_lookup_name", NULL, "CONFIG_KPROBES and CONFIG_KALLSYMS", false },
	[SYM_VMAP_PAGES_RANGE_NOFLUSH] = {
		"vmap_pages_range_noflush", NULL, "CONFIG_KALLSYMS and CONFIG_MMU", false },
	[SYM_VUNMAP_RANGE_NOFLUSH] = {
		"vunmap_range_noflush", NULL, "CONFIG_KALLSYMS and CONFIG_MMU", false },
#ifndef VMAPCACHE_FLUSH_IS_INLINE
	[SYM_FLUSH_TLB_KERNEL_RANGE] = {
		"flush_tlb_kernel_range", NULL, "CONFIG_KALLSYMS and CONFIG_MMU", false },
#endif
	[SYM_FREE_PAGES_BULK] = {
		"free_pages_bulk", NULL, "CONFIG_KALLSYMS", true },
	[SYM_ALLOC_PAGES_BULK_MEMPOLICY] = {
		"alloc_pages_bulk_mempolicy_noprof", NULL, "CONFIG_KALLSYMS and CONFIG_NUMA", true },
	[SYM_GET_VM_AREA_CALLER] = {
		"__get_vm_area_caller", NULL, "CONFIG_KALLSYMS and CONFIG_MMU", false },
#ifdef CONFIG_DEBUG_OBJECTS_FREE
	[SYM_DEBUG_CHECK_NO_OBJ_FREED] = {
		"debug_check_no_obj_freed", NULL, "CONFIG_KALLSYMS", true },
#endif
	[SYM_FTRACE_LOCATION] = {
		"ftrace_location", NULL, "CONFIG_DYNAMIC_FTRACE", true },
	[SYM_KVFREE_RCU_BARRIER] = {
		"kvfree_rcu_barrier", NULL, "CONFIG_KALLSYMS", true },
#ifdef CONFIG_LTO_CLANG
	[SYM_KALLSYMS_ON_EACH_SYMBOL] = {
		"kallsyms_on_each_symbol", NULL, "CONFIG_KALLSYMS", false },
#endif
	[SYM_VMAP_NOTIFY_LIST] = {
		"vmap_notify_list", NULL, "CONFIG_KALLSYMS_ALL", true },
	[SYM_SAVED_COMMAND_LINE] = {
		"saved_command_line", NULL, "CONFIG_KALLSYMS_ALL", true },
	[SYM_SET_DIRECT_MAP_INVALID_NOFLUSH] = {
		"set_direct_map_invalid_noflush", NULL, "CONFIG_ARCH_HAS_SET_DIRECT_MAP", true },
	[SYM_SET_DIRECT_MAP_DEFAULT_NOFLUSH] = {
		"set_direct_map_default_noflush", NULL, "CONFIG_ARCH_HAS_SET_DIRECT_MAP", true },
};

static struct blocking_notifier_head *purge_chain;
static bool forbids_huge;

/*
 * Whether the kernel was booted with this parameter, whatever its value. What mm/vmalloc.c has made of it is a
 * static variable, and clang may keep the opposite there.
 */
static int on_command_line(const char *name, bool *found)
{
	char **line = find_data(&symbols[SYM_SAVED_COMMAND_LINE]);
	char *copy, *rest, *param, *value;

	*found = false;
	if (!line)
		return 0;
	copy = kstrdup(*line, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	for (rest = skip_spaces(copy); *rest && !*found;) {
		rest = next_arg(rest, &param, &value);
		/* The kernel hands the rest to init. */
		if (!value && !strcmp(param, "--"))
			break;
		*found = !strcmp(param, name);
	}
	kfree(copy);
	return 0;
}

/* As resolve(), by the symbol's number. */
#define find(call, index)	resolve(call, &symbols[index])

/**
 * vc_symbols_resolve() - find every symbol and point the static calls at them
 *
 * Context: Task context, may sleep. Once, before any other function of this room.
 * Return: 0, or -ENOENT after a line that names the missing symbol and its options; or -ENOMEM.
 */
int vc_symbols_resolve(void)
{
	int err = resolve_lookup(&symbols[SYM_KALLSYMS_LOOKUP_NAME]);

	if (!err)
		err = find(vc_vmap_pages_range_noflush, SYM_VMAP_PAGES_RANGE_NOFLUSH);
	if (!err)
		err = find(vc_vunmap_range_noflush, SYM_VUNMAP_RANGE_NOFLUSH);
#ifndef VMAPCACHE_FLUSH_IS_INLINE
	if (!err)
		err = find(vc_flush_tlb_kernel_range, SYM_FLUSH_TLB_KERNEL_RANGE);
#endif
#ifdef VMAPCACHE_HAS_FREE_PAGES_BULK
	if (!err)
		err = find(vc_free_pages_bulk, SYM_FREE_PAGES_BULK);
#endif
	if (!err)
		err = find(vc_alloc_pages_bulk_mempolicy, SYM_ALLOC_PAGES_BULK_MEMPOLICY);
	if (!err)
		err = find(vc___get_vm_area_caller, SYM_GET_VM_AREA_CALLER);
#ifdef CONFIG_DEBUG_OBJECTS_FREE
	if (!err)
		err = find(vc_debug_check_no_obj_freed, SYM_DEBUG_CHECK_NO_OBJ_FREED);
#endif
	if (!err)
		err = find(vc_ftrace_location, SYM_FTRACE_LOCATION);
	if (!err)
		err = find(vc_kvfree_rcu_barrier, SYM_KVFREE_RCU_BARRIER);
#ifdef CONFIG_LTO_CLANG
	if (!err)
		err = find(vc_kallsyms_on_each_symbol, SYM_KALLSYMS_ON_EACH_SYMBOL);
#endif
	if (!err)
		err = find(vc_set_direct_map_invalid_noflush, SYM_SET_DIRECT_MAP_INVALID_NOFLUSH);
	if (!err)
		err = find(vc_set_direct_map_default_noflush, SYM_SET_DIRECT_MAP_DEFAULT_NOFLUSH);
	if (!err)
		purge_chain = find_data(&symbols[SYM_VMAP_NOTIFY_LIST]);
	if (!err)
		err = on_command_line("nohugevmalloc", &forbids_huge);
	return err;
}

#ifdef CONFIG_LTO_CLANG

struct renamed {
	const char *name;
	unsigned long address;
};

static int is_renamed(void *data, const char *name, unsigned long address)
{
	struct renamed *wanted = data;
	size_t len = str_has_prefix(name, wanted->name);

	if (!len || !str_has_prefix(name + len, ".llvm."))
		return 0;
	/* Its number is the end, or this is a part of it that was split off. */
	if (strchr(name + len + strlen(".llvm."), '.'))
		return 0;
	wanted->address = address;
	return 1;
}

/* A static function that LTO has made known to other files may have a number in its name. */
static unsigned long renamed_by_lto(const char *name)
{
	struct renamed wanted = { .name = name };

	static_call(vc_kallsyms_on_each_symbol)(is_renamed, &wanted);
	return wanted.address;
}

#else

static unsigned long renamed_by_lto(const char *name)
{
	return 0;
}

#endif

/**
 * vc_symbol_address() - where a function of the kernel begins
 * @name: its name, without what LTO may have added
 *
 * Only a static call may use it: see symbols.h.
 *
 * Context: Task context, may sleep. After vc_symbols_resolve().
 * Return: the address, or 0 if there is no such function.
 */
unsigned long vc_symbol_address(const char *name)
{
	return static_call(vc_kallsyms_lookup_name)(name) ?: renamed_by_lto(name);
}

/**
 * vc_purge_chain() - the chain of register_vmap_purge_notifier()
 *
 * Context: Any.
 * Return: the chain, or NULL if the kernel does not tell its address.
 */
struct blocking_notifier_head *vc_purge_chain(void)
{
	return purge_chain;
}

/**
 * vc_huge_allowed() - whether huge pages may map an area
 *
 * Not on a machine that was booted with nohugevmalloc, as in-tree; if the kernel does not tell, they may.
 *
 * Context: Any.
 */
bool vc_huge_allowed(void)
{
	return IS_ENABLED(CONFIG_HAVE_ARCH_HUGE_VMALLOC) && !forbids_huge;
}

/**
 * vc_symbol() - the index-th symbol, or NULL behind the last
 * @index: from 0
 *
 * Context: Any.
 */
const struct vc_symbol *vc_symbol(unsigned int index)
{
	return index < ARRAY_SIZE(symbols) ? &symbols[index] : NULL;
}
