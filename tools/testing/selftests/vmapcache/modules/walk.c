// SPDX-License-Identifier: GPL-2.0
/*
 * The walk, at rest and while other tasks allocate and free.
 */
#include <linux/slab.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

struct seen {
	struct run *run;
	const void *floor;	/* end of the area shown last, guard page included */
	void **held;		/* ascending; every one must be shown */
	unsigned int count, held_seen, limit;
	unsigned long areas, bytes;
};

static bool look(const struct vmapcache_area *area, void *arg)
{
	struct seen *seen = arg;

	expect(seen->run, area->addr >= seen->floor, "area %lu: out of order or overlapping",
	       seen->areas);
	expect(seen->run, PAGE_ALIGNED(area->addr) && area->size && PAGE_ALIGNED(area->size),
	       "area %lu at %lu in its page, of %zu bytes", seen->areas,
	       offset_in_page(area->addr), area->size);
	if (seen->held_seen < seen->count && area->addr >= seen->held[seen->held_seen]) {
		expect(seen->run, area->addr == seen->held[seen->held_seen],
		       "held area %u was not shown", seen->held_seen);
		seen->held_seen++;
	}
	seen->floor = area->addr + area->size + PAGE_SIZE;
	seen->areas++;
	seen->bytes += area->size;
	return !seen->limit || seen->areas < seen->limit;
}

/* At rest: exactly the live areas, from any address on, until the visitor stops it. */
static void walk(struct run *run)
{
	unsigned int i, count = arg(run, "areas", 200);
	void **held = kvcalloc(count, sizeof(*held), GFP_KERNEL), *end = NULL;
	struct seen all = { .run = run }, before = { .run = run }, seen;
	unsigned long bytes = 0;

	if (!expect(run, held, "no memory"))
		return;
	vmapcache_walk(NULL, look, &before);
	for (i = 0; i < count; i++) {
		held[i] = vmapcache_vmalloc((i % 5 + 1) * PAGE_SIZE);
		if (!expect(run, held[i], "area %u", i))
			break;
		bytes += (i % 5 + 1) * PAGE_SIZE;
		if (held[i] > end)
			end = held[i];
	}
	vmapcache_walk(NULL, look, &all);
	expect(run, all.areas == before.areas + i, "%lu areas shown, %lu and %u there", all.areas,
	       before.areas, i);
	expect(run, all.bytes == before.bytes + bytes, "%lu bytes shown, %lu and %lu there",
	       all.bytes, before.bytes, bytes);
	note(run, "areas %lu", all.areas);

	seen = (struct seen){ .run = run, .limit = 3 };
	vmapcache_walk(NULL, look, &seen);
	expect(run, seen.areas == 3, "%lu areas shown, told to stop after 3", seen.areas);
	/* From inside the last area on, from its guard page, from behind everything. */
	if (end) {
		seen = (struct seen){ .run = run };
		vmapcache_walk(end, look, &seen);
		expect(run, seen.areas >= 1 && seen.areas <= before.areas + 1,
		       "%lu areas from the last on", seen.areas);
	}
	seen = (struct seen){ .run = run };
	vmapcache_walk((void *)ULONG_MAX, look, &seen);
	expect(run, !seen.areas, "%lu areas behind everything", seen.areas);
	seen = (struct seen){ .run = run };
	vmapcache_walk((void *)1UL, look, &seen);
	expect(run, seen.areas == all.areas, "%lu areas from address 1 on", seen.areas);

	for (i = 0; i < count; i++)
		vmapcache_vfree(held[i]);
	kvfree(held);
	seen = (struct seen){ .run = run };
	vmapcache_walk(NULL, look, &seen);
	expect(run, seen.areas == before.areas, "%lu areas after all were freed", seen.areas);
}

/* ---- under churn ---- */

struct churn {
	void **held;
	unsigned int count, walks;
	bool over;
	atomic64_t operations;
};

static void churn_thread(struct run *run, unsigned int thread, void *data)
{
	struct churn *churn = data;
	void *mine[32] = {};
	struct rnd_state rnd;
	u64 operations = 0;
	unsigned int i;

	prandom_seed_state(&rnd, thread + 1);
	while (!READ_ONCE(churn->over) && !interrupted()) {
		i = below(&rnd, ARRAY_SIZE(mine));
		vmapcache_vfree(mine[i]);
		mine[i] = vmapcache_vmalloc((1 + below(&rnd, 6)) * PAGE_SIZE);
		operations++;
	}
	for (i = 0; i < ARRAY_SIZE(mine); i++)
		vmapcache_vfree(mine[i]);
	atomic64_add(operations, &churn->operations);
}

static void walk_or_churn(struct run *run, unsigned int thread, void *data)
{
	struct churn *churn = data;
	unsigned int i;

	if (thread) {
		churn_thread(run, thread, data);
		return;
	}
	for (i = 0; i < churn->walks && !interrupted(); i++) {
		struct seen seen = { .run = run, .held = churn->held, .count = churn->count };

		vmapcache_walk(NULL, look, &seen);
		expect(run, seen.held_seen == churn->count, "walk %u: %u of %u held areas shown",
		       i, seen.held_seen, churn->count);
	}
	WRITE_ONCE(churn->over, true);
}

/*
 * walks=300 held=500: walks while 2 threads allocate and free. Each walk shows every
 * held area, once.
 */
static void walk_churn(struct run *run)
{
	struct churn churn = { .walks = arg(run, "walks", 300) };
	unsigned int i, j, held = arg(run, "held", 500);

	churn.held = kvcalloc(held, sizeof(*churn.held), GFP_KERNEL);
	if (!expect(run, churn.held, "no memory"))
		return;
	for (i = 0; i < held; i++) {
		void *p = vmapcache_vmalloc((i % 4 + 1) * PAGE_SIZE);

		if (!expect(run, p, "area %u", i))
			break;
		for (j = churn.count++; j && churn.held[j - 1] > p; j--)
			churn.held[j] = churn.held[j - 1];
		churn.held[j] = p;
	}
	run_threads(run, 3, walk_or_churn, &churn);
	note(run, "operations %lld", atomic64_read(&churn.operations));
	expect(run, atomic64_read(&churn.operations) > churn.walks, "nobody allocated");
	for (i = 0; i < churn.count; i++)
		vmapcache_vfree(churn.held[i]);
	kvfree(churn.held);
}

const struct test_case walk_cases[] = {
	{ "walk", walk },
	{ "walk_churn", walk_churn },
	{}
};
