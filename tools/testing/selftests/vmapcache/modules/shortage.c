// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that find no space: what they do before they fail, and that they do not do more.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/notifier.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

static u64 counter(const char *name)
{
	u64 value = 0;

	vmapcache_counter(name, &value);
	return value;
}

/* pages=9000 rounds=1000: allocates most of the arena, frees it without waiting, and again. */
static void reuse(struct run *run)
{
	unsigned int pages = arg(run, "pages", 9000), rounds = arg(run, "rounds", 1000), i;

	for (i = 0; i < rounds && !interrupted(); i++) {
		void *p = vmapcache_vmalloc(pages * PAGE_SIZE);

		if (!expect(run, p, "round %u", i))
			break;
		vmapcache_vfree_atomic(p);
	}
	note(run, "rounds %u", i);
}

/* arena_pages=N: what can never be served fails at once, even if it must not fail. */
static void never(struct run *run)
{
	unsigned long arena = arg(run, "arena_pages", 0) * PAGE_SIZE, i;
	u64 purges = counter("purges");
	struct {
		unsigned long size, align;
	} asked[] = {
		{ arena, 1 }, { arena - PAGE_SIZE + 1, 1 }, { arena + PAGE_SIZE, 1 },
		{ 4 * arena, 1 }, { PAGE_SIZE, 2 * arena }, { PAGE_SIZE, 1UL << 46 },
	};

	for (i = 0; i < ARRAY_SIZE(asked); i++) {
		void *p = vmapcache_vmalloc_aligned(asked[i].size, asked[i].align,
						    GFP_KERNEL | __GFP_NOFAIL, NUMA_NO_NODE,
						    NULL);

		expect(run, !p, "%lu bytes at %lu", asked[i].size, asked[i].align);
		vmapcache_vfree(p);
	}
	expect(run, counter("purges") == purges, "%llu purges", counter("purges") - purges);
}

struct waiter {
	void *area;
	unsigned long size;
	struct completion done;
};

static int wait_for_area(void *data)
{
	struct waiter *waiter = data;

	waiter->area = vmapcache_vmalloc_gfp(waiter->size, GFP_KERNEL | __GFP_NOFAIL);
	complete(&waiter->done);
	return 0;
}

/* arena_pages=N: a request that must not fail waits until there is space, without purges. */
static void nofail(struct run *run)
{
	unsigned long arena = arg(run, "arena_pages", 0) * PAGE_SIZE;
	struct waiter waiter = { .size = arena / 2 };
	struct task_struct *task;
	void *p = vmapcache_get_vm_area(arena / 2 + SZ_64K, VM_MAP);
	u64 purges;

	init_completion(&waiter.done);
	if (!expect(run, p, "half the arena"))
		return;
	task = kthread_run(wait_for_area, &waiter, "vmapcache_waits");
	if (!expect(run, !IS_ERR(task), "no task")) {
		vmapcache_free_vm_area(p);
		return;
	}
	msleep(200);
	purges = counter("purges");
	expect(run, !wait_for_completion_timeout(&waiter.done, 2 * HZ), "served without space");
	note(run, "purges %llu", counter("purges") - purges);
	expect(run, counter("purges") == purges, "it purges while it waits");
	vmapcache_free_vm_area(p);
	if (expect(run, wait_for_completion_timeout(&waiter.done, 60 * HZ), "not served"))
		vmapcache_vfree(waiter.area);
}

struct cache {
	struct notifier_block nb;
	void *area;
	unsigned int calls;
	bool frees;
};

static int give_up_cache(struct notifier_block *nb, unsigned long action, void *freed)
{
	struct cache *cache = container_of(nb, struct cache, nb);

	cache->calls++;
	if (cache->frees && cache->area) {
		vmapcache_free_vm_area(cache->area);
		cache->area = NULL;
		*(unsigned long *)freed += 1;
	}
	return NOTIFY_OK;
}

/* arena_pages=N: who keeps areas for later is asked for them before a request fails. */
static void others(struct run *run)
{
	unsigned long arena = arg(run, "arena_pages", 0) * PAGE_SIZE;
	struct cache cache = { .nb.notifier_call = give_up_cache };
	void *p;

	cache.area = vmapcache_get_vm_area(arena / 2 + SZ_64K, VM_MAP);
	if (!expect(run, cache.area, "half the arena"))
		return;
	register_vmap_purge_notifier(&cache.nb);
	p = vmapcache_get_vm_area(arena / 2, VM_MAP);
	expect(run, !p && cache.calls == 1, "%u calls, and nothing was freed", cache.calls);
	vmapcache_free_vm_area(p);
	p = vmapcache_vmalloc_gfp(arena / 2, GFP_NOWAIT | __GFP_NOWARN);
	expect(run, !p && cache.calls == 1, "%u calls by a request that must not sleep", cache.calls);
	vmapcache_vfree(p);
	cache.frees = true;
	p = vmapcache_get_vm_area(arena / 2, VM_MAP);
	expect(run, p && cache.calls == 2, "%u calls, and space was freed", cache.calls);
	vmapcache_free_vm_area(p);
	unregister_vmap_purge_notifier(&cache.nb);
	vmapcache_free_vm_area(cache.area);
}

struct hopeless {
	unsigned long arena;
	unsigned int asks;
	u64 flushes, ns, slowest;
	bool stop;
};

static void ask_or_churn(struct run *run, unsigned int thread, void *data)
{
	struct hopeless *hopeless = data;
	unsigned int i;

	if (thread) {
		while (!READ_ONCE(hopeless->stop) && !interrupted()) {
			void *p = vmapcache_get_vm_area(PAGE_SIZE << thread, VM_MAP);

			expect(run, p, "a small area");
			vmapcache_free_vm_area(p);
		}
		return;
	}
	msleep(50);
	for (i = 0; i < hopeless->asks; i++) {
		u64 before = counter("flushes_full"), ns = ktime_get_ns();
		void *p = vmapcache_vmalloc_gfp(hopeless->arena / 2,
						GFP_KERNEL | __GFP_NOWARN);

		ns = ktime_get_ns() - ns;
		expect(run, !p, "served without space");
		vmapcache_vfree(p);
		hopeless->flushes += counter("flushes_full") - before;
		hopeless->ns += ns;
		hopeless->slowest = max(hopeless->slowest, ns);
	}
	WRITE_ONCE(hopeless->stop, true);
}

/* arena_pages=N asks=10: requests that no purge can help, beside two tasks that allocate. */
static void hopeless(struct run *run)
{
	struct hopeless hopeless = {
		.arena = arg(run, "arena_pages", 0) * PAGE_SIZE,
		.asks = arg(run, "asks", 10),
	};
	void *p = vmapcache_get_vm_area(hopeless.arena / 2 + SZ_64K, VM_MAP);

	if (!expect(run, p, "half the arena"))
		return;
	run_threads(run, 3, ask_or_churn, &hopeless);
	vmapcache_free_vm_area(p);
	note(run, "flushes %llu", hopeless.flushes);
	note(run, "mean_us %llu", div_u64(hopeless.ns, hopeless.asks * 1000));
	note(run, "slowest_us %llu", div_u64(hopeless.slowest, 1000));
}

const struct test_case shortage_cases[] = {
	{ "reuse", reuse },
	{ "never", never },
	{ "nofail", nofail },
	{ "others", others },
	{ "hopeless", hopeless },
	{}
};
