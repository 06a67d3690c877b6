// SPDX-License-Identifier: GPL-2.0
/*
 * Checks that an allocator does what it says: no two areas overlap, guard pages included, and all
 * are aligned. Several rounds, so that areas from stock are among them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cell.h"

#define AREAS	20000
#define ROUNDS	6

struct range {
	unsigned long from, to;		/* pages */
};

static int by_address(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

static const struct request *request_of(unsigned long i)
{
	return &requests[i * 7 % REQUESTS];
}

static void check_round(enum side side, unsigned long *areas, struct range *ranges)
{
	/* vm_map_ram's addresses have neither guard pages nor an alignment of one's own. */
	unsigned int guard = side != IN_TREE_BLOCK;
	unsigned long i;

	for (i = 0; i < AREAS; i++) {
		const struct request *request = request_of(i);
		unsigned long address;

		areas[i] = side_alloc(side, request->pages, request->align);
		if (!areas[i])
			host_fatal("an allocation failed");
		address = side_address(side, areas[i]);
		if (address % 4096 || (guard && address / 4096 % request->align))
			host_fatal("an area is not aligned");
		ranges[i].from = address / 4096;
		ranges[i].to = ranges[i].from + request->pages + guard;
		if (i % 64 == 63)
			kernel_pause();
	}
	qsort(ranges, AREAS, sizeof(*ranges), by_address);
	for (i = 1; i < AREAS; i++)
		if (ranges[i].from < ranges[i - 1].to)
			host_fatal("two areas overlap");
	for (i = 0; i < AREAS; i++) {
		side_free(side, areas[i], request_of(i)->pages);
		if (i % 64 == 63)
			kernel_pause();
	}
}

void check_placement(const struct cell *cell)
{
	unsigned long *areas = calloc(AREAS, sizeof(*areas));
	struct range *ranges = calloc(AREAS, sizeof(*ranges));
	unsigned int i, round;

	for (i = 0; i < cell->number_of_sides; i++) {
		for (round = 0; round < ROUNDS; round++)
			check_round(cell->sides[i], areas, ranges);
		printf("placed %s %u\n", side_names[cell->sides[i]], AREAS * ROUNDS);
	}
}
