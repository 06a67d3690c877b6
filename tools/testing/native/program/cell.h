/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One cell of the table: what the command line asks for.
 */
#ifndef NATIVE_CELL_H
#define NATIVE_CELL_H

#include "sides.h"

#define REQUESTS	4096
#define PLAIN		-1
#define RUNS_MAX	1024
#define ALONE_MAX	100000000UL

struct cell {
	enum side sides[8];
	int slower[8];			/* percent of `nanoseconds` that are added; PLAIN: no chain */
	unsigned int number_of_sides;
	double nanoseconds;
	const char *how;
	unsigned long runs;
	unsigned long cpus;
	unsigned long threads;
	unsigned long pages, pages_max;	/* random between these */
	unsigned long align_max;	/* random powers of two up to this */
	unsigned long held;		/* areas that each thread keeps */
	unsigned long live;
	unsigned long operations;
	unsigned long alone;		/* pairs of all threads that a run times one by one */
	unsigned long arena;		/* MiB; 0: enough */
	const char *program;
};

/* Sizes and alignments in pages, the same for all sides. */
extern struct request {
	unsigned int pages;
	unsigned int align;
} requests[REQUESTS];

/* Where time is made up: about as many as pass in a jiffy at 60 ns per pair. */
#define PAUSES_PER_JIFFY	1000

extern double ns_per_link;

/* measure.c, which prints a line per side */
void measure_runs(const struct cell *cell, double (*once)(const struct cell *cell, unsigned int side));
void measure_pairs(const struct cell *cell);
void measure_relay(const struct cell *cell);
void measure_lookup(const struct cell *cell);
void measure_purge(const struct cell *cell);
double line_ns(void);
void make_lazy(const struct cell *cell, enum side side, unsigned long *areas);
double purge_once(enum side side, int drain);

/* replay.c */
unsigned long read_program(const char *name);
unsigned int cpus_of_program(void);
void measure_replay(const struct cell *cell);

/* count.c */
void count_pairs(const struct cell *cell);
void count_purge(const struct cell *cell);

/* lines.c */
void count_lines(const struct cell *cell);

/* check.c */
void check_placement(const struct cell *cell);

/* main.c */
void make_live(const struct cell *cell);
unsigned int random_number(void);

#endif /* NATIVE_CELL_H */
