// SPDX-License-Identifier: GPL-2.0
/*
 * Measures times. The sides of a cell take turns (A B A B), in one process.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cell.h"

/* Between two runs, so that others of this machine get their turn. */
#define REST_US		8000

static double results[8][RUNS_MAX];
static unsigned long flushes[8];

static void print_results(const struct cell *cell)
{
	unsigned int i, run;

	for (i = 0; i < cell->number_of_sides; i++) {
		printf("side %s %d %lu", side_names[cell->sides[i]], cell->slower[i], flushes[i]);
		for (run = 0; run < cell->runs; run++)
			printf(" %.3f", results[i][run]);
		printf("\n");
	}
}

/* ---- threads ---- */

struct job {
	const struct cell *cell;
	enum side side;
	int chained;
	unsigned long links;
	unsigned long operations;
	/* The ticks of each pair; NULL: the thread does not look at the clock between pairs. */
	unsigned int *alone;
	unsigned int cpu;
	double ns;
	pthread_barrier_t *start;
};

/* The clock, when all before it is done, and before anything behind it begins. */
static __always_inline unsigned long ticks_alone(void)
{
	unsigned long now;

	asm volatile("lfence" : : : "memory");
	now = ticks();
	asm volatile("lfence" : : : "memory");
	return now;
}

static unsigned int ticks_since(unsigned long since)
{
	unsigned long took = ticks_alone() - since;

	return took < UINT_MAX ? took : UINT_MAX;
}

static __always_inline
void pairs(struct job *job, enum side side, int chained, int alone, unsigned long *held)
{
	unsigned int keep = job->cell->held, at = 0;
	unsigned long operations = job->operations, i, area, since = 0;
	const struct request *request;

	for (i = 0; i < operations; i++) {
		request = &requests[(i + job->cpu * 1111) % REQUESTS];
		if (alone)
			since = ticks_alone();
		area = side_alloc(side, request->pages, request->align);
		if (!area)
			host_fatal("an allocation failed");
		if (chained) {
			/* The CPU must not do the chain beside what comes before or after it. */
			asm volatile("lfence" : : : "memory");
			area += chain(area, job->links);
			asm volatile("lfence" : : "r" (area) : "memory");
		}
		if (keep) {
			if (held[2 * at])
				side_free(side, held[2 * at], held[2 * at + 1]);
			held[2 * at] = area;
			held[2 * at + 1] = request->pages;
			at = at + 1 < keep ? at + 1 : 0;
		} else {
			side_free(side, area, request->pages);
		}
		if (alone)
			job->alone[i] = ticks_since(since);
		if (i % 64 == 63)
			kernel_pause();
	}
}

static void free_held(enum side side, unsigned long *held, unsigned int number)
{
	unsigned int i;

	for (i = 0; i < number; i++)
		if (held[2 * i])
			side_free(side, held[2 * i], held[2 * i + 1]);
	free(held);
}

static __always_inline
void pairs_of(struct job *job, enum side side, unsigned long *held)
{
	if (job->alone)
		pairs(job, side, 0, 1, held);
	else if (job->chained)
		pairs(job, side, 1, 0, held);
	else
		pairs(job, side, 0, 0, held);
}

static void *pairs_thread(void *argument)
{
	struct job *job = argument;
	unsigned long *held = calloc(2 * (job->cell->held + 1), sizeof(*held)), since;

	enter_cpu(job->cpu);
	kernel_cpu_runs(job->cpu, 1);
	uninterrupted(1);
	pthread_barrier_wait(job->start);
	since = ticks();
	/* A loop for each side. */
	switch (job->side) {
	case IN_TREE:
		pairs_of(job, IN_TREE, held);
		break;
	case IN_TREE_VM:
		pairs_of(job, IN_TREE_VM, held);
		break;
	case IN_TREE_BLOCK:
		pairs_of(job, IN_TREE_BLOCK, held);
		break;
	case VMAPCACHE:
		pairs_of(job, VMAPCACHE, held);
		break;
	default:
		pairs_of(job, FAKE, held);
	}
	job->ns = (ticks() - since) * ns_per_tick / job->operations;
	uninterrupted(0);
	free_held(job->side, held, job->cell->held);
	kernel_pause();
	kernel_cpu_runs(job->cpu, 0);
	return NULL;
}

/* ---- a producer and a consumer ---- */

#define RING	256

static struct {
	_Alignas(128) atomic_ulong made;
	_Alignas(128) atomic_ulong gone;
	_Alignas(128) unsigned long area[RING];
} ring;

static void produce(const struct job *job)
{
	unsigned long i, area;

	for (i = 0; i < job->cell->operations; i++) {
		area = side_alloc(job->side, requests[i % REQUESTS].pages,
				  requests[i % REQUESTS].align);
		if (!area)
			host_fatal("an allocation failed");
		while (i - atomic_load_explicit(&ring.gone, memory_order_acquire) >= RING)
			__builtin_ia32_pause();
		ring.area[i % RING] = area;
		atomic_store_explicit(&ring.made, i + 1, memory_order_release);
		if (i % 64 == 63)
			kernel_pause();
	}
}

static void consume(const struct job *job)
{
	unsigned long i, area;

	for (i = 0; i < job->cell->operations; i++) {
		while (atomic_load_explicit(&ring.made, memory_order_acquire) <= i)
			__builtin_ia32_pause();
		area = ring.area[i % RING];
		atomic_store_explicit(&ring.gone, i + 1, memory_order_release);
		side_free(job->side, area, requests[i % REQUESTS].pages);
		if (i % 64 == 63)
			kernel_pause();
	}
}

static void *relay_thread(void *argument)
{
	struct job *job = argument;
	unsigned long since;

	enter_cpu(job->cpu);
	kernel_cpu_runs(job->cpu, 1);
	uninterrupted(1);
	pthread_barrier_wait(job->start);
	since = ticks();
	if (job->cpu)
		consume(job);
	else
		produce(job);
	job->ns = (ticks() - since) * ns_per_tick / job->cell->operations;
	uninterrupted(0);
	kernel_cpu_runs(job->cpu, 0);
	return NULL;
}

/* ---- runs of either ---- */

/*
 * Nanoseconds of a pair, the mean of the threads. With `alone` each thread makes `operations` pairs, and
 * what each took goes there.
 */
static double run_once(const struct cell *cell, unsigned int side, void *(*thread)(void *),
		       unsigned long operations, unsigned int *alone)
{
	unsigned int i;
	struct job jobs[cell->threads];
	pthread_t threads[cell->threads];
	pthread_barrier_t start;
	unsigned long links = 0;
	double sum = 0;

	if (cell->slower[side] > 0)
		links = cell->nanoseconds * cell->slower[side] / 100 / ns_per_link + 0.5;
	pthread_barrier_init(&start, NULL, cell->threads);
	memset(&ring, 0, sizeof(ring));
	/* A thread that runs CPU 0 takes its place. */
	kernel_cpu_runs(0, 0);
	for (i = 0; i < cell->threads; i++) {
		jobs[i] = (struct job) {
			.cell = cell,
			.side = cell->sides[side],
			.chained = cell->slower[side] != PLAIN,
			.links = links,
			.operations = operations,
			.alone = alone ? alone + i * operations : NULL,
			.cpu = i,
			.start = &start,
		};
		if (pthread_create(&threads[i], NULL, thread, &jobs[i]))
			host_fatal("no thread");
	}
	for (i = 0; i < cell->threads; i++) {
		pthread_join(threads[i], NULL);
		sum += jobs[i].ns;
	}
	kernel_cpu_runs(0, 1);
	return sum / cell->threads;
}

/* Runs of all sides, in turns; `once` returns the nanoseconds of one. */
void measure_runs(const struct cell *cell, double (*once)(const struct cell *cell, unsigned int side))
{
	unsigned int run, side;

	for (side = 0; side < cell->number_of_sides; side++)
		once(cell, side);
	for (run = 0; run < cell->runs; run++) {
		for (side = 0; side < cell->number_of_sides; side++) {
			unsigned long before = kernel_flushes;

			usleep(REST_US);
			results[side][run] = once(cell, side);
			flushes[side] += kernel_flushes - before;
		}
	}
	print_results(cell);
}

static double pairs_once(const struct cell *cell, unsigned int side)
{
	return run_once(cell, side, pairs_thread, cell->operations, NULL);
}

/* ---- pairs that are timed one by one ---- */

/* The sides take turns this often. */
#define ALONE_RUNS	5
#define CLOCK_READS	2001
/* The laboratory reports the same quantiles, in units of 1/10,000. */
static const unsigned int shares[] = { 100, 1000, 2500, 5000, 7500, 9000, 9900, 9990, 9999, 10000 };

static int ascending(const void *a, const void *b)
{
	unsigned int x = *(const unsigned int *)a, y = *(const unsigned int *)b;

	return x < y ? -1 : x > y;
}

/*
 * Returns the ticks that a look at the clock adds to a time (the median), and sets `step` to the least
 * difference of two times.
 */
static unsigned int clock_ticks(unsigned int *step)
{
	static unsigned int read[CLOCK_READS];
	unsigned int i;

	uninterrupted(1);
	for (i = 0; i < CLOCK_READS; i++)
		read[i] = ticks_since(ticks_alone());
	uninterrupted(0);
	qsort(read, CLOCK_READS, sizeof(*read), ascending);
	/* If all are the same, a step is no longer than one of them. */
	*step = read[0];
	for (i = 1; i < CLOCK_READS; i++)
		if (read[i] > read[i - 1] && read[i] - read[i - 1] < *step)
			*step = read[i] - read[i - 1];
	return read[CLOCK_READS / 2];
}

static void print_alone(const struct cell *cell, unsigned int side, unsigned int *times,
			unsigned long count, unsigned int clock, unsigned int step)
{
	unsigned int i;

	qsort(times, count, sizeof(*times), ascending);
	printf("alone %s %d %.1f %.1f", side_names[cell->sides[side]], cell->slower[side],
	       clock * ns_per_tick, step * ns_per_tick);
	for (i = 0; i < ARRAY_SIZE(shares); i++) {
		unsigned int took = times[(count * shares[i] + 9999) / 10000 - 1];

		printf(" %u:%.1f", shares[i], (took > clock ? took - clock : 0) * ns_per_tick);
	}
	printf("\n");
}

static void measure_alone(const struct cell *cell)
{
	unsigned long operations = cell->alone / cell->threads, all = operations * cell->threads;
	unsigned int *times[8], run, side, step, clock = clock_ticks(&step);

	for (side = 0; side < cell->number_of_sides; side++) {
		times[side] = malloc(ALONE_RUNS * all * sizeof(*times[side]));
		if (!times[side])
			host_fatal("no memory");
		/* A page of it that comes while a pair is timed is not the pair's. */
		memset(times[side], 1, ALONE_RUNS * all * sizeof(*times[side]));
	}
	for (run = 0; run < ALONE_RUNS; run++) {
		for (side = 0; side < cell->number_of_sides; side++) {
			usleep(REST_US);
			run_once(cell, side, pairs_thread, operations, times[side] + run * all);
		}
	}
	for (side = 0; side < cell->number_of_sides; side++) {
		print_alone(cell, side, times[side], ALONE_RUNS * all, clock, step);
		free(times[side]);
	}
}

void measure_pairs(const struct cell *cell)
{
	measure_runs(cell, pairs_once);
	if (cell->alone)
		measure_alone(cell);
}

static double relay_once(const struct cell *cell, unsigned int side)
{
	return run_once(cell, side, relay_thread, cell->operations, NULL);
}

void measure_relay(const struct cell *cell)
{
	measure_runs(cell, relay_once);
}

/* ---- lookups ---- */

#define LOOKUPS	16384

void measure_lookup(const struct cell *cell)
{
	unsigned long *areas[2] = { NULL }, *addresses[2], i, found, since;
	unsigned int side, run;

	for (side = 0; side < 2; side++) {
		enum side which = side ? VMAPCACHE : IN_TREE;

		areas[side] = calloc(cell->live, sizeof(unsigned long));
		addresses[side] = calloc(LOOKUPS, sizeof(unsigned long));
		for (i = 0; i < cell->live; i++) {
			areas[side][i] = side_alloc(which, 1, 1);
			if (i % 64 == 63)
				kernel_pause();
		}
	}
	for (i = 0; i < LOOKUPS; i++) {
		unsigned long at = random_number() % cell->live;

		addresses[0][i] = areas[0][at];
		addresses[1][i] = areas[1][at];
	}
	for (run = 0; run < cell->runs; run++) {
		for (side = 0; side < 2; side++) {
			usleep(REST_US);
			uninterrupted(1);
			found = 0;
			since = ticks();
			for (i = 0; i < LOOKUPS; i++) {
				unsigned long address = addresses[side][i], size;

				if (side)
					found += (unsigned long)vc_rs_find_area(address, &size) == address;
				else
					found += in_tree_find(address) == address;
			}
			results[side][run] = (ticks() - since) * ns_per_tick / LOOKUPS;
			uninterrupted(0);
			if (found != LOOKUPS)
				host_fatal("a lookup did not find its area");
		}
	}
	print_results(cell);
}

/* ---- purges ---- */

static void clean(void)
{
	in_tree_drain();
	vc_rs_purge_all(1);
	kernel_pause();
}

/* Nanoseconds for all that is lazy. */
double purge_once(enum side side, int drain)
{
	unsigned long since;

	usleep(REST_US);
	uninterrupted(1);
	since = ticks();
	if (side == VMAPCACHE)
		vc_rs_purge_all(drain);
	else if (drain)
		in_tree_drain();
	else
		in_tree_purge();
	since = ticks() - since;
	uninterrupted(0);
	return since * ns_per_tick;
}

void make_lazy(const struct cell *cell, enum side side, unsigned long *areas)
{
	unsigned long i;

	clean();
	for (i = 0; i < cell->operations; i++) {
		areas[i] = side_alloc(side, requests[i % REQUESTS].pages, 1);
		if (!areas[i])
			host_fatal("an allocation failed");
	}
	for (i = 0; i < cell->operations; i++) {
		unsigned long at = i + random_number() % (cell->operations - i), area = areas[at];

		areas[at] = areas[i];
		areas[i] = area;
	}
	for (i = 0; i < cell->operations; i++)
		side_free(side, areas[i], 1);
}

void measure_purge(const struct cell *cell)
{
	unsigned long *areas = calloc(cell->operations, sizeof(*areas));
	unsigned int run, side;
	int drain = !strcmp(cell->how, "drain");

	for (run = 0; run < cell->runs; run++) {
		for (side = 0; side < cell->number_of_sides; side++) {
			make_lazy(cell, cell->sides[side], areas);
			results[side][run] = purge_once(cell->sides[side], drain);
		}
	}
	free(areas);
	print_results(cell);
}

/* ---- what it costs to hand one line over ---- */

#define HANDOVERS	400

static _Alignas(128) atomic_long turn;

static void *answer(void *argument)
{
	long i;

	enter_cpu(1);
	uninterrupted(1);
	for (i = 0; i < HANDOVERS; i++) {
		while (atomic_load_explicit(&turn, memory_order_acquire) != 2 * i + 1)
			;
		atomic_store_explicit(&turn, 2 * i + 2, memory_order_release);
	}
	uninterrupted(0);
	return NULL;
}

/* Nanoseconds to hand a line to the other CPU, one way; the least of a few tries. */
double line_ns(void)
{
	double least = 1e9, ns;
	unsigned long since;
	pthread_t thread;
	long i;
	int try;

	if (cpus_of_machine() < 2)
		return 0;
	for (try = 0; try < 9; try++) {
		atomic_store(&turn, 0);
		if (pthread_create(&thread, NULL, answer, NULL))
			host_fatal("no thread");
		usleep(300);
		uninterrupted(1);
		since = ticks();
		for (i = 0; i < HANDOVERS; i++) {
			atomic_store_explicit(&turn, 2 * i + 1, memory_order_release);
			while (atomic_load_explicit(&turn, memory_order_acquire) != 2 * i + 2)
				;
		}
		ns = (ticks() - since) * ns_per_tick / (2 * HANDOVERS);
		uninterrupted(0);
		pthread_join(thread, NULL);
		if (ns < least)
			least = ns;
	}
	return least;
}
