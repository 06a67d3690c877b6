// SPDX-License-Identifier: GPL-2.0
/*
 * Pages at addresses: the C side of rust/pages/mapping.rs, on page_tables.c and pages.c.
 *
 * Each function does a whole step for a whole area, since each call from Rust costs.
 */
#include <linux/gfp.h>
#include <linux/kmemleak.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched.h>

#include "pages.h"
#include "payload.h"
#include "shadow.h"

/**
 * vc_map() - map pages into an area
 * @addr: the area's start
 * @nr: pages
 * @pages: the pages
 * @prot: value of a pgprot_t
 *
 * Context: Task context, may sleep.
 * Return: 0 or an error, after which some pages may be mapped.
 */
int vc_map(unsigned long addr, unsigned long nr, struct page **pages,
	   unsigned long prot)
{
	int err = vc_tables_map(addr, nr, (unsigned long)pages, pgprot_nx(__pgprot(prot)),
				GFP_KERNEL);

	if (!err)
		shadow_open(addr, nr * PAGE_SIZE, nr * PAGE_SIZE);
	return err;
}

/**
 * vc_populate() - allocate an area's pages and map them
 * @addr: the area's start
 * @nr: pages, at least 1
 * @gfp: as for __vmalloc()
 * @node: NUMA node, or NUMA_NO_NODE
 * @payload: set to what vc_pages_alloc() returned, for vc_depopulate()
 *
 * Context: Task context; atomic if @gfp does not allow blocking.
 * Return: 0; -ENOMEM if there was no memory, and then no PTE was set; or -EAGAIN if
 *	page tables failed: then nothing is mapped any more, but PTEs were set, so
 *	that the addresses need a flush.
 */
int vc_populate(unsigned long addr, unsigned long nr, gfp_t gfp, int node,
		unsigned long *payload)
{
	bool nofail = (gfp & __GFP_NOFAIL) && gfpflags_allow_blocking(gfp);
	unsigned long pages;
	int err;

	gfp |= __GFP_NOWARN;
	if (!(gfp & (GFP_DMA | GFP_DMA32)))
		gfp |= __GFP_HIGHMEM;

	pages = vc_pages_alloc(nr, gfp, node);
	if (unlikely(!pages))
		return -ENOMEM;

	while (unlikely(err = vc_tables_map(addr, nr, pages, PAGE_KERNEL, gfp))) {
		vc_unmap(addr, nr);
		if (!nofail) {
			vc_pages_put(nr, pages);
			return -EAGAIN;
		}
		schedule_timeout_uninterruptible(1);
	}
	shadow_open(addr, nr * PAGE_SIZE, nr * PAGE_SIZE);
	kmemleak_alloc((void *)addr, nr * PAGE_SIZE, 1, gfp);
	*payload = pages;
	return 0;
}

/**
 * vc_depopulate() - unmap an area and free its pages, without a TLB flush
 * @addr: its start
 * @nr: pages
 * @payload: as vc_populate() set it
 *
 * Context: Task context, may sleep.
 */
void vc_depopulate(unsigned long addr, unsigned long nr, unsigned long payload)
{
	kmemleak_free((void *)addr);
	vc_unmap(addr, nr);
	vc_pages_put(nr, payload);
}
