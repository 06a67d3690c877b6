// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel functions that no module may link, and that vmapcache cannot do without.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>

#include "pages.h"
#include "resolve.h"
#include "symbols.h"

DEFINE_STATIC_CALL_RET0(vc_vmap_pages_range_noflush, vc_proto_vmap_pages_range_noflush);
DEFINE_STATIC_CALL_NULL(vc_vunmap_range_noflush, vc_proto_vunmap_range_noflush);
DEFINE_STATIC_CALL_NULL(vc_flush_tlb_kernel_range, vc_proto_flush_tlb_kernel_range);
DEFINE_STATIC_CALL(vc_free_pages_bulk, free_pages_one_by_one);
DEFINE_STATIC_CALL_RET0(vc___get_vm_area_caller, __get_vm_area_caller);

enum {
	SYM_KALLSYMS_LOOKUP_NAME,
	SYM_VMAP_PAGES_RANGE_NOFLUSH,
	SYM_VUNMAP_RANGE_NOFLUSH,
	SYM_FLUSH_TLB_KERNEL_RANGE,
	SYM_FREE_PAGES_BULK,
	SYM_GET_VM_AREA_CALLER,
};

static struct vc_symbol symbols[] = {
	[SYM_KALLSYMS_LOOKUP_NAME] = {
		"kallsyms_lookup_name", NULL, "CONFIG_KPROBES and CONFIG_KALLSYMS", false },
	[SYM_VMAP_PAGES_RANGE_NOFLUSH] = {
		"vmap_pages_range_noflush", NULL, "CONFIG_KALLSYMS and CONFIG_MMU", false },
	[SYM_VUNMAP_RANGE_NOFLUSH] = {
		"vunmap_range_noflush", NULL, "CONFIG_KALLSYMS and CONFIG_MMU", false },
	[SYM_FLUSH_TLB_KERNEL_RANGE] = {
		"flush_tlb_kernel_range", NULL, "CONFIG_KALLSYMS and CONFIG_MMU", false },
	[SYM_FREE_PAGES_BULK] = {
		"free_pages_bulk", NULL, "CONFIG_KALLSYMS", true },
	[SYM_GET_VM_AREA_CALLER] = {
		"__get_vm_area_caller", NULL, "CONFIG_KALLSYMS and CONFIG_MMU", false },
};

/* As resolve(), by the symbol's number. */
#define find(call, index)	resolve(call, &symbols[index])

/**
 * vc_symbols_resolve() - find every symbol and point the static calls at them
 *
 * Context: Task context, may sleep. Once, before any other function of this room.
 * Return: 0, or -ENOENT after a line that names the missing symbol and its options.
 */
int vc_symbols_resolve(void)
{
	int err = resolve_lookup(&symbols[SYM_KALLSYMS_LOOKUP_NAME]);

	if (!err)
		err = find(vc_vmap_pages_range_noflush, SYM_VMAP_PAGES_RANGE_NOFLUSH);
	if (!err)
		err = find(vc_vunmap_range_noflush, SYM_VUNMAP_RANGE_NOFLUSH);
	if (!err)
		err = find(vc_flush_tlb_kernel_range, SYM_FLUSH_TLB_KERNEL_RANGE);
#ifdef VMAPCACHE_HAS_FREE_PAGES_BULK
	if (!err)
		err = find(vc_free_pages_bulk, SYM_FREE_PAGES_BULK);
#endif
	if (!err)
		err = find(vc___get_vm_area_caller, SYM_GET_VM_AREA_CALLER);
	return err;
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
