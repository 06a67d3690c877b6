// SPDX-License-Identifier: GPL-2.0
/*
 * When space, time or memory is short: who waits, and for how long.
 */
#include <linux/completion.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

#define SLOT_PAGES	3	/* and the guard page */
#define TASKS		4
#define SLOTS_MAX	64

struct slots {
	struct page *pages[SLOT_PAGES];
	unsigned int each, rounds;
	atomic64_t failures, served;
};

static void fill_and_free(struct run *run, unsigned int thread, void *data)
{
	struct slots *slots = data;
	void *held[SLOTS_MAX];
	unsigned int i, round;

	for (round = 0; round < slots->rounds && !interrupted(); round++) {
		for (i = 0; i < slots->each; i++) {
			held[i] = vmapcache_vmap(slots->pages, SLOT_PAGES, VM_MAP, PAGE_KERNEL);
			if (held[i])
				atomic64_inc(&slots->served);
			else
				atomic64_inc(&slots->failures);
		}
		for (i = 0; i < slots->each; i++)
			vmapcache_vunmap(held[i]);
	}
}

/*
 * slots=64 rounds=1250: an arena of that many places, 4 tasks that take a quarter of
 * them each, free them lazily and start anew. At no time is more asked for than there
 * is, so that nobody may fail.
 */
static void second_task(struct run *run)
{
	struct slots *slots = kzalloc(sizeof(*slots), GFP_KERNEL);
	unsigned int i;

	if (!expect(run, slots, "no memory"))
		return;
	slots->each = min(arg(run, "slots", 64) / TASKS, SLOTS_MAX);
	slots->rounds = arg(run, "rounds", 1250);
	slots->pages[0] = alloc_page(GFP_KERNEL);
	for (i = 1; i < SLOT_PAGES; i++)
		slots->pages[i] = slots->pages[0];
	if (expect(run, slots->pages[0], "no memory")) {
		run_threads(run, TASKS, fill_and_free, slots);
		__free_page(slots->pages[0]);
	}
	note(run, "served %lld", atomic64_read(&slots->served));
	expect(run, !atomic64_read(&slots->failures), "%lld of %lld allocations failed",
	       atomic64_read(&slots->failures),
	       atomic64_read(&slots->failures) + atomic64_read(&slots->served));
	kfree(slots);
}

/* ---- the worst delay of a thread that a timer wakes ---- */

#define PERIOD_NS	500000

struct sleeper {
	struct hrtimer timer;
	struct task_struct *task;
	u64 worst;
};

struct latency {
	struct sleeper sleeper[8];
	unsigned int count;
};

static int sleep_and_measure(void *data)
{
	struct sleeper *sleeper = data;

	sched_set_fifo(current);
	while (!kthread_should_stop()) {
		ktime_t due = ktime_add_ns(ktime_get(), PERIOD_NS);
		u64 late;

		set_current_state(TASK_UNINTERRUPTIBLE);
		schedule_hrtimeout(&due, HRTIMER_MODE_ABS);
		late = ktime_to_ns(ktime_sub(ktime_get(), due));
		/* Woken early: to stop. */
		if ((s64)late > 0 && late > READ_ONCE(sleeper->worst))
			WRITE_ONCE(sleeper->worst, late);
	}
	return 0;
}

static void latency_begin(struct run *run, struct latency *latency)
{
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		struct sleeper *sleeper = &latency->sleeper[latency->count];

		if (latency->count == ARRAY_SIZE(latency->sleeper))
			break;
		sleeper->task = kthread_create(sleep_and_measure, sleeper, "vmapcache_late/%u",
					       cpu);
		if (!expect(run, !IS_ERR(sleeper->task), "no thread"))
			break;
		kthread_bind(sleeper->task, cpu);
		wake_up_process(sleeper->task);
		latency->count++;
	}
}

/* The worst since the last call. */
static u64 latency_worst(struct latency *latency)
{
	u64 worst = 0;
	unsigned int i;

	for (i = 0; i < latency->count; i++)
		worst = max(worst, xchg(&latency->sleeper[i].worst, 0));
	return worst;
}

static void latency_end(struct latency *latency)
{
	unsigned int i;

	for (i = 0; i < latency->count; i++)
		kthread_stop(latency->sleeper[i].task);
}

/*
 * allocator= areas=50000: the worst delay in ns while nothing happens, and while that
 * many areas are freed and purged.
 */
static void latency(struct run *run)
{
	const struct allocator *a = allocator_of(run);
	unsigned int areas = arg(run, "areas", 50000), i;
	void **held = kvcalloc(areas, sizeof(*held), GFP_KERNEL);
	struct latency *latency = kzalloc(sizeof(*latency), GFP_KERNEL);
	struct page *page = alloc_page(GFP_KERNEL);

	if (!expect(run, held && latency && page, "no memory"))
		goto out;
	for (i = 0; i < areas && !interrupted(); i++) {
		held[i] = a->map(&page, 1);
		if (!expect(run, held[i], "area %u", i))
			break;
	}
	latency_begin(run, latency);
	schedule_timeout_uninterruptible(HZ / 5);
	latency_worst(latency);
	schedule_timeout_uninterruptible(HZ);
	note(run, "idle %llu", latency_worst(latency));
	for (i = 0; i < areas; i++) {
		a->unmap(held[i]);
		if (i % 64 == 0)
			cond_resched();
	}
	a->unmap_aliases();
	/* What was left to a work item. */
	schedule_timeout_uninterruptible(HZ / 2);
	note(run, "purge %llu", latency_worst(latency));
	latency_end(latency);
out:
	if (page)
		__free_page(page);
	kfree(latency);
	kvfree(held);
}

/* ---- more frees than the purger can follow ---- */

#define WINDOWS	4

struct storm {
	ktime_t start;
	u64 ns;
	spinlock_t lock;	/* orders the threads' marks */
	unsigned long lowest[WINDOWS], highest[WINDOWS];
	atomic64_t pairs;
};

static void storm_thread(struct run *run, unsigned int thread, void *data)
{
	struct storm *storm = data;
	unsigned int window = 0, i;
	struct rnd_state rnd;
	u64 pairs = 0;

	prandom_seed_state(&rnd, thread + 1);
	while (window < WINDOWS && !interrupted()) {
		unsigned long low = ULONG_MAX, high = 0;

		for (i = 0; i < 100; i++, pairs++) {
			void *p = vmapcache_vmalloc((1 + below(&rnd, 8)) * PAGE_SIZE);
			unsigned long at = (unsigned long)p;

			if (!expect(run, p, "pair %llu of thread %u", pairs, thread))
				return;
			low = min(low, at);
			high = max(high, at);
			vmapcache_vfree(p);
		}
		scoped_guard(spinlock, &storm->lock) {
			storm->lowest[window] = min(storm->lowest[window] ?: low, low);
			storm->highest[window] = max(storm->highest[window], high);
		}
		window = div64_u64(ktime_to_ns(ktime_sub(ktime_get(), storm->start)) * WINDOWS,
				   storm->ns);
	}
	atomic64_add(pairs, &storm->pairs);
}

/* seconds=4 threads=4: vmalloc and vfree as fast as can be; spans in pages per quarter. */
static void storm(struct run *run)
{
	struct storm storm = {
		.start = ktime_get(),
		.ns = arg(run, "seconds", 4) * NSEC_PER_SEC,
	};
	unsigned int i;

	spin_lock_init(&storm.lock);
	run_threads(run, arg(run, "threads", 2 * num_online_cpus()), storm_thread, &storm);
	note(run, "pairs %lld", atomic64_read(&storm.pairs));
	for (i = 0; i < WINDOWS; i++)
		note(run, "span_%u %lu", i, (storm.highest[i] - storm.lowest[i]) >> PAGE_SHIFT);
}

const struct test_case pressure_cases[] = {
	{ "second_task", second_task },
	{ "latency", latency },
	{ "storm", storm },
	{}
};
