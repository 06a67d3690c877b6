// SPDX-License-Identifier: GPL-2.0
/*
 * The contents of areas, and the addresses beside them.
 */
#include <linux/slab.h>
#include <linux/string.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

/* Ways to get an area with pages. */
enum way { VMALLOC, VZALLOC, VMAP, VM_MAP_RAM, WAYS };

struct held {
	void *addr;
	struct page **pages;	/* our own ones, for VMAP and VM_MAP_RAM */
	unsigned int count;
	enum way way;
};

static bool take(const struct allocator *a, struct held *held)
{
	unsigned long size = held->count * PAGE_SIZE;

	if (held->way == VMALLOC) {
		held->addr = a->get(size);
	} else if (held->way == VZALLOC) {
		held->addr = a->get_zeroed(size);
	} else {
		held->pages = pages_alloc(held->count);
		if (!held->pages)
			return false;
		held->addr = held->way == VMAP ? a->map(held->pages, held->count) :
			a->map_ram(held->pages, held->count);
	}
	return held->addr;
}

static void give(const struct allocator *a, struct held *held)
{
	if (held->addr) {
		if (held->way == VMAP)
			a->unmap(held->addr);
		else if (held->way == VM_MAP_RAM)
			a->unmap_ram(held->addr, held->count);
		else
			a->put(held->addr);
	}
	pages_free(held->pages, held->count);
	*held = (struct held){};
}

/*
 * areas=1000 max_pages=32 seed=1: every page of all areas carries a signature of
 * its own; a third of them is freed and allocated anew in between.
 */
static void contents(struct run *run)
{
	const struct allocator *a = allocator_of(run);
	unsigned int areas = arg(run, "areas", 1000), max_pages = arg(run, "max_pages", 32);
	struct held *held = kvcalloc(areas, sizeof(*held), GFP_KERNEL);
	unsigned long pages = 0;
	unsigned int i, round;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, arg(run, "seed", 1));
	for (round = 0; held && round < 2 && !run->failures; round++) {
		for (i = 0; i < areas && !interrupted(); i++) {
			unsigned long ok;

			if (round && i % 3)
				continue;
			if (held[i].addr) {
				ok = signed_by(held[i].addr, held[i].count, i * 4096UL);
				expect(run, ok == held[i].count,
				       "area %u, page %lu of %u, way %u, before it was freed",
				       i, ok, held[i].count, held[i].way);
			}
			give(a, &held[i]);
			held[i].count = 1 + below(&rnd, max_pages);
			held[i].way = below(&rnd, WAYS);
			if (!expect(run, take(a, &held[i]), "area %u of %u pages, way %u",
				    i, held[i].count, held[i].way))
				break;
			sign(held[i].addr, held[i].count, i * 4096UL);
			pages += held[i].count;
		}
		for (i = 0; i < areas && !interrupted(); i++) {
			unsigned long ok;

			if (!held[i].addr)
				continue;
			ok = signed_by(held[i].addr, held[i].count, i * 4096UL);
			expect(run, ok == held[i].count, "area %u, page %lu of %u, way %u",
			       i, ok, held[i].count, held[i].way);
			/* The same memory, seen through the kernel's own mapping. */
			if (held[i].pages) {
				u64 *first = page_address(held[i].pages[0]);

				expect(run, *first == *(u64 *)held[i].addr,
				       "area %u, way %u: not the pages that were given", i,
				       held[i].way);
			}
		}
	}
	expect(run, held, "no memory for the list");
	for (i = 0; held && i < areas; i++)
		give(a, &held[i]);
	kvfree(held);
	note(run, "pages %lu", pages);
}

/*
 * areas=100: the bytes behind and before each area fault, even with neighbours on both
 * sides; no byte inside does.
 */
static void guard_pages(struct run *run)
{
	const struct allocator *a = allocator_of(run);
	unsigned int areas = arg(run, "areas", 100);
	struct held *held = kvcalloc(areas, sizeof(*held), GFP_KERNEL);
	unsigned int i;

	for (i = 0; held && i < areas; i++) {
		held[i].count = i % 9 + 1;
		held[i].way = i % WAYS;
		if (!expect(run, take(a, &held[i]), "area %u", i))
			break;
	}
	for (i = 0; held && i < areas; i++) {
		void *start = held[i].addr, *end = start + held[i].count * PAGE_SIZE;

		if (!start)
			break;
		/* In-tree vm_map_ram() packs its areas: they have no guard page. */
		if (a == &allocator_in_tree && held[i].way == VM_MAP_RAM)
			continue;
		expect(run, PAGE_ALIGNED(start), "area %u at offset %lu in its page", i,
		       offset_in_page(start));
		expect(run, readable(start), "area %u", i);
		expect(run, readable(end - 1), "area %u", i);
		expect(run, !readable(end), "area %u of %u pages, first byte behind it", i,
		       held[i].count);
		expect(run, !readable(end + PAGE_SIZE - 1), "area %u of %u pages, guard page's end",
		       i, held[i].count);
		/* In-tree, a block of vm_map_ram() may end there. */
		expect(run, a == &allocator_in_tree || !readable(start - 1),
		       "area %u of %u pages, byte before it", i, held[i].count);
	}
	for (i = 0; held && i < areas; i++)
		give(a, &held[i]);
	kvfree(held);
}

/* A freed area faults once its flush is over. */
static void unmapped(struct run *run)
{
	const struct allocator *a = allocator_of(run);
	struct held held[24] = {};
	void *addr[ARRAY_SIZE(held)] = {};
	unsigned long last[ARRAY_SIZE(held)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(held); i++) {
		/* The last ones take several page tables each. */
		last[i] = (i < 20 ? i : i * 40) * PAGE_SIZE;
		held[i].count = last[i] / PAGE_SIZE + 1;
		held[i].way = i % WAYS;
		if (a == &allocator_in_tree && held[i].way == VM_MAP_RAM)
			held[i].way = VMAP;
		if (expect(run, take(a, &held[i]), "area %u", i))
			addr[i] = held[i].addr;
		/* Into the TLB. */
		expect(run, !addr[i] || readable(addr[i] + last[i]), "area %u", i);
	}
	for (i = 0; i < ARRAY_SIZE(held); i++)
		give(a, &held[i]);
	a->unmap_aliases();
	for (i = 0; i < ARRAY_SIZE(held); i++) {
		expect(run, !addr[i] || !readable(addr[i]), "area %u after its free", i);
		expect(run, !addr[i] || !readable(addr[i] + last[i]),
		       "last page of area %u after its free", i);
	}
}

/*
 * Functions that promise zeroed memory zero memory that was dirtied before.
 * (vmalloc() promises nothing.)
 */
static void zeroed(struct run *run)
{
	const struct allocator *a = allocator_of(run);
	unsigned int i, pages;

	for (i = 0; i < 60 && !interrupted(); i++) {
		void *addr;

		pages = i * 7 % 40 + 1;
		addr = a->get(pages * PAGE_SIZE);
		if (!expect(run, addr, "%u pages", pages))
			return;
		memset(addr, 0xa5, pages * PAGE_SIZE);
		a->put(addr);

		addr = i & 1 ? a->get_zeroed(pages * PAGE_SIZE) :
			a->get_gfp(pages * PAGE_SIZE, GFP_KERNEL | __GFP_ZERO);
		if (!expect(run, addr, "%u pages", pages))
			return;
		expect(run, !memchr_inv(addr, 0, pages * PAGE_SIZE), "%s, %u pages",
		       i & 1 ? "vzalloc" : "__GFP_ZERO", pages);
		a->put(addr);
	}
}

/*
 * areas=2000 max_pages=32: holds that much memory at once, in one signed area each,
 * and frees every second area first.
 */
static void hold(struct run *run)
{
	const struct allocator *a = allocator_of(run);
	unsigned int areas = arg(run, "areas", 2000), max_pages = arg(run, "max_pages", 32);
	struct held *held = kvcalloc(areas, sizeof(*held), GFP_KERNEL);
	unsigned long pages = 0;
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, arg(run, "seed", 1));
	for (i = 0; held && i < areas && !interrupted(); i++) {
		/* vmapcache keeps single pages in a way of their own. */
		held[i].count = i % 2 ? 1 : 1 + below(&rnd, max_pages);
		held[i].way = below(&rnd, WAYS);
		if (!expect(run, take(a, &held[i]), "area %u of %u pages", i, held[i].count))
			break;
		pages += held[i].count;
	}
	note(run, "pages %lu", pages);
	for (i = 0; held && i < areas; i += 2)
		give(a, &held[i]);
	for (i = 1; held && i < areas; i += 2)
		give(a, &held[i]);
	kvfree(held);
}

/* 8,192 pages in areas of many sizes, charged to the task's cgroup, until the writer goes. */
static void count_keep(struct run *run)
{
	static const unsigned int sizes[] = { 1, 4, 5, 64, 100, 850 };
	const struct allocator *a = allocator_of(run);
	unsigned int i, pages = 0, nr = 0;
	void *areas[64];

	while (pages < 8192 && nr < ARRAY_SIZE(areas)) {
		unsigned int want = min(sizes[nr % ARRAY_SIZE(sizes)], 8192 - pages);

		areas[nr] = a->get_gfp(want * PAGE_SIZE, GFP_KERNEL_ACCOUNT);
		if (!expect(run, areas[nr], "%u pages", want))
			break;
		pages += want;
		nr++;
	}
	expect(run, pages == 8192, "%u pages", pages);
	while (!interrupted())
		schedule_timeout_interruptible(HZ / 10);
	for (i = 0; i < nr; i++)
		a->put(areas[i]);
}

/* rounds=3000: areas of all kinds come and go, shrink, and fail to come. */
static void count_churn(struct run *run)
{
	unsigned int rounds = arg(run, "rounds", 3000), i;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, arg(run, "seed", 1));
	for (i = 0; i < rounds && !interrupted(); i++) {
		unsigned int pages = 1 + below(&rnd, 1 << below(&rnd, 9));
		gfp_t gfp = i & 1 ? GFP_KERNEL : GFP_NOWAIT | __GFP_NOWARN;
		void *p = vmapcache_vmalloc_gfp(pages * PAGE_SIZE, gfp), *q;

		if (p && i % 3 == 0) {
			q = vmapcache_vrealloc(p, 1 + below(&rnd, pages * PAGE_SIZE), GFP_KERNEL);
			expect(run, q == p, "%u pages moved", pages);
		}
		if (i % 5 == 0)
			vmapcache_vfree_atomic(p);
		else
			vmapcache_vfree(p);
		/* There is no memory for this one, but some for a part of it. */
		if (i % 500 == 7) {
			p = vmapcache_vmalloc_gfp(totalram_pages() / 4 * 3 * PAGE_SIZE,
						  GFP_NOWAIT | __GFP_NOWARN);
			vmapcache_vfree(p);
		}
	}
	vmapcache_drain();
	note(run, "operations %u", i);
}

const struct test_case contents_cases[] = {
	{ "contents", contents },
	{ "guard_pages", guard_pages },
	{ "unmapped", unmapped },
	{ "zeroed", zeroed },
	{ "hold", hold },
	{ "count_keep", count_keep },
	{ "count_churn", count_churn },
	{}
};
