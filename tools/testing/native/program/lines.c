// SPDX-License-Identifier: GPL-2.0
/*
 * Counts cache lines that move between CPUs. The CPUs of the kernel's half take turns in one thread,
 * which the processor stops after each instruction (the trap flag); what the instruction does to
 * memory goes through a model of caches: a line is in any number of them, or written in one.
 *
 * Caches are of any size here, and each turn is a whole pair: so this is exact for that order of
 * things, and the same on each machine.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cell.h"
#include "decode.h"

#define TRAP	0x100
#define LINES	(1U << 20)

static struct line {
	unsigned long address;		/* divided by 64 */
	uint64_t in;			/* the caches that have it */
	unsigned int written;		/* since it was last in memory */
	unsigned int moves;
	unsigned long code;		/* the last instruction that moved it */
} *lines;

static unsigned int cpu_now;
static int counts;
static unsigned long writes, reads, unknown, unknown_at;
static unsigned long stack_from, stack_to;

static struct line *line_of(unsigned long address)
{
	unsigned int at = (address >> 6) * 0x9e3779b97f4a7c15 >> 44;

	while (lines[at].address && lines[at].address != address >> 6)
		at = (at + 1) % LINES;
	lines[at].address = address >> 6;
	return &lines[at];
}

static void touch(const struct access *access, unsigned long code)
{
	struct line *line = line_of(access->address);
	uint64_t me = 1UL << cpu_now;
	int moves = 0;

	if (access->write) {
		/* All others must give it up. */
		moves = !!(line->in & ~me);
		writes += counts && moves;
		line->in = me;
		line->written = 1;
	} else if (!(line->in & me)) {
		/* Another cache has the only copy that is right. */
		moves = line->in && line->written;
		reads += counts && moves;
		if (moves)
			line->written = 0;
		line->in |= me;
	}
	if (counts && moves) {
		line->moves++;
		line->code = code;
	}
}

static void watch(int signal, siginfo_t *info, void *context)
{
	ucontext_t *now = context;
	unsigned long code = now->uc_mcontext.gregs[REG_RIP];
	struct access accesses[ACCESSES_MAX];
	int number = decode(now, kernel_gs(cpu_now), accesses), i;

	if (number < 0 && !unknown++)
		unknown_at = code;
	for (i = 0; i < number; i++)
		if (accesses[i].address < stack_from || accesses[i].address >= stack_to)
			touch(&accesses[i], code);
}

static void trap(int on)
{
	if (on)
		asm volatile("pushf; orl %0, (%%rsp); popf" : : "i" (TRAP) : "memory", "cc");
	else
		asm volatile("pushf; andl %0, (%%rsp); popf" : : "i" (~TRAP) : "memory", "cc");
}

/* Whether pairs are watched: that takes microseconds for each instruction, more under a hypervisor. */
static int watched;

static void one_pair(enum side side, const struct request *request, unsigned long *slot, int keep,
		     int pause)
{
	unsigned long area;

	if (watched)
		trap(1);
	area = side_alloc(side, request->pages, request->align);
	if (keep && slot[0])
		side_free(side, slot[0], slot[1]);
	if (!keep && area)
		side_free(side, area, request->pages);
	if (pause)
		kernel_pause();
	if (watched)
		trap(0);
	if (!area)
		host_fatal("an allocation failed");
	slot[0] = area;
	slot[1] = request->pages;
}

static void rounds(const struct cell *cell, enum side side, unsigned long from, unsigned long to,
		   unsigned long *held)
{
	unsigned long round, keep = cell->held;

	for (round = from; round < to; round++) {
		for (cpu_now = 0; cpu_now < cell->cpus; cpu_now++) {
			const struct request *request =
				&requests[(round + cpu_now * 1111) % REQUESTS];

			be_cpu(cpu_now);
			one_pair(side, request,
				 &held[2 * (cpu_now * (keep + 1) + (keep ? round % keep : 0))],
				 !!keep, round % 64 == 63);
		}
	}
	be_cpu(0);
}

static int by_moves(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->moves != y->moves)
		return x->moves < y->moves ? 1 : -1;
	return x->address < y->address ? -1 : x->address > y->address;
}

#define HOTTEST	3

/* Rounds that nobody watches, until stocks are what they stay. */
#define ROUNDS_BEFORE	20000

void count_lines(const struct cell *cell)
{
	struct sigaction action = { .sa_sigaction = watch, .sa_flags = SA_SIGINFO };
	unsigned long half = cell->operations / cell->cpus, i;
	double pairs = half * cell->cpus / 1000.0;
	unsigned int side;
	char here, name[64];

	if (cell->cpus > 64)
		host_fatal("at most 64 caches");
	/* All of this runs below main()'s frame, and the kernel's half goes no deeper than its stack. */
	stack_from = (unsigned long)&here - (1UL << 20);
	stack_to = (unsigned long)&here + (1UL << 20);
	sigaction(SIGTRAP, &action, NULL);
	lines = calloc(LINES, sizeof(*lines));
	for (side = 0; side < cell->number_of_sides; side++) {
		unsigned long *held = calloc(2 * cell->cpus * (cell->held + 1), sizeof(*held));

		memset(lines, 0, LINES * sizeof(*lines));
		writes = reads = unknown = 0;
		watched = counts = 0;
		rounds(cell, cell->sides[side], 0, ROUNDS_BEFORE, held);
		/* The first half tells which cache has which line. */
		watched = 1;
		rounds(cell, cell->sides[side], ROUNDS_BEFORE, ROUNDS_BEFORE + half, held);
		counts = 1;
		rounds(cell, cell->sides[side], ROUNDS_BEFORE + half, ROUNDS_BEFORE + 2 * half,
		       held);
		if (unknown) {
			fprintf(stderr, "native: %lu unknown instructions, first at %lx\n", unknown,
				unknown_at);
			exit(1);
		}
		printf("moves %s %.2f %.2f\n", side_names[cell->sides[side]], writes / pairs,
		       reads / pairs);
		qsort(lines, LINES, sizeof(*lines), by_moves);
		for (i = 0; i < HOTTEST; i++) {
			kernel_owner(lines[i].address << 6, name, sizeof(name));
			printf("hot %s %.2f %lx %lx %s\n", side_names[cell->sides[side]],
			       lines[i].moves / pairs, lines[i].address << 6, lines[i].code, name);
		}
		free(held);
	}
}
