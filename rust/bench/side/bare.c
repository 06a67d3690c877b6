// SPDX-License-Identifier: GPL-2.0
/*
 * The side "bare" calls the kernel's own functions for page tables and pages as an allocator
 * would. No allocator can avoid that work.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "bench.h"
#include "symbols.h"

/**
 * vc_bench_bare_map() - set PTEs
 * @addr: start of a range of the caller, where nothing is mapped
 * @nr: pages
 * @pages: the pages
 *
 * Context: Task context, may sleep.
 * Return: 0 or an error.
 */
int vc_bench_bare_map(unsigned long addr, unsigned long nr, struct page **pages)
{
	unsigned long end = addr + nr * PAGE_SIZE;

#ifdef VMAPCACHE_MAP_TAKES_GFP
	return static_call(vc_vmap_pages_range_noflush)(addr, end, PAGE_KERNEL, pages, PAGE_SHIFT,
							GFP_KERNEL);
#else
	return static_call(vc_vmap_pages_range_noflush)(addr, end, PAGE_KERNEL, pages, PAGE_SHIFT);
#endif
}

/**
 * vc_bench_bare_unmap() - clear PTEs, without a flush
 * @addr: start
 * @nr: pages
 *
 * Context: Task context, may sleep.
 */
void vc_bench_bare_unmap(unsigned long addr, unsigned long nr)
{
	static_call(vc_vunmap_range_noflush)(addr, addr + nr * PAGE_SIZE);
}

/**
 * vc_bench_bare_pages() - allocate pages as an area of vmalloc() would, and free them again
 * @nr: pages
 * @pages: room for as many
 *
 * Context: Task context, may sleep.
 * Return: whether there was memory for all.
 */
bool vc_bench_bare_pages(unsigned long nr, struct page **pages)
{
	unsigned long got = 0;

	memset(pages, 0, nr * sizeof(*pages));
	if (nr == 1) {
		pages[0] = alloc_page(GFP_KERNEL);
		got = !!pages[0];
	} else {
		got = alloc_pages_bulk(GFP_KERNEL, nr, pages);
	}
	static_call(vc_free_pages_bulk)(pages, got);
	return got == nr;
}
