// SPDX-License-Identifier: GPL-2.0
/*
 * The pages of areas: allocates and frees them, wherever they are mapped.
 */
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "pages.h"
#include "payload.h"
#include "symbols.h"

/* Most pages per call of the bulk allocator, which works with preemption off. */
#define BULK_CHUNK	100UL

static struct page *alloc_run(gfp_t gfp, int node, unsigned int order)
{
	if (node == NUMA_NO_NODE)
		return alloc_pages(gfp, order);
	return alloc_pages_node(node, gfp, order);
}

/* A run, if the page allocator has one at hand, split so that each page can be freed alone. */
static struct page *alloc_neighbours(gfp_t gfp, int node, unsigned int order)
{
	struct page *page;

	page = alloc_run(gfp & ~(__GFP_DIRECT_RECLAIM | __GFP_NOFAIL), node, order);
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

		if (want == 1)
			break;
		/* The bulk allocator fills the empty entries of the array. */
		memset(pages + done, 0, want * sizeof(*pages));
		got = node == NUMA_NO_NODE ? alloc_pages_bulk(gfp, want, pages + done) :
			alloc_pages_bulk_node(gfp, node, want, pages + done);
		done += got;
		if (got != want)
			break;
	}

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
 * vc_put_pages() - free pages and the array that names them
 * @nr: pages
 * @pages: the array, kmalloc'ed or vmalloc'ed
 *
 * Context: Task context, may sleep.
 */
void vc_put_pages(unsigned long nr, struct page **pages)
{
	static_call(vc_free_pages_bulk)(pages, nr);
	kvfree(pages);
}

static noinline void put_run(unsigned long nr, struct page *run)
{
	struct page *names[RUN_MAX];

	name_run(names, run, nr);
	static_call(vc_free_pages_bulk)(names, nr);
}

/**
 * vc_pages_put() - free the pages of an area
 * @nr: how many
 * @payload: as vc_pages_alloc() returned it
 *
 * Context: Task context, may sleep.
 */
void vc_pages_put(unsigned long nr, unsigned long payload)
{
	if (!(payload & VC_RUN))
		vc_put_pages(nr, array_of(payload));
	else if (nr == 1)
		__free_page(run_of(payload));
	else
		put_run(nr, run_of(payload));
}

/* The pages of an area one by one, in an array. */
static struct page **alloc_array(unsigned long nr, gfp_t gfp, int node)
{
	struct page **pages;
	unsigned long got;

	pages = kvmalloc_node(array_size(nr, sizeof(*pages)),
			      (gfp & RECLAIM_FLAGS) | __GFP_NOWARN, node);
	if (unlikely(!pages))
		return NULL;
	got = fill_pages(pages, nr, gfp, node);
	if (unlikely(got < nr)) {
		vc_put_pages(got, pages);
		return NULL;
	}
	return pages;
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
	if (likely(run))
		return (unsigned long)run + VC_RUN;
	return (unsigned long)alloc_array(nr, gfp, node);
}

/**
 * vc_pages_alloc() - allocate the pages of an area
 * @nr: how many, at least 1
 * @gfp: as for __vmalloc(), and __GFP_NOWARN
 * @node: NUMA node, or NUMA_NO_NODE
 *
 * Context: Task context; atomic if @gfp does not allow blocking.
 * Return: the first page and VC_RUN if the others follow it, else the array of the
 *	pages; 0 if there is no memory
 */
unsigned long vc_pages_alloc(unsigned long nr, gfp_t gfp, int node)
{
	struct page *page;

	if (nr > 1)
		return alloc_several(nr, gfp, node);
	page = alloc_run(gfp, node, 0);
	return likely(page) ? (unsigned long)page + VC_RUN : 0;
}
