// SPDX-License-Identifier: GPL-2.0
/*
 * Areas that huge pages may map.
 */
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/pgtable.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

#define WINDOW	((unsigned long)PTRS_PER_PTE)

/* How many windows of an area one entry maps. */
static unsigned long huge_in(u8 *p, unsigned long pages)
{
	unsigned long i, huge = 0;

	for (i = 0; i + WINDOW <= pages; i += WINDOW)
		huge += in_huge_page(p + i * PAGE_SIZE);
	return huge;
}

static u8 *get(unsigned long pages)
{
	return vmapcache_vmalloc_huge_node(pages * PAGE_SIZE, GFP_KERNEL, NUMA_NO_NODE);
}

/* Each page is the one that vmalloc_to_page() names, and belongs to nobody else. */
static void look(struct run *run, u8 *p, unsigned long pages, u64 seed)
{
	unsigned long i, ok = signed_by(p, pages, seed);

	expect(run, ok == pages, "page %lu of %lu", ok, pages);
	for (i = 0; i < pages; i++) {
		struct page *page = vmalloc_to_page(p + i * PAGE_SIZE);

		if (!expect(run, page, "page %lu of %lu", i, pages))
			return;
		if (!expect(run, page_count(page) == 1 && !PageCompound(page),
			    "page %lu has %d references", i, page_count(page)))
			return;
		if (!expect(run, *(u64 *)page_address(page) == *(u64 *)(p + i * PAGE_SIZE),
			    "page %lu of %lu is another", i, pages))
			return;
	}
	expect(run, !readable(p + pages * PAGE_SIZE), "the byte behind %lu pages", pages);
}

/* rounds=3 allowed=1: areas of several sizes, in places where others were; and small ones where they were. */
static void huge_areas(struct run *run)
{
	const unsigned long sizes[] = { WINDOW, 2 * WINDOW, 2 * WINDOW + 3, WINDOW - 1, WINDOW + 1 };
	unsigned int rounds = arg(run, "rounds", 3), round, i;
	bool allowed = arg(run, "allowed", 1);
	unsigned long seen = 0, could = 0;
	void *small[64];

	for (round = 0; round < rounds && !run->failures && !interrupted(); round++) {
		u8 *p[ARRAY_SIZE(sizes)];

		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			p[i] = get(sizes[i]);
			if (!expect(run, p[i], "%lu pages", sizes[i]))
				continue;
			sign(p[i], sizes[i], i);
			could += sizes[i] / WINDOW;
			seen += huge_in(p[i], sizes[i]);
			expect(run, sizes[i] >= WINDOW || !in_huge_page(p[i]), "%lu pages", sizes[i]);
			expect(run, sizes[i] < WINDOW || !allowed ||
			       IS_ALIGNED((unsigned long)p[i], PMD_SIZE), "%lu pages", sizes[i]);
		}
		for (i = 0; i < ARRAY_SIZE(sizes); i++)
			if (p[i])
				look(run, p[i], sizes[i], i);
		for (i = 0; i < ARRAY_SIZE(sizes); i++)
			vmapcache_vfree(p[i]);
		/* All is clean again: the next ones begin where these were. */
		vmapcache_drain();
		for (i = 0; i < ARRAY_SIZE(sizes); i++)
			expect(run, !p[i] || !readable(p[i]), "freed, %lu pages", sizes[i]);
		for (i = 0; i < ARRAY_SIZE(small); i++) {
			small[i] = vmapcache_vmalloc((i % 9 + 1) * PAGE_SIZE);
			if (expect(run, small[i], "%u pages", i % 9 + 1))
				sign(small[i], i % 9 + 1, i);
			expect(run, !in_huge_page(small[i]), "a small one");
		}
		for (i = 0; i < ARRAY_SIZE(small); i++) {
			if (small[i])
				look(run, small[i], i % 9 + 1, i);
			vmapcache_vfree(small[i]);
		}
		vmapcache_drain();
	}
	note(run, "huge %lu", seen);
	note(run, "windows %lu", could);
}

/* Who asks for huge pages gets them, and nobody else. */
static void huge_askers(struct run *run)
{
	unsigned long size = max(4 * PMD_SIZE, 2 * KMALLOC_MAX_SIZE), pages = size / PAGE_SIZE, i;
	u8 *asked[] = {
		vmapcache_vmalloc_huge_node(size, GFP_KERNEL | __GFP_ZERO, NUMA_NO_NODE),
		vmapcache_vmalloc_huge_node(size, GFP_KERNEL, 0),
		vmapcache_kvmalloc(size, 1, GFP_KERNEL, NUMA_NO_NODE),
	};
	u8 *others[] = {
		vmapcache_vmalloc_huge_node(size, GFP_NOWAIT | __GFP_NOWARN, NUMA_NO_NODE),
		vmapcache_vmalloc(size),
		vmapcache_vmalloc_aligned(size, PMD_SIZE, GFP_KERNEL, NUMA_NO_NODE, NULL),
		vmapcache_vmalloc_user(size),
	};

	for (i = 0; i < ARRAY_SIZE(asked); i++) {
		if (!expect(run, asked[i] && vmapcache_owns(asked[i]), "way %lu", i))
			continue;
		note(run, "asked_%lu %lu", i, huge_in(asked[i], pages));
		expect(run, i || !memchr_inv(asked[i], 0, size), "not zeroed");
		vmapcache_kvfree(asked[i]);
	}
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		/* There may be no memory for who must not wait. */
		if (!expect(run, others[i] || !i, "way %lu", i) || !others[i])
			continue;
		expect(run, !huge_in(others[i], pages), "way %lu did not ask", i);
		vmapcache_vfree(others[i]);
	}
}

/* Where an area is cut, a huge page stays whole. */
static void huge_cut(struct run *run)
{
	unsigned long pages = 4 * WINDOW;
	const struct {
		unsigned long keep, left;
	} steps[] = {
		{ 3 * WINDOW + 1, 4 * WINDOW },
		{ 3 * WINDOW, 3 * WINDOW },
		{ WINDOW + 7, 2 * WINDOW },
		{ 1, WINDOW },
	};
	u8 *p = get(pages), *q;
	unsigned int i;
	bool whole;

	if (!expect(run, p, "no memory"))
		return;
	sign(p, pages, 5);
	whole = huge_in(p, pages) == 4;
	note(run, "huge %u", whole);
	for (i = 0; whole && i < ARRAY_SIZE(steps); i++) {
		q = vmapcache_vrealloc(p, steps[i].keep * PAGE_SIZE, GFP_KERNEL);
		expect(run, q == p, "to %lu pages", steps[i].keep);
		expect(run, signed_by(p, steps[i].keep, 5) == steps[i].keep,
		       "%lu pages", steps[i].keep);
		expect(run, vmalloc_to_page(p + (steps[i].left - 1) * PAGE_SIZE),
		       "a part of a huge page went, of %lu pages", steps[i].keep);
		expect(run, steps[i].left == pages ||
		       !vmalloc_to_page(p + steps[i].left * PAGE_SIZE),
		       "more than %lu pages are left", steps[i].left);
	}
	vmapcache_vfree(p);
	vmapcache_drain();
	expect(run, !readable(p), "the area is there");
}

/* size=4194304 runs=15: what an area and its end cost with either allocator, in turns. */
static void huge_cost(struct run *run)
{
	unsigned long size = arg(run, "size", SZ_4M);
	unsigned int runs = arg(run, "runs", 15), i;
	u64 least[2] = { U64_MAX, U64_MAX };
	unsigned long huge[2] = {};

	for (i = 0; i < 2 * runs && !interrupted(); i++) {
		bool ours = i & 1;
		u64 from = ktime_get_ns(), took;
		void *p = ours ? vmapcache_vmalloc_huge_node(size, GFP_KERNEL, NUMA_NO_NODE) :
			vmalloc_huge(size, GFP_KERNEL);

		took = ktime_get_ns() - from;
		if (!expect(run, p, "no memory"))
			return;
		huge[ours] += huge_in(p, size / PAGE_SIZE);
		from = ktime_get_ns();
		vfree(p);
		least[ours] = min(least[ours], took + ktime_get_ns() - from);
	}
	note(run, "in_tree_ns %llu", least[0]);
	note(run, "ours_ns %llu", least[1]);
	note(run, "in_tree_huge %lu", huge[0]);
	note(run, "ours_huge %lu", huge[1]);
}

const struct test_case huge_cases[] = {
	{ "huge_areas", huge_areas },
	{ "huge_askers", huge_askers },
	{ "huge_cut", huge_cut },
	{ "huge_cost", huge_cost },
	{ }
};
