// SPDX-License-Identifier: GPL-2.0
/*
 * Areas for readers of the module's files: some that stay, and writers that measure
 * their own time per operation, while somebody reads.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

/* ---- areas that stay ---- */

/*
 * Readers see the last four: an area that took over its array of pages, a pin, and an
 * area that was freed while pinned.
 */
struct kept {
	struct page **page;	/* all areas show it; NULL if they have pages of their own */
	void **areas;
	unsigned int count;
	struct page **pages;
	void *given, *pinned, *view;
	struct vmapcache_pin pins[2];
};

static void keep_some(struct run *run, struct kept *kept, unsigned int max_pages)
{
	unsigned int count = arg(run, "areas", 100);
	struct rnd_state rnd;
	struct page **pages;

	prandom_seed_state(&rnd, arg(run, "seed", 1));
	while (kept->count < count && !interrupted()) {
		unsigned long nr = max_pages ? 1 + below(&rnd, max_pages) : 1;
		void *area = kept->page ? vmapcache_vmap(kept->page, 1, VM_MAP, PAGE_KERNEL) :
			vmapcache_vmalloc(nr * PAGE_SIZE);

		if (!expect(run, area, "area %u of %lu pages", kept->count, nr))
			return;
		kept->areas[kept->count++] = area;
	}
	if (arg(run, "special", 1)) {
		kept->pages = pages_alloc(3);
		kept->view = vmapcache_vm_map_ram(kept->pages, 3, NUMA_NO_NODE);
		pages = pages_alloc(2);
		kept->given = vmapcache_vmap(pages, 2, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
		kept->pinned = vmapcache_vmalloc(5 * PAGE_SIZE);
		kept->pins[0] = vmapcache_pin(kept->pinned);
		kept->pins[1] = vmapcache_pin(kept->pinned + PAGE_SIZE);
		expect(run, kept->view && kept->given && kept->pins[1].word, "no special areas");
		if (arg(run, "freed", 1))
			vmapcache_vfree(kept->pinned);
	}
}

static void give_some(struct kept *kept, unsigned int left)
{
	while (kept->count > left) {
		void *area = kept->areas[--kept->count];

		if (kept->page)
			vmapcache_vunmap(area);
		else
			vmapcache_vfree(area);
	}
}

static bool count_area(const struct vmapcache_area *area, void *arg)
{
	++*(unsigned int *)arg;
	return true;
}

/* The time of a walk over all areas that shows nothing: the best of some. */
static void note_walk(struct run *run)
{
	u64 best = U64_MAX;
	unsigned int i, areas;

	for (i = 0; i < 5; i++) {
		ktime_t start = ktime_get();

		areas = 0;
		vmapcache_walk(NULL, count_area, &areas);
		best = min_t(u64, best, ktime_to_ns(ktime_sub(ktime_get(), start)));
	}
	note(run, "walk_areas %u", areas);
	note(run, "walk_ns %llu", best);
}

/*
 * areas=100 max_pages=8 lazy=10: makes this many areas, and frees the last ones again;
 * then waits for a signal, so that the areas are at rest. special=0 leaves out those
 * of other kinds, freed=0 does not free the one that is pinned.
 * map=1: areas of a page that all show the same one, and cost no memory.
 */
static void keep(struct run *run)
{
	unsigned int lazy = arg(run, "lazy", 10);
	struct kept kept = {};

	kept.areas = kvcalloc(arg(run, "areas", 100), sizeof(*kept.areas), GFP_KERNEL);
	if (!expect(run, kept.areas, "no memory"))
		return;
	if (arg(run, "map", 0))
		kept.page = pages_alloc(1);
	keep_some(run, &kept, arg(run, "max_pages", 8));
	give_some(&kept, kept.count - min(lazy, kept.count));
	note_walk(run);
	while (!interrupted())
		schedule_timeout_interruptible(1);
	if (kept.pinned && !arg(run, "freed", 1))
		vmapcache_vfree(kept.pinned);
	vmapcache_unpin(&kept.pins[0]);
	vmapcache_unpin(&kept.pins[1]);
	vmapcache_vfree(kept.given);
	if (kept.view)
		vmapcache_vm_unmap_ram(kept.view, 3);
	if (kept.pages)
		pages_free(kept.pages, 3);
	give_some(&kept, 0);
	pages_free(kept.page, 1);
	kvfree(kept.areas);
}

/*
 * pages=7: fills the arena with single pages, without memory for them, frees every
 * second one, asks for that many pages, and waits for a signal. The areas show one
 * page.
 */
static void fragment(struct run *run)
{
	unsigned int i, count = 0, max = arg(run, "areas", 20000);
	void **areas = kvcalloc(max, sizeof(*areas), GFP_KERNEL);
	struct page **pages = pages_alloc(1);
	void *large;

	if (!expect(run, areas && pages, "no memory"))
		return;
	while (count < max && !interrupted()) {
		areas[count] = vmapcache_vmap(pages, 1, VM_MAP, PAGE_KERNEL);
		if (!areas[count])
			break;
		count++;
	}
	expect(run, count < max, "%u areas do not fill the arena", count);
	note(run, "areas %u", count);
	for (i = 0; i < count; i += 2)
		vmapcache_vunmap(areas[i]);
	large = vmapcache_vmalloc(arg(run, "pages", 7) * PAGE_SIZE);
	expect(run, !large, "there was room");
	vmapcache_vfree(large);
	while (!interrupted())
		schedule_timeout_interruptible(1);
	for (i = 1; i < count; i += 2)
		vmapcache_vunmap(areas[i]);
	pages_free(pages, 1);
	kvfree(areas);
}

/* ---- writers ---- */

struct writers {
	const struct allocator *allocator;
	unsigned int slots, max_pages;
	unsigned long end;
	struct page **pages;
	bool map;
	atomic64_t operations, cpu_ns;
};

/* The time that this task has run, brought up to date by a short sleep. */
static u64 own_time(void)
{
	schedule_timeout_uninterruptible(1);
	return current->se.sum_exec_runtime;
}

static void write_some(struct run *run, unsigned int thread, void *data)
{
	struct writers *w = data;
	const struct allocator *a = w->allocator;
	void **mine = kcalloc(w->slots, sizeof(*mine), GFP_KERNEL);
	u64 operations = 0, before;
	struct rnd_state rnd;
	unsigned int i;

	if (!expect(run, mine, "no memory"))
		return;
	prandom_seed_state(&rnd, thread + 1);
	before = own_time();
	while (time_before(jiffies, w->end) && !interrupted()) {
		unsigned int nr = 1 + below(&rnd, w->max_pages);

		i = below(&rnd, w->slots);
		if (w->map) {
			a->unmap(mine[i]);
			mine[i] = a->map(w->pages, nr);
		} else {
			a->put(mine[i]);
			mine[i] = a->get(nr * PAGE_SIZE);
		}
		if (!expect(run, mine[i], "%u pages", nr))
			break;
		operations++;
	}
	atomic64_add(own_time() - before, &w->cpu_ns);
	atomic64_add(operations, &w->operations);
	for (i = 0; i < w->slots; i++)
		w->map ? a->unmap(mine[i]) : a->put(mine[i]);
	kfree(mine);
}

/*
 * ms=1000 threads=2 slots=32 max_pages=1 map=0: threads that replace areas at random,
 * and their CPU time for each.
 */
static void writers(struct run *run)
{
	unsigned int max_pages = arg(run, "max_pages", 1), threads = arg(run, "threads", 2);
	struct writers w = {
		.allocator = allocator_of(run),
		.slots = arg(run, "slots", 32),
		.max_pages = max_pages,
		.map = arg(run, "map", 0),
		.pages = pages_alloc(max_pages),
		.end = jiffies + msecs_to_jiffies(arg(run, "ms", 1000)),
	};
	u64 operations;

	if (!expect(run, w.pages, "no memory"))
		return;
	run_threads(run, threads, write_some, &w);
	operations = atomic64_read(&w.operations);
	note(run, "operations %llu", operations);
	if (expect(run, operations, "nobody did anything"))
		note(run, "ns_per_operation %llu",
		     div64_u64(atomic64_read(&w.cpu_ns), operations));
	pages_free(w.pages, max_pages);
}

const struct test_case readers_cases[] = {
	{ "keep", keep },
	{ "fragment", fragment },
	{ "writers", writers },
	{}
};
