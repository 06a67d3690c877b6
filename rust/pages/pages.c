// SPDX-License-Identifier: GPL-2.0
/*
 * The pages of areas: allocates and frees them, wherever they are mapped.
 */
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmstat.h>

#include "pages.h"
#include "payload.h"
#include "symbols.h"

/* Most pages per call of the bulk allocator, which works with preemption off. */
#define BULK_CHUNK	100UL

/*
 * NR_VMALLOC: the kernel shows these pages as VmallocUsed, nr_vmalloc, and `vmalloc` of a
 * memcg. Kernels before 7.3 count in-tree areas alone.
 */
#ifdef VMAPCACHE_HAS_NR_VMALLOC

/* Counts @nr pages from @page on, which were allocated together. */
static void count_run(struct page *page, long nr)
{
	mod_lruvec_page_state(page, NR_VMALLOC, nr);
}

/* Pages with the same owner and node are in the same counters. */
static unsigned long owner_of(const struct page *page)
{
#ifdef CONFIG_MEMCG
	return page->memcg_data;
#else
	return 0;
#endif
}

/* Counts @nr pages with @sign: one call for neighbours in the array that are counted alike. */
static void count_array(struct page **pages, unsigned long nr, int sign)
{
	unsigned long done = 0;

	while (done < nr) {
		unsigned long owner = owner_of(pages[done]), i = done + 1;
		int nid = page_to_nid(pages[done]);

		while (i < nr && owner_of(pages[i]) == owner && page_to_nid(pages[i]) == nid)
			i++;
		count_run(pages[done], sign * (long)(i - done));
		done = i;
	}
}

#else

static void count_run(struct page *page, long nr)
{
}

static void count_array(struct page **pages, unsigned long nr, int sign)
{
}

#endif

static struct page *alloc_run(gfp_t gfp, int node, unsigned int order)
{
	if (node == NUMA_NO_NODE)
		return alloc_pages(gfp, order);
	return alloc_pages_node(node, gfp, order);
}

/*
 * A run, if the page allocator has one at hand, split so that each page can be freed alone. A
 * caller that names a node wants its pages there more than it wants neighbours.
 */
static struct page *alloc_neighbours(gfp_t gfp, int node, unsigned int order)
{
	struct page *page;

	gfp &= ~(__GFP_DIRECT_RECLAIM | __GFP_NOFAIL);
	if (node != NUMA_NO_NODE && node_state(node, N_MEMORY))
		gfp |= __GFP_THISNODE;
	page = alloc_run(gfp, node, order);
	if (page)
		split_page(page, order);
	return page;
}

/*
 * Fills @pages: first with runs as large as the page allocator has at hand, split into
 * pages, then in bulk, then page by page with all the effort that @gfp allows. Returns
 * how many it got. @gfp carries __GFP_NOWARN: the caller knows the request, and reports
 * a failure.
 */
static unsigned long fill_pages(struct page **pages, unsigned long nr, gfp_t gfp, int node)
{
	unsigned int limit = MAX_PAGE_ORDER;
	unsigned long done = 0;

	while (limit && nr - done > 1) {
		unsigned int order = min_t(unsigned int, limit, ilog2(nr - done));
		struct page *page = alloc_neighbours(gfp, node, order);
		unsigned long i;

		if (!page) {
			limit = order - 1;
			continue;
		}
		for (i = 0; i < 1UL << order; i++)
			pages[done++] = page + i;
	}

	while (done < nr) {
		unsigned long want = min(nr - done, BULK_CHUNK);
		unsigned long got;

		/* The bulk allocator fills the empty entries of the array. */
		memset(pages + done, 0, want * sizeof(*pages));
		/* Without a node the task's memory policy decides, as for single pages. */
		got = node == NUMA_NO_NODE ?
			static_call(vc_alloc_pages_bulk_mempolicy)(gfp, want, pages + done) :
			alloc_pages_bulk_node(gfp, node, want, pages + done);
		done += got;
		if (got != want)
			break;
	}

	/* Memory is short: a task that was killed must not take the last pages. */
	while (done < nr) {
		if (!(gfp & __GFP_NOFAIL) && fatal_signal_pending(current))
			break;
		pages[done] = alloc_run(gfp, node, 0);
		if (!pages[done])
			break;
		done++;
	}
	return done;
}

/**
 * vc_put_pages() - drop a caller's references to pages
 * @nr: pages
 * @pages: the array that names them
 *
 * Context: Task context, may sleep.
 */
void vc_put_pages(unsigned long nr, struct page **pages)
{
	static_call(vc_free_pages_bulk)(pages, nr);
}

static noinline void put_run(unsigned long nr, struct page *run)
{
	struct page *names[RUN_MAX];

	name_run(names, run, nr);
	static_call(vc_free_pages_bulk)(names, nr);
}

/* How many pages @payload, of an area of @nr pages, stands for. */
static unsigned long present(unsigned long nr, unsigned long payload)
{
	unsigned long i = 0;

	if (!(payload & VC_PART))
		return nr;
	while (i < nr && array_of(payload)[i])
		i++;
	return i;
}

/**
 * vc_pages_present() - how many pages an area has
 * @nr: pages of its range
 * @payload: as vc_pages_alloc() or vc_pages_cut() returned it
 *
 * Context: Any.
 */
unsigned long vc_pages_present(unsigned long nr, unsigned long payload)
{
	struct page **pages = array_of(payload);
	unsigned long low = 0, high = nr;

	if (!(payload & VC_PART))
		return nr;
	/* All behind the last page are NULL. */
	while (low < high) {
		unsigned long middle = low + (high - low) / 2;

		if (pages[middle])
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/**
 * vc_pages_put() - free the pages of an area
 * @nr: pages of its range
 * @payload: as vc_pages_alloc() or vc_pages_cut() returned it
 *
 * Context: Task context, may sleep.
 */
void vc_pages_put(unsigned long nr, unsigned long payload)
{
	if (!(payload & VC_RUN)) {
		struct page **pages = array_of(payload);

		nr = present(nr, payload);
		count_array(pages, nr, -1);
		static_call(vc_free_pages_bulk)(pages, nr);
		kvfree(pages);
		return;
	}
	count_run(run_of(payload), -(long)nr);
	if (nr == 1)
		__free_page(run_of(payload));
	else
		put_run(nr, run_of(payload));
}

/**
 * vc_pages_leave() - leave the pages of an area to its owner
 * @nr: pages of its range
 * @payload: as for vc_pages_put()
 *
 * Context: Any but NMI.
 */
void vc_pages_leave(unsigned long nr, unsigned long payload)
{
	if (payload & VC_RUN) {
		count_run(run_of(payload), -(long)nr);
		return;
	}
	count_array(array_of(payload), present(nr, payload), -1);
	kvfree_atomic(array_of(payload));
}

/**
 * vc_pages_cut() - find a payload for the first pages of an area
 * @nr: pages of its range
 * @payload: the area's
 * @keep: how many pages the payload shall stand for, less than it does
 * @gfp: flags of the request, for an array
 *
 * Until vc_pages_put_tail() the old one holds as well. vc_pages_uncut() undoes it.
 *
 * Context: Task context, may sleep.
 * Return: the payload, or 0 if there is no memory for it.
 */
unsigned long vc_pages_cut(unsigned long nr, unsigned long payload, unsigned long keep,
			   gfp_t gfp)
{
	struct page **pages;

	if (!(payload & VC_RUN))
		return payload | VC_PART;
	pages = kcalloc(nr, sizeof(*pages), (gfp & RECLAIM_FLAGS) | __GFP_NOWARN);
	if (!pages)
		return 0;
	name_run(pages, run_of(payload), keep);
	return (unsigned long)pages | VC_PART;
}

/**
 * vc_pages_uncut() - undo vc_pages_cut()
 * @payload: as it was given
 * @cut: what it returned
 *
 * Context: Any.
 */
void vc_pages_uncut(unsigned long payload, unsigned long cut)
{
	if (payload & VC_RUN)
		kfree(array_of(cut));
}

/**
 * vc_pages_put_tail() - free the pages that a new payload lacks
 * @nr: pages that @payload stands for
 * @payload: the old one
 * @keep: pages that the new one, of vc_pages_cut(), stands for
 *
 * Context: Task context, may sleep.
 */
void vc_pages_put_tail(unsigned long nr, unsigned long payload, unsigned long keep)
{
	struct page **pages = array_of(payload);

	if (payload & VC_RUN) {
		count_run(run_of(payload) + keep, -(long)(nr - keep));
		put_run(nr - keep, run_of(payload) + keep);
		return;
	}
	count_array(pages + keep, nr - keep, -1);
	static_call(vc_free_pages_bulk)(pages + keep, nr - keep);
	memset(pages + keep, 0, (nr - keep) * sizeof(*pages));
}

/* The pages of an area one by one, in an array; VC_PART says that some are missing. */
static unsigned long alloc_array(unsigned long nr, gfp_t gfp, int node)
{
	struct page **pages;
	unsigned long got;

	pages = kvmalloc_node(array_size(nr, sizeof(*pages)),
			      (gfp & RECLAIM_FLAGS) | __GFP_NOWARN, node);
	if (unlikely(!pages))
		return 0;
	got = fill_pages(pages, nr, gfp, node);
	count_array(pages, got, 1);
	if (likely(got == nr))
		return (unsigned long)pages;
	pages[got] = NULL;
	return (unsigned long)pages | VC_PART;
}

/*
 * More than one page: a small area gets one run, if the page allocator has one at
 * hand. Not inlined, so that the path of a single page saves no registers.
 */
static noinline unsigned long alloc_several(unsigned long nr, gfp_t gfp, int node)
{
	struct page *run = NULL;

	if (is_power_of_2(nr) && nr <= RUN_MAX)
		run = alloc_neighbours(gfp, node, ilog2(nr));
	if (unlikely(!run))
		return alloc_array(nr, gfp, node);
	count_run(run, nr);
	return (unsigned long)run + VC_RUN;
}

/**
 * vc_pages_alloc() - allocate the pages of an area
 * @nr: how many, at least 1
 * @gfp: as for __vmalloc(), and __GFP_NOWARN
 * @node: NUMA node, or NUMA_NO_NODE
 *
 * Context: Task context; atomic if @gfp does not allow blocking.
 * Return: the first page and VC_RUN if the others follow it, else the array of the
 *	pages; 0 if there is no memory. With VC_PART there was memory for some pages only: the
 *	caller must give these back.
 */
unsigned long vc_pages_alloc(unsigned long nr, gfp_t gfp, int node)
{
	struct page *page;

	if (nr > 1)
		return alloc_several(nr, gfp, node);
	page = alloc_run(gfp, node, 0);
	if (unlikely(!page))
		return 0;
	count_run(page, 1);
	return (unsigned long)page + VC_RUN;
}
