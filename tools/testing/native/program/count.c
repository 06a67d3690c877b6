// SPDX-License-Identifier: GPL-2.0
/*
 * Counts locks, by name. The CPUs of the kernel's half take turns in one thread and time is made up,
 * so that a count is the same each time, on each machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cell.h"

static const char *name_of(const void *lock)
{
	const char *name = in_tree_lock_name(lock);

	if (!name)
		name = kernel_lock_name(lock);
	return name ? name : "others";
}

static void print_locks(enum side side, double per)
{
	unsigned int i, j;

	for (i = 0; i < LOCK_COUNTS; i++) {
		struct lock_count sum = lock_counts[i];

		if (!sum.taken)
			continue;
		for (j = i + 1; j < LOCK_COUNTS; j++) {
			struct lock_count *more = &lock_counts[j];

			if (!more->taken || strcmp(name_of(sum.lock), name_of(more->lock)))
				continue;
			sum.taken += more->taken;
			if (more->longest > sum.longest)
				sum.longest = more->longest;
			more->taken = 0;
		}
		printf("lock %s %.3f %.3f %s\n", side_names[side], sum.taken / per,
		       sum.longest * ns_per_tick, name_of(sum.lock));
	}
}

static void turns(const struct cell *cell, enum side side, unsigned long rounds)
{
	unsigned int keep = cell->held;
	unsigned long *held = calloc(2UL * cell->cpus * (keep + 1), sizeof(*held)), round;
	unsigned int cpu;

	for (round = 0; round < rounds; round++) {
		for (cpu = 0; cpu < cell->cpus; cpu++) {
			const struct request *request = &requests[(round + cpu * 1111) % REQUESTS];
			unsigned long area, *slot;

			be_cpu(cpu);
			area = side_alloc(side, request->pages, request->align);
			if (!area)
				host_fatal("an allocation failed");
			slot = &held[2 * (cpu * (keep + 1) + (keep ? round % keep : 0))];
			if (slot[0])
				side_free(side, slot[0], slot[1]);
			slot[0] = area;
			slot[1] = request->pages;
			if (!keep) {
				side_free(side, area, request->pages);
				slot[0] = 0;
			}
			if (round % 64 == 63)
				kernel_pause();
		}
	}
	be_cpu(0);
	for (round = 0; round < (unsigned long)cell->cpus * (keep + 1); round++)
		if (held[2 * round])
			side_free(side, held[2 * round], held[2 * round + 1]);
	free(held);
}

void count_pairs(const struct cell *cell)
{
	unsigned long rounds = cell->operations / cell->cpus;
	unsigned int i;

	count_locks();
	for (i = 0; i < cell->number_of_sides; i++) {
		turns(cell, cell->sides[i], rounds);
		memset(lock_counts, 0, sizeof(lock_counts));
		counting_locks = 1;
		turns(cell, cell->sides[i], rounds);
		counting_locks = 0;
		print_locks(cell->sides[i], rounds * cell->cpus / 1000.0);
	}
}

/* How long each lock is held while all that is lazy is drained. */
void count_purge(const struct cell *cell)
{
	unsigned long *areas = calloc(cell->operations, sizeof(*areas));
	unsigned int i;
	int drain = !strcmp(cell->how, "drain");

	count_locks();
	for (i = 0; i < cell->number_of_sides; i++) {
		make_lazy(cell, cell->sides[i], areas);
		memset(lock_counts, 0, sizeof(lock_counts));
		counting_locks = 1;
		purge_once(cell->sides[i], drain);
		counting_locks = 0;
		print_locks(cell->sides[i], 1);
	}
	free(areas);
}
