/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Finds kernel functions that no module may link. Only the file of a module that has the
 * table of them includes this.
 *
 * A kprobe finds kallsyms_lookup_name(), and that function finds all others. The
 * kprobe's own address may be behind the function's landing pad, so
 * kallsyms_lookup_name() is looked up by name once more, too.
 */
#ifndef VMAPCACHE_RESOLVE_H
#define VMAPCACHE_RESOLVE_H

#include <linux/errno.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/printk.h>
#include <linux/static_call.h>

#include "symbol.h"

unsigned long vc_proto_kallsyms_lookup_name(const char *name);

DEFINE_STATIC_CALL_RET0(vc_kallsyms_lookup_name, vc_proto_kallsyms_lookup_name);

/*
 * resolve() - point a static call at a symbol
 *
 * Return: 0, or -ENOENT after a line that names the missing symbol. An optional one may
 * be missing: its call falls back to a function of our own.
 */
#define resolve(call, symbol)						\
({									\
	struct vc_symbol *_sym = symbol;				\
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

/* Finds kallsyms_lookup_name(), which is @sym. Once, before resolve(). May sleep. */
static int resolve_lookup(struct vc_symbol *sym)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	unsigned long addr;

	if (register_kprobe(&probe) < 0)
		return missing(sym);
	addr = (unsigned long)probe.addr;
	unregister_kprobe(&probe);

	static_call_update(vc_kallsyms_lookup_name, (void *)addr);
	addr = static_call(vc_kallsyms_lookup_name)("kallsyms_lookup_name");
	if (!addr)
		return missing(sym);
	static_call_update(vc_kallsyms_lookup_name, (void *)addr);
	sym->how = "kprobe";
	return 0;
}

/* The address of an optional symbol that is no function, or NULL. */
static __maybe_unused void *find_data(struct vc_symbol *sym)
{
	unsigned long addr = static_call(vc_kallsyms_lookup_name)(sym->name);

	if (addr)
		sym->how = "kallsyms";
	return (void *)addr;
}

/* Stands in for free_pages_bulk() if the kernel has none. */
static void free_pages_one_by_one(struct page **page_array, unsigned long nr_pages)
{
	unsigned long i;

	for (i = 0; i < nr_pages; i++)
		__free_page(page_array[i]);
}

#endif /* VMAPCACHE_RESOLVE_H */
