// SPDX-License-Identifier: GPL-2.0
/*
 * Pages at addresses: the C side of rust/pages/mapping.rs, on page_tables.c and pages.c.
 *
 * Each function does a whole step for a whole area, since each call from Rust costs.
 */
#include <linux/bitmap.h>
#include <linux/debug_locks.h>
#include <linux/debugobjects.h>
#include <linux/gfp.h>
#include <linux/kmemleak.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "pages.h"
#include "payload.h"
#include "shadow.h"
#include "symbols.h"

/*
 * Sections of page frames that were there at boot: all their frames are valid. A bit is set by the first
 * page of a section that somebody maps. Such memory may be taken away later; but this finds
 * arrays that are no arrays of pages, not pages that somebody keeps of memory that is gone.
 */
#ifdef CONFIG_SPARSEMEM_VMEMMAP

#define SECTIONS	4096

static DECLARE_BITMAP(valid_sections, SECTIONS);

static bool known_valid(unsigned long pfn)
{
	unsigned long section = pfn_to_section_nr(pfn);

	return section < SECTIONS && test_bit(section, valid_sections);
}

/* Of a valid page frame. */
static void note_valid(unsigned long pfn)
{
	unsigned long section = pfn_to_section_nr(pfn);

	if (section < SECTIONS && early_section(__pfn_to_section(pfn)))
		set_bit(section, valid_sections);
}

#else

static bool known_valid(unsigned long pfn)
{
	return false;
}

static void note_valid(unsigned long pfn)
{
}

#endif

static noinline enum vc_bad_pages page_bad(const struct page *page)
{
	if (!page)
		return VC_PAGES_HOLE;
	if (!pfn_valid(page_to_pfn(page)))
		return VC_PAGES_NO_FRAME;
	note_valid(page_to_pfn(page));
	return VC_PAGES_GOOD;
}

/**
 * vc_pages_bad() - look for pages that nobody can map
 * @pages: the pages
 * @nr: how many
 *
 * Context: Any.
 * Return: what is wrong with the first bad one.
 */
enum vc_bad_pages vc_pages_bad(struct page **pages, unsigned long nr)
{
	unsigned long i;

	if (!pages || !IS_ALIGNED((unsigned long)pages, sizeof(*pages)))
		return VC_PAGES_NO_ARRAY;
	for (i = 0; i < nr; i++) {
		enum vc_bad_pages bad;

		if (likely(known_valid(page_to_pfn(pages[i]))))
			continue;
		bad = page_bad(pages[i]);
		if (bad != VC_PAGES_GOOD)
			return bad;
	}
	return VC_PAGES_GOOD;
}

/**
 * vc_map() - map pages into an area
 * @addr: the area's start
 * @nr: pages
 * @pages: the pages, which vc_pages_bad() has found good
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

static __always_inline int populate(unsigned long addr, unsigned long nr, gfp_t gfp, int node,
				    unsigned long *payload, const bool huge)
{
	bool blocking = gfpflags_allow_blocking(gfp);
	unsigned long pages;

	gfp |= __GFP_NOWARN;
	if (!(gfp & (GFP_DMA | GFP_DMA32)))
		gfp |= __GFP_HIGHMEM;

	pages = vc_pages_alloc(nr, gfp, node);
	if (unlikely(!pages))
		return -ENOMEM;
	if (unlikely(!(pages & VC_RUN) && pages & VC_PART))
		goto failed;

	while (unlikely(huge ? vc_tables_map_huge(addr, nr, pages, PAGE_KERNEL, gfp) :
			       vc_tables_map(addr, nr, pages, PAGE_KERNEL, gfp))) {
		if (!blocking)
			goto failed;
		vc_unmap(addr, nr);
		if (!(gfp & __GFP_NOFAIL))
			goto failed;
		/* Next time entries of another size may map the pages that were mapped already. */
		vc_flush(addr, nr);
		schedule_timeout_uninterruptible(1);
	}
	shadow_open(addr, nr * PAGE_SIZE, nr * PAGE_SIZE);
	kmemleak_alloc((void *)addr, nr * PAGE_SIZE, 1, gfp);
	*payload = pages;
	return 0;

failed:
	if (blocking)
		vc_pages_put(nr, pages);
	else
		*payload = pages;
	return -ENOMEM;
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
 * Return: 0, or -ENOMEM. After that PTEs may have been set, so that the addresses need a
 *	flush; and if @payload is not 0, vc_depopulate() must follow in a context that may
 *	sleep, since this function must not.
 */
int vc_populate(unsigned long addr, unsigned long nr, gfp_t gfp, int node,
		unsigned long *payload)
{
	return populate(addr, nr, gfp, node, payload, false);
}

/**
 * vc_populate_huge() - as vc_populate(), with huge pages where memory and addresses fit
 * @addr: the area's start
 * @nr: pages, at least as many as a huge page has
 * @gfp: as for __vmalloc(); allows blocking
 * @node: NUMA node, or NUMA_NO_NODE
 * @payload: as for vc_populate()
 *
 * Context: Task context, may sleep.
 * Return: as vc_populate().
 */
int vc_populate_huge(unsigned long addr, unsigned long nr, gfp_t gfp, int node,
		     unsigned long *payload)
{
	return populate(addr, nr, gfp, node, payload, true);
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

/**
 * vc_leave() - leave the pages of an area to whoever maps them
 * @addr: its start
 * @nr: pages
 * @payload: as vc_populate() set it; nobody may use it any more
 *
 * Context: Any but NMI.
 */
void vc_leave(unsigned long addr, unsigned long nr, unsigned long payload)
{
	kmemleak_free((void *)addr);
	vc_pages_leave(nr, payload);
}

/**
 * vc_shrink() - unmap the last pages of an area, flush, and free them
 * @addr: the area's start
 * @nr: pages that it has
 * @payload: its payload before vc_pages_cut()
 * @keep: pages to keep
 *
 * Context: Task context, may sleep.
 */
void vc_shrink(unsigned long addr, unsigned long nr, unsigned long payload, unsigned long keep)
{
	unsigned long tail = addr + keep * PAGE_SIZE;

	vc_check_freed(tail, nr - keep);
	kmemleak_free_part((void *)tail, (nr - keep) * PAGE_SIZE);
	vc_unmap(tail, nr - keep);
	vc_flush(tail, nr - keep);
	vc_pages_put_tail(nr, payload, keep);
}

/**
 * vc_check_freed() - have a debugging kernel look for live objects in memory that is freed
 * @addr: its start
 * @nr: pages
 *
 * As in-tree: lockdep reports a lock that this task holds, debugobjects an active timer, work
 * item or the like.
 *
 * Context: Any but NMI.
 */
void vc_check_freed(unsigned long addr, unsigned long nr)
{
	debug_check_no_locks_freed((void *)addr, nr * PAGE_SIZE);
#ifdef CONFIG_DEBUG_OBJECTS_FREE
	static_call_cond(vc_debug_check_no_obj_freed)((void *)addr, nr * PAGE_SIZE);
#endif
}

/**
 * vc_free_array() - free the array that came with pages of a caller
 * @array: kmalloc'ed or vmalloc'ed; not in the arena
 *
 * Context: Task context, may sleep.
 */
void vc_free_array(unsigned long array)
{
	kvfree((void *)array);
}
