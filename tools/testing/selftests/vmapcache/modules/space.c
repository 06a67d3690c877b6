// SPDX-License-Identifier: GPL-2.0
/*
 * The arena's space: requests can get all of it, it comes back, and does not drift.
 *
 * Areas here show one page many times (vmap), so that they cost addresses only.
 */
#include <linux/ktime.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

struct mirror {
	struct page *page;
	struct page **pages;
	unsigned int count;
};

static bool mirror_make(struct run *run, struct mirror *mirror, unsigned int count)
{
	unsigned int i;

	/* kvmalloc_array() would take 0 for a size, too. */
	if (!expect(run, count, "of no page"))
		return false;
	mirror->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	mirror->pages = kvmalloc_array(count, sizeof(*mirror->pages), GFP_KERNEL);
	mirror->count = count;
	for (i = 0; mirror->pages && i < count; i++)
		mirror->pages[i] = mirror->page;
	return expect(run, mirror->page && mirror->pages, "no memory for %u page pointers", count);
}

static void mirror_free(struct mirror *mirror)
{
	kvfree(mirror->pages);
	if (mirror->page)
		__free_page(mirror->page);
}

static void *mirror_map(struct mirror *mirror, unsigned int pages)
{
	return vmapcache_vmap(mirror->pages, pages, VM_MAP, PAGE_KERNEL);
}

/*
 * arena_pages=N, of an arena that is otherwise empty: one area may take all of it except
 * its guard page, again and again, also after small areas have cut it up.
 */
static void whole_arena(struct run *run)
{
	unsigned int pages = arg(run, "arena_pages", 0), i, round;
	struct mirror mirror = {};
	void *small[64], *p;

	if (!mirror_make(run, &mirror, pages))
		goto out;
	for (round = 0; round < 4 && !interrupted(); round++) {
		p = mirror_map(&mirror, pages - 1);
		expect(run, p, "%u pages of %u, round %u", pages - 1, pages, round);
		if (p) {
			expect(run, readable(p + (pages - 2) * PAGE_SIZE), "the last page");
			expect(run, !readable(p + (pages - 1) * PAGE_SIZE), "the guard page");
			expect(run, !mirror_map(&mirror, 1), "a page beside the whole arena");
			vmapcache_vunmap(p);
		}
		expect(run, !mirror_map(&mirror, pages), "%u pages of %u", pages, pages);
		/* Cut up: small areas in all places, freed lazily. */
		for (i = 0; i < ARRAY_SIZE(small); i++)
			small[i] = mirror_map(&mirror, i * 37 % 200 + 1);
		for (i = 0; i < ARRAY_SIZE(small); i++) {
			expect(run, small[i], "area %u", i);
			vmapcache_vunmap(small[i]);
		}
	}
	/* Across the shards of the arena. */
	for (i = 2; i < 8; i++) {
		p = mirror_map(&mirror, pages / i);
		expect(run, p, "%u pages of %u", pages / i, pages);
		vmapcache_vunmap(p);
		p = mirror_map(&mirror, pages - pages / i);
		expect(run, p, "%u pages of %u", pages - pages / i, pages);
		vmapcache_vunmap(p);
	}
out:
	mirror_free(&mirror);
}

#define LARGE	(SZ_64M >> PAGE_SHIFT)

/*
 * arena_pages=N: takes areas of 64 MiB, with their guard pages, until no more fits,
 * which dissolves all stocks, and frees them.
 */
static void take_all(struct run *run)
{
	unsigned int room = arg(run, "arena_pages", 0) / LARGE, i;
	void **held = kvcalloc(room + 1, sizeof(*held), GFP_KERNEL);
	struct mirror mirror = {};

	if (expect(run, held, "no memory") && mirror_make(run, &mirror, LARGE - 1)) {
		for (i = 0; i <= room && !interrupted(); i++) {
			held[i] = mirror_map(&mirror, LARGE - 1);
			if (!held[i])
				break;
		}
		note(run, "areas %u", i);
		/* Areas that were in stock until the end may be in between. */
		expect(run, i, "none of %u areas", room);
		while (i)
			vmapcache_vunmap(held[--i]);
	}
	kvfree(held);
	mirror_free(&mirror);
}

/* Dissolves all stock. */
static void drain(struct run *run)
{
	vmapcache_drain();
}

static int by_address(const void *a, const void *b)
{
	return cmp_int(*(unsigned long *)a, *(unsigned long *)b);
}

/*
 * arena_pages=N pages=1: areas of one size until no more fits: as many as the arena
 * has room for. Each second one in the order of addresses is freed: as many fit
 * again, and nothing larger.
 */
static void fill(struct run *run)
{
	unsigned int arena = arg(run, "arena_pages", 0), pages = arg(run, "pages", 1), i, j;
	unsigned int room = arena / (pages + 1);
	void **held = kvcalloc(room + 1, sizeof(*held), GFP_KERNEL);
	struct mirror mirror = {};
	void *p;

	if (!expect(run, held, "no memory") || !mirror_make(run, &mirror, arena))
		goto out;
	/* Dissolves all stock, so that the arena is free in one piece. */
	vmapcache_vunmap(mirror_map(&mirror, arena - 1));
	for (i = 0; i <= room && !interrupted(); i++) {
		held[i] = mirror_map(&mirror, pages);
		if (!held[i])
			break;
	}
	note(run, "areas %u", i);
	expect(run, i == room, "%u areas of %u pages in %u pages", i, pages, arena);
	sort(held, i, sizeof(*held), by_address, NULL);
	for (j = 0; j < i; j += 2) {
		vmapcache_vunmap(held[j]);
		held[j] = NULL;
	}
	/* At most an area and the rest of a shard are in a row. */
	p = mirror_map(&mirror, 2 * pages + 1);
	expect(run, !p, "%u pages with none free in a row", 2 * pages + 1);
	vmapcache_vunmap(p);
	for (j = 0; j < i && !interrupted(); j += 2) {
		held[j] = mirror_map(&mirror, pages);
		if (!expect(run, held[j], "area %u, freed and asked for again", j))
			break;
	}
	p = mirror_map(&mirror, pages);
	expect(run, !p, "an area too many");
	vmapcache_vunmap(p);
	p = vmapcache_vmalloc_gfp(pages * PAGE_SIZE, GFP_NOWAIT);
	expect(run, !p, "an area too many, without waiting");
	vmapcache_vfree(p);
out:
	for (j = 0; held && j <= room; j++)
		vmapcache_vunmap(held[j]);
	kvfree(held);
	mirror_free(&mirror);
}

/* ---- allocated here, freed there ---- */

#define RING	256

struct ring {
	void *slot[RING];
	unsigned int rounds;
	unsigned long lowest[4], highest[4];	/* per quarter of the rounds */
	unsigned long free_pages[4];
	bool stop;
};

static void produce_or_consume(struct run *run, unsigned int thread, void *data)
{
	struct ring *ring = data;
	unsigned int i;

	for (i = 0; i < ring->rounds; i++) {
		void **slot = &ring->slot[i % RING];

		if (thread) {
			void *p;

			/* Pairs with the producer's release. */
			while (!(p = smp_load_acquire(slot)) && !READ_ONCE(ring->stop) &&
			       !interrupted())
				cpu_relax();
			if (!p)
				return;
			WRITE_ONCE(*slot, NULL);
			vmapcache_vfree(p);
		} else {
			unsigned int quarter = i / (ring->rounds / 4 + 1);
			unsigned long p;

			while (READ_ONCE(*slot) && !interrupted())
				cpu_relax();
			p = (unsigned long)vmapcache_vmalloc((i % 4 + 1) * PAGE_SIZE);
			if (!expect(run, p, "round %u", i) || interrupted()) {
				WRITE_ONCE(ring->stop, true);
				vmapcache_vfree((void *)p);
				return;
			}
			ring->lowest[quarter] = min(ring->lowest[quarter] ?: p, p);
			ring->highest[quarter] = max(ring->highest[quarter], p);
			if (i % 64 == 0)
				ring->free_pages[quarter] = si_mem_available();
			/* Pairs with the consumer's acquire. */
			smp_store_release(slot, (void *)p);
		}
	}
}

/*
 * rounds=100000: one thread allocates, another frees on another CPU. At the end the
 * range of addresses in use, and the memory, are as at the beginning.
 */
static void producer_consumer(struct run *run)
{
	struct ring *ring = kzalloc(sizeof(*ring), GFP_KERNEL);
	unsigned int i;

	if (!expect(run, ring, "no memory"))
		return;
	ring->rounds = arg(run, "rounds", 100000);
	run_threads(run, 2, produce_or_consume, ring);
	for (i = 0; i < RING; i++)
		vmapcache_vfree(ring->slot[i]);
	for (i = 0; i < 4; i++) {
		note(run, "span_%u %lu", i, (ring->highest[i] - ring->lowest[i]) >> PAGE_SHIFT);
		note(run, "available_%u %lu", i, ring->free_pages[i]);
	}
	kfree(ring);
}

/* ---- pairs ---- */

struct pairs {
	unsigned int count, pages;
	atomic64_t ns;
};

static void pair_thread(struct run *run, unsigned int thread, void *data)
{
	struct pairs *pairs = data;
	struct mirror mirror = {};
	ktime_t start;
	unsigned int i;

	if (!mirror_make(run, &mirror, pairs->pages))
		goto out;
	start = ktime_get();
	for (i = 0; i < pairs->count; i++) {
		void *p = mirror_map(&mirror, pairs->pages);

		if (!expect(run, p, "pair %u of thread %u", i, thread))
			break;
		vmapcache_vunmap(p);
		if (i % 256 == 0 && interrupted())
			break;
	}
	atomic64_add(ktime_to_ns(ktime_sub(ktime_get(), start)), &pairs->ns);
out:
	mirror_free(&mirror);
}

/* count=50000 threads=2 pages=1: maps and unmaps, in each thread. */
static void pairs(struct run *run)
{
	struct pairs pairs = {
		.count = arg(run, "count", 50000),
		.pages = arg(run, "pages", 1),
	};
	unsigned int threads = arg(run, "threads", 2);

	run_threads(run, threads, pair_thread, &pairs);
	note(run, "count %u", pairs.count * threads);
	note(run, "ns %lld", div_u64(atomic64_read(&pairs.ns), pairs.count * threads));
}

/*
 * count=1000: makes this many holes of one page between live areas, then asks for as
 * many areas of 2 pages, which do not fit there. Frees must not be lazy.
 */
static void holes(struct run *run)
{
	unsigned int count = arg(run, "count", 1000), i;
	void **held = kvcalloc(2 * count, sizeof(*held), GFP_KERNEL);
	struct mirror mirror = {};

	if (!expect(run, held, "no memory") || !mirror_make(run, &mirror, 2))
		goto out;
	/* Each CPU searches a part of the arena of its own first. */
	migrate_disable();
	for (i = 0; i < 2 * count && !interrupted(); i++) {
		held[i] = mirror_map(&mirror, 1);
		if (!expect(run, held[i], "area %u", i))
			break;
	}
	sort(held, 2 * count, sizeof(*held), by_address, NULL);
	for (i = 0; i < 2 * count; i += 2) {
		vmapcache_vunmap(held[i]);
		held[i] = NULL;
	}
	for (i = 0; i < 2 * count && !interrupted(); i += 2) {
		held[i] = mirror_map(&mirror, 2);
		if (!expect(run, held[i], "area %u", i))
			break;
	}
	migrate_enable();
	for (i = 0; i < 2 * count; i++)
		vmapcache_vunmap(held[i]);
out:
	kvfree(held);
	mirror_free(&mirror);
}

/*
 * Areas that nobody frees, for the end of the module. One is so large that the test
 * would notice its pages if they were lost.
 */
static void leak(struct run *run)
{
	static struct page *page;
	void *p;

	page = alloc_page(GFP_KERNEL);
	if (!expect(run, page, "no memory"))
		return;
	expect(run, vmapcache_vmalloc(3 * PAGE_SIZE), "no area");
	p = vmapcache_vmalloc(SZ_16M);
	expect(run, p && vmapcache_pin(p).word, "no large area, or no pin");
	p = vmapcache_vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	expect(run, p && vmapcache_pin(p).word, "no area, or no pin");
	__free_page(page);
}

const struct test_case space_cases[] = {
	{ "whole_arena", whole_arena },
	{ "take_all", take_all },
	{ "drain", drain },
	{ "fill", fill },
	{ "producer_consumer", producer_consumer },
	{ "pairs", pairs },
	{ "holes", holes },
	{ "leak", leak },
	{}
};
