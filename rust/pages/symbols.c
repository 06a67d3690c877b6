// SPDX-License-Identifier: GPL-2.0
/*
 * Finding kernel functions that no module may link.
 *
 * A kprobe names kallsyms_lookup_name(), and that one names all others. The
 * kprobe's own address may lie behind the function's landing pad, so even the
 * first address is asked for once more by name.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/printk.h>

#include "pages.h"
#include "symbols.h"

static void free_pages_one_by_one(struct page **page_array, unsigned long nr_pages)
{
	unsigned long i;

	for (i = 0; i < nr_pages; i++)
		__free_page(page_array[i]);
}

unsigned long vc_proto_kallsyms_lookup_name(const char *name);

DEFINE_STATIC_CALL_RET0(vc_kallsyms_lookup_name, vc_proto_kallsyms_lookup_name);
DEFINE_STATIC_CALL_RET0(vc_vmap_pages_range_noflush, vc_proto_vmap_pages_range_noflush);
DEFINE_STATIC_CALL_NULL(vc_vunmap_range_noflush, vc_proto_vunmap_range_noflush);
DEFINE_STATIC_CALL_NULL(vc_flush_tlb_kernel_range, vc_proto_flush_tlb_kernel_range);
DEFINE_STATIC_CALL(vc_free_pages_bulk, free_pages_one_by_one);
DEFINE_STATIC_CALL_RET0(vc___get_vm_area_caller, __get_vm_area_caller);
DEFINE_STATIC_CALL_RET0(vc_get_vm_area, get_vm_area);
DEFINE_STATIC_CALL_RET0(vc_find_vm_area, find_vm_area);
#ifdef VMAPCACHE_BENCH
DEFINE_STATIC_CALL_RET0(vc___get_vm_area_node, vc_proto___get_vm_area_node);
DEFINE_STATIC_CALL_RET0(vc___vmalloc_node, __vmalloc_node_noprof);
#endif

enum {
	SYM_KALLSYMS_LOOKUP_NAME,
	SYM_VMAP_PAGES_RANGE_NOFLUSH,
	SYM_VUNMAP_RANGE_NOFLUSH,
	SYM_FLUSH_TLB_KERNEL_RANGE,
	SYM_FREE_PAGES_BULK,
	SYM_GET_VM_AREA_CALLER,
	SYM_GET_VM_AREA,
	SYM_FIND_VM_AREA,
#ifdef VMAPCACHE_BENCH
	SYM_GET_VM_AREA_NODE,
	SYM_VMALLOC_NODE,
#endif
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
	[SYM_GET_VM_AREA] = {
		"get_vm_area", NULL, "CONFIG_KALLSYMS and CONFIG_MMU", false },
	[SYM_FIND_VM_AREA] = {
		"find_vm_area", NULL, "CONFIG_KALLSYMS and CONFIG_MMU", false },
#ifdef VMAPCACHE_BENCH
	[SYM_GET_VM_AREA_NODE] = {
		"__get_vm_area_node", NULL, "CONFIG_KALLSYMS and CONFIG_MMU", false },
	[SYM_VMALLOC_NODE] = {
		"__vmalloc_node_noprof", NULL, "CONFIG_KALLSYMS and CONFIG_MMU", false },
#endif
};

/*
 * Points a static call at a symbol. A missing symbol is said, and is an error
 * unless the call has a function of our own to fall back to.
 */
#define resolve(call, index)						\
({									\
	struct vc_symbol *_sym = &symbols[index];			\
	unsigned long _addr = static_call(vc_kallsyms_lookup_name)(_sym->name); \
									\
	if (_addr) {							\
		static_call_update(call, (void *)_addr);		\
		_sym->how = "kallsyms";					\
	}								\
	_addr || _sym->optional ? 0 : missing(_sym);			\
})

static int missing(const struct vc_symbol *sym)
{
	pr_err("kernel symbol %s not found: the kernel must be built with %s\n",
	       sym->name, sym->needs);
	return -ENOENT;
}

static int resolve_lookup(void)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	unsigned long addr;

	if (register_kprobe(&probe) < 0)
		return missing(&symbols[SYM_KALLSYMS_LOOKUP_NAME]);
	addr = (unsigned long)probe.addr;
	unregister_kprobe(&probe);

	static_call_update(vc_kallsyms_lookup_name, (void *)addr);
	addr = static_call(vc_kallsyms_lookup_name)("kallsyms_lookup_name");
	if (!addr)
		return missing(&symbols[SYM_KALLSYMS_LOOKUP_NAME]);
	static_call_update(vc_kallsyms_lookup_name, (void *)addr);
	symbols[SYM_KALLSYMS_LOOKUP_NAME].how = "kprobe";
	return 0;
}

/**
 * vc_symbols_resolve() - find every symbol and point the static calls at them
 *
 * Context: Task context, may sleep. Once, before any other helper is called.
 * Return: 0, or -ENOENT after saying which symbol is missing and why.
 */
int vc_symbols_resolve(void)
{
	int err = resolve_lookup();

	if (!err)
		err = resolve(vc_vmap_pages_range_noflush, SYM_VMAP_PAGES_RANGE_NOFLUSH);
	if (!err)
		err = resolve(vc_vunmap_range_noflush, SYM_VUNMAP_RANGE_NOFLUSH);
	if (!err)
		err = resolve(vc_flush_tlb_kernel_range, SYM_FLUSH_TLB_KERNEL_RANGE);
#ifdef VMAPCACHE_HAS_FREE_PAGES_BULK
	if (!err)
		err = resolve(vc_free_pages_bulk, SYM_FREE_PAGES_BULK);
#endif
	if (!err)
		err = resolve(vc___get_vm_area_caller, SYM_GET_VM_AREA_CALLER);
	if (!err)
		err = resolve(vc_get_vm_area, SYM_GET_VM_AREA);
	if (!err)
		err = resolve(vc_find_vm_area, SYM_FIND_VM_AREA);
#ifdef VMAPCACHE_BENCH
	if (!err)
		err = resolve(vc___get_vm_area_node, SYM_GET_VM_AREA_NODE);
	if (!err)
		err = resolve(vc___vmalloc_node, SYM_VMALLOC_NODE);
#endif
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
