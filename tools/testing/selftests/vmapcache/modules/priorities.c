// SPDX-License-Identifier: GPL-2.0
/*
 * One CPU, a task that changes areas, and one of real-time priority that reads them and
 * preempts the other wherever that is. No reader may wait for what it has preempted.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

#define AREAS		32
#define STUCK_SECONDS	10

struct shared {
	void *areas[AREAS];
	struct task_struct *reader;
	unsigned int rounds, done;
	u64 changes, seen, longest;
	bool over;
};

/*
 * Sizes that no magazine keeps are among them: these change the lists of free extents. Another area
 * is pinned meanwhile, or the same one, which then ends with its pin.
 */
static void change(struct run *run, struct shared *shared)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, arg(run, "seed", 1));
	while (!READ_ONCE(shared->over) && !interrupted()) {
		void **area = &shared->areas[below(&rnd, AREAS)];
		struct vmapcache_pin pin = vmapcache_pin(shared->areas[below(&rnd, AREAS)]);

		if (*area) {
			vmapcache_free_vm_area(*area);
			WRITE_ONCE(*area, NULL);
		} else {
			WRITE_ONCE(*area, vmapcache_get_vm_area((1 + below(&rnd, 200)) * PAGE_SIZE, VM_MAP));
		}
		if (pin.word)
			vmapcache_unpin(&pin);
		if (!(++shared->changes % 4096))
			vmapcache_purge();
	}
}

static bool count_area(const struct vmapcache_area *area, void *arg)
{
	u64 *seen = arg;

	++*seen;
	return true;
}

static void look(struct shared *shared)
{
	unsigned int i;

	for (i = 0; i < AREAS; i++) {
		void *addr = READ_ONCE(shared->areas[i]);
		struct vmapcache_pin pin;
		size_t size;

		if (!addr)
			continue;
		vmapcache_find_vm_area(addr, &size);
		pin = vmapcache_pin(addr);
		if (pin.word)
			vmapcache_unpin(&pin);
	}
	vmapcache_walk(NULL, count_area, &shared->seen);
}

static void read_on(struct run *run, struct shared *shared)
{
	WRITE_ONCE(shared->reader, current);
	sched_set_fifo(current);
	while (shared->done < shared->rounds && !interrupted()) {
		u64 ns;

		/* Wakes anywhere in the other's work. */
		usleep_range(300, 1000);
		ns = ktime_get_ns();
		look(shared);
		ns = ktime_get_ns() - ns;
		shared->longest = max(shared->longest, ns);
		WRITE_ONCE(shared->done, shared->done + 1);
	}
	WRITE_ONCE(shared->over, true);
}

/* A reader that is stuck gets an ordinary priority: then whom it waits for has its turn, and the case its end. */
static void watch(struct run *run, struct shared *shared)
{
	unsigned int last = 0, same = 0;

	while (!READ_ONCE(shared->over)) {
		unsigned int done = READ_ONCE(shared->done);

		same = done == last ? same + 1 : 0;
		last = done;
		if (READ_ONCE(shared->reader) &&
		    !expect(run, same <= STUCK_SECONDS * 10, "round %u does not end", done)) {
			sched_set_normal(shared->reader, 0);
			give_up();
			return;
		}
		msleep(100);
	}
}

static void on_one_cpu(struct run *run, unsigned int thread, void *data)
{
	struct shared *shared = data;

	/* The first one is on the first CPU already. */
	if (thread == 0) {
		watch(run, shared);
		return;
	}
	if (!expect(run, !set_cpus_allowed_ptr(current, cpumask_of(cpumask_last(cpu_online_mask))), "another CPU")) {
		WRITE_ONCE(shared->over, true);
		return;
	}
	if (thread == 1)
		change(run, shared);
	else
		read_on(run, shared);
}

/* rounds=3000: notes the longest, in microseconds. */
static void priorities(struct run *run)
{
	struct shared shared = { .rounds = arg(run, "rounds", 3000) };
	unsigned int i;

	run_threads(run, 3, on_one_cpu, &shared);
	for (i = 0; i < AREAS; i++)
		vmapcache_free_vm_area(shared.areas[i]);
	vmapcache_drain();
	note(run, "rounds %u", shared.rounds);
	note(run, "changes %llu", shared.changes);
	note(run, "seen %llu", shared.seen);
	note(run, "longest %llu", shared.longest / NSEC_PER_USEC);
}

const struct test_case priorities_cases[] = {
	{ "priorities", priorities },
	{}
};
