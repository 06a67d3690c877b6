// SPDX-License-Identifier: GPL-2.0
/*
 * Where pages come from, by NUMA node: counted for the node that the caller names, or for the
 * memory policy of the task that runs the case.
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "vmapcache_test.h"

/* Leaves no two free neighbours on @node; @held gets the pages that separate them. */
static void fragment(int node, struct list_head *held)
{
	gfp_t gfp = (GFP_KERNEL & ~__GFP_RECLAIM) | __GFP_THISNODE | __GFP_NOWARN;
	int order;

	for (order = MAX_PAGE_ORDER; order > 0; order--) {
		struct page *page;

		while ((page = alloc_pages_node(node, gfp, order))) {
			int i;

			split_page(page, order);
			for (i = 0; i < 1 << order; i += 2)
				list_add(&page[i].lru, held);
			for (i = 1; i < 1 << order; i += 2)
				__free_page(page + i);
		}
		cond_resched();
	}
}

static void unite(struct list_head *held)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, held, lru)
		__free_page(page);
}

/*
 * pages=N areas=N [node=N] [fragmented=NODES] [allocator=]: notes how many of the pages came from
 * each node. Without node= the caller names none. On the nodes of the mask NODES no two free pages
 * are neighbours meanwhile.
 */
static void pages_by_node(struct run *run)
{
	const struct allocator *a = allocator_of(run);
	unsigned int pages = arg(run, "pages", 1), areas = arg(run, "areas", 1), got, i;
	int node = arg(run, "node", MAX_NUMNODES), each;
	unsigned long *found;
	LIST_HEAD(held);
	void **all;

	all = kcalloc(areas, sizeof(*all), GFP_KERNEL);
	found = kcalloc(nr_node_ids, sizeof(*found), GFP_KERNEL);
	if (!expect(run, all && found, "no memory"))
		goto out;
	for_each_node_mask(each, node_states[N_MEMORY]) {
		if (arg(run, "fragmented", 0) & BIT(each))
			fragment(each, &held);
	}
	for (got = 0; got < areas; got++) {
		all[got] = node < MAX_NUMNODES ? a->get_node(pages * PAGE_SIZE, node) :
						 a->get(pages * PAGE_SIZE);
		if (!expect(run, all[got], "area %u", got))
			break;
	}
	for (i = 0; i < got; i++) {
		unsigned int page;

		for (page = 0; page < pages; page++)
			found[page_to_nid(vmalloc_to_page(all[i] + page * PAGE_SIZE))]++;
		a->put(all[i]);
	}
	unite(&held);
	for_each_online_node(node)
		note(run, "node%d %lu", node, found[node]);
out:
	kfree(found);
	kfree(all);
}

const struct test_case nodes_cases[] = {
	{ "pages_by_node", pages_by_node },
	{}
};
