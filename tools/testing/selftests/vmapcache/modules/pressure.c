// SPDX-License-Identifier: GPL-2.0
/*
 * When space, time or memory is short: which tasks wait, and for how long.
 */
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
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
 * them each, free them lazily and start anew. They never ask for more than
 * the arena has, so no request may fail.
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

static int cmp_u64(const void *a, const void *b)
{
	return cmp_int(*(u64 *)a, *(u64 *)b);
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
 * The worst delay while areas are freed and purged, and for a second more, because work
 * items come later. Without an allocator: the worst delay while nothing happens.
 */
static u64 latency_window(struct run *run, struct latency *latency, const struct allocator *a,
			  void **held, unsigned int areas, struct page *page)
{
	unsigned int i;

	for (i = 0; a && i < areas && !interrupted(); i++) {
		held[i] = a->map(&page, 1);
		if (!expect(run, held[i], "area %u", i))
			break;
	}
	schedule_timeout_uninterruptible(HZ / 10);
	latency_worst(latency);
	for (i = 0; a && i < areas; i++) {
		a->unmap(held[i]);
		if (i % 64 == 0)
			cond_resched();
	}
	if (a)
		a->unmap_aliases();
	schedule_timeout_uninterruptible(HZ);
	return latency_worst(latency);
}

#define ROUNDS_MAX	32

static u64 median(u64 *of, unsigned int count)
{
	sort(of, count, sizeof(*of), cmp_u64, NULL);
	return of[count / 2];
}

/*
 * areas=50000 rounds=5: the worst delay in ns while nothing happens, and while that
 * many areas are freed and purged by either allocator: medians of as many rounds, in
 * which the three take turns.
 */
static void latency(struct run *run)
{
	unsigned int areas = arg(run, "areas", 50000), rounds, i;
	void **held = kvcalloc(areas, sizeof(*held), GFP_KERNEL);
	struct latency *latency = kzalloc(sizeof(*latency), GFP_KERNEL);
	u64 idle[ROUNDS_MAX], ours[ROUNDS_MAX], in_tree[ROUNDS_MAX];
	struct page *page = alloc_page(GFP_KERNEL);

	rounds = clamp(arg(run, "rounds", 5), 1, ROUNDS_MAX);
	if (!expect(run, held && latency && page, "no memory"))
		goto out;
	latency_begin(run, latency);
	for (i = 0; i < rounds && !interrupted(); i++) {
		idle[i] = latency_window(run, latency, NULL, NULL, 0, NULL);
		ours[i] = latency_window(run, latency, &allocator_ours, held, areas, page);
		in_tree[i] = latency_window(run, latency, &allocator_in_tree, held, areas, page);
	}
	latency_end(latency);
	if (expect(run, i == rounds, "interrupted")) {
		note(run, "idle %llu", median(idle, rounds));
		note(run, "vmapcache %llu", median(ours, rounds));
		note(run, "in_tree %llu", median(in_tree, rounds));
	}
out:
	if (page)
		__free_page(page);
	kfree(latency);
	kvfree(held);
}

/* ---- more frees than a purge can follow ---- */

#define QUARTERS	4
#define WINDOW_SHIFT	PMD_SHIFT	/* one page table covers this */
#define WINDOWS		(SZ_64G >> WINDOW_SHIFT)

struct storm {
	ktime_t start;
	u64 ns;
	u64 limit;	/* of pairs, in place of a time; or 0 */
	/* Windows of addresses that were ever in use; the arena is no larger. */
	DECLARE_BITMAP(touched, WINDOWS);
	/* At the end of each quarter; whichever thread is the last to see it. */
	unsigned int windows[QUARTERS];
	unsigned long tables[QUARTERS];
	atomic64_t pairs;
};

static void touch(struct storm *storm, void *addr)
{
	unsigned long window = ((unsigned long)addr >> WINDOW_SHIFT) % WINDOWS;

	if (!test_bit(window, storm->touched))
		set_bit(window, storm->touched);
}

static unsigned int storm_quarter(struct storm *storm)
{
	if (storm->limit)
		return div64_u64(atomic64_read(&storm->pairs) * QUARTERS, storm->limit);
	return div64_u64(ktime_to_ns(ktime_sub(ktime_get(), storm->start)) * QUARTERS, storm->ns);
}

static void storm_thread(struct run *run, unsigned int thread, void *data)
{
	struct storm *storm = data;
	unsigned int quarter, i;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, thread + 1);
	while (!interrupted()) {
		for (i = 0; i < 100; i++) {
			void *p = vmapcache_vmalloc((1 + below(&rnd, 8)) * PAGE_SIZE);

			if (!expect(run, p, "thread %u, behind %lld pairs", thread,
				    atomic64_read(&storm->pairs)))
				return;
			touch(storm, p);
			vmapcache_vfree(p);
		}
		atomic64_add(i, &storm->pairs);
		quarter = storm_quarter(storm);
		if (quarter >= QUARTERS)
			break;
		WRITE_ONCE(storm->windows[quarter], bitmap_weight(storm->touched, WINDOWS));
		WRITE_ONCE(storm->tables[quarter], global_node_page_state(NR_PAGETABLE));
	}
}

/*
 * seconds=20 pairs=0 threads=4 grow=N: vmalloc and vfree as fast as possible, for this
 * time or, if pairs= is not 0, so many times. From the second quarter to the last, the
 * addresses that were ever in use grow by at most N pages, and the page-table pages
 * by the tables of these.
 */
static void storm(struct run *run)
{
	struct storm *storm = kzalloc(sizeof(*storm), GFP_KERNEL);
	unsigned int i, last = QUARTERS - 1, grow;

	if (!expect(run, storm, "no memory"))
		return;
	grow = DIV_ROUND_UP(arg(run, "grow", 0), 1 << (WINDOW_SHIFT - PAGE_SHIFT));
	storm->start = ktime_get();
	storm->limit = arg(run, "pairs", 0);
	storm->ns = arg(run, "seconds", 20) * NSEC_PER_SEC;
	run_threads(run, arg(run, "threads", 2 * num_online_cpus()), storm_thread, storm);
	note(run, "pairs %lld", atomic64_read(&storm->pairs));
	for (i = 0; i < QUARTERS; i++) {
		note(run, "windows_%u %u", i, storm->windows[i]);
		note(run, "tables_%u %lu", i, storm->tables[i]);
	}
	expect(run, storm->windows[last] <= storm->windows[1] + grow,
	       "the span grew from %u to %u windows", storm->windows[1], storm->windows[last]);
	/* Some tables are of processes that come and go. */
	expect(run, storm->tables[last] <= storm->tables[1] + grow + 50,
	       "page-table pages grew from %lu to %lu", storm->tables[1], storm->tables[last]);
	kfree(storm);
}

const struct test_case pressure_cases[] = {
	{ "second_task", second_task },
	{ "latency", latency },
	{ "storm", storm },
	{}
};
