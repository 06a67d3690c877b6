// SPDX-License-Identifier: GPL-2.0
/*
 * Makes the requests of a program (rust/bench/program.rs says what one looks like), for addresses alone, as
 * the laboratory's scenario `replay` does in a kernel. Each CPU of the program is a thread, which makes its
 * requests in their order. A thread that is to free what another one has not allocated yet waits, and that
 * time does not count.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cell.h"

/* As in rust/bench/program.rs. */
#define MOST_REQUESTS	(1UL << 20)
#define MOST_BYTES	(32UL << 20)
#define MOST_CPUS	256
#define MOST_PAGES	(1UL << 20)
#define MOST_ALIGN	65536
#define CHECKPOINTS	8

/* A run makes all requests so often that it has this number of them: the first pass is on cold caches. */
#define REQUESTS_OF_RUN	200000
#define PASSES_MOST	64

/* Not allocated yet; the allocation has failed; freed. Any other value is the area. */
#define NOT_YET		0UL
#define FAILED		1UL
#define GONE		2UL

struct move {
	unsigned int slot;
	unsigned short cpu;
	unsigned char frees;
};

struct live {
	unsigned long areas, pages;
};

static struct {
	unsigned long requests, allocations;
	unsigned int cpus;
	struct move *moves;
	/* Those of each CPU. */
	struct move *lists[MOST_CPUS];
	unsigned long in_list[MOST_CPUS];
	struct request *slots;
	struct live most, live[CHECKPOINTS];
} program;

/* The area of each slot, set by the one thread that allocates it, and taken by the one that frees it. */
static atomic_ulong *places;

/* ---- the program ---- */

static unsigned long line;

static _Noreturn void complain(const char *why)
{
	fprintf(stderr, "native: program, line %lu: %s\n", line, why);
	exit(2);
}

static char *read_all(const char *name)
{
	FILE *file = strcmp(name, "-") ? fopen(name, "r") : stdin;
	unsigned long room = 1 << 20, bytes = 0, more;
	char *text = malloc(room + 1);

	if (!file) {
		perror(name);
		exit(2);
	}
	while (text && (more = fread(text + bytes, 1, room - bytes, file))) {
		bytes += more;
		if (bytes < room)
			continue;
		if (room > MOST_BYTES)
			complain("the program is too long");
		room *= 2;
		text = realloc(text, room + 1);
	}
	if (!text || ferror(file))
		complain("the program cannot be read");
	text[bytes] = 0;
	if (strlen(text) != bytes)
		complain("a byte of 0");
	if (file != stdin)
		fclose(file);
	return text;
}

/* A number from `least` to `most`, and the character that must follow it. */
static unsigned long number(char **at, unsigned long least, unsigned long most, char end,
			    const char *why)
{
	unsigned long value = 0;
	char *digit = *at;

	for (; *digit >= '0' && *digit <= '9'; digit++) {
		value = 10 * value + *digit - '0';
		if (value > most)
			complain(why);
	}
	if (digit == *at || *digit != end || value < least)
		complain(why);
	*at = digit + 1;
	return value;
}

static void word(char **at, const char *wanted)
{
	unsigned long length = strlen(wanted);

	if (strncmp(*at, wanted, length))
		complain("not \"requests N\", \"CPU a PAGES ALIGN\" or \"CPU f NUMBER\"");
	*at += length;
}

static void parse_move(char **at, unsigned char *freed, struct live *live)
{
	struct move *move = &program.moves[program.requests];
	struct request *slot;

	move->cpu = number(at, 0, MOST_CPUS - 1, ' ', "no such CPU");
	move->frees = **at == 'f';
	word(at, move->frees ? "f " : "a ");
	if (move->frees) {
		move->slot = number(at, 0, MOST_REQUESTS, '\n', "frees what is none");
		if (move->slot >= program.allocations)
			complain("frees an allocation that no line before makes");
		if (freed[move->slot]++)
			complain("frees an allocation a second time");
		live->areas--;
		live->pages -= program.slots[move->slot].pages;
	} else {
		move->slot = program.allocations++;
		slot = &program.slots[move->slot];
		slot->pages = number(at, 1, MOST_PAGES, ' ', "no such number of pages");
		slot->align = number(at, 1, MOST_ALIGN, '\n', "no such alignment");
		if (slot->align & (slot->align - 1))
			complain("the alignment is no power of two");
		live->areas++;
		live->pages += slot->pages;
	}
	if (move->cpu >= program.cpus)
		program.cpus = move->cpu + 1;
	program.in_list[move->cpu]++;
	program.requests++;
}

static void *room(unsigned long number, unsigned long size)
{
	void *room = calloc(number ? number : 1, size);

	if (!room)
		host_fatal("no memory for the program");
	return room;
}

/* Whether checkpoint n comes when this number of requests are done. */
static int due(unsigned int n, unsigned long done)
{
	return program.requests * (n + 1) / CHECKPOINTS == done;
}

/* Reads the program. Returns the MiB that its areas take at most, with their guard pages. */
unsigned long read_program(const char *name)
{
	char *text = read_all(name), *at = text;
	struct live live = { 0 };
	unsigned long count, i, filled[MOST_CPUS] = { 0 };
	unsigned char *freed;
	unsigned int n;

	line = 1;
	word(&at, "requests ");
	count = number(&at, 1, MOST_REQUESTS, '\n', "no such number of requests");
	program.moves = room(count, sizeof(*program.moves));
	program.slots = room(count, sizeof(*program.slots));
	freed = room(count, 1);
	/* Where a checkpoint is depends on the number of requests: they are counted in a second pass. */
	for (line = 2; program.requests < count; line++) {
		if (!*at)
			complain("the program is cut off");
		parse_move(&at, freed, &live);
		if (live.areas > program.most.areas)
			program.most.areas = live.areas;
		if (live.pages > program.most.pages)
			program.most.pages = live.pages;
	}
	if (*at)
		complain("more requests than the first line says");
	for (i = 0; i < program.cpus; i++)
		program.lists[i] = room(program.in_list[i], sizeof(**program.lists));
	live = (struct live) { 0 };
	for (i = 0; i < count; i++) {
		struct move *move = &program.moves[i];
		long sign = move->frees ? -1 : 1;

		program.lists[move->cpu][filled[move->cpu]++] = *move;
		live.areas += sign;
		live.pages += sign * program.slots[move->slot].pages;
		for (n = 0; n < CHECKPOINTS; n++)
			if (due(n, i + 1))
				program.live[n] = live;
	}
	places = room(program.allocations, sizeof(*places));
	free(freed);
	free(text);
	return ((program.most.pages + program.most.areas) >> 8) + 1;
}

/* ---- a run ---- */

static struct {
	const struct cell *cell;
	enum side side;
	unsigned int passes;
	pthread_barrier_t turn;
} run;

struct player {
	unsigned int cpu;
	unsigned long ticks, failures;
};

static unsigned long failures[8];
/* Runs at whose end other areas lived than the program's. */
static unsigned int others[8];

/* Waits until somebody has tried the allocation. Meanwhile this CPU is idle. Returns the ticks. */
static unsigned long await(unsigned int cpu, atomic_ulong *place)
{
	unsigned long since = ticks();

	kernel_cpu_runs(cpu, 0);
	while (atomic_load_explicit(place, memory_order_acquire) == NOT_YET)
		__builtin_ia32_pause();
	kernel_cpu_runs(cpu, 1);
	return ticks() - since;
}

/* Returns whether the allocator had an area. */
static __always_inline
int make(enum side side, const struct move *move)
{
	atomic_ulong *place = &places[move->slot];
	const struct request *slot = &program.slots[move->slot];
	unsigned long area;

	if (move->frees) {
		area = atomic_load_explicit(place, memory_order_acquire);
		if (area > GONE) {
			atomic_store_explicit(place, GONE, memory_order_relaxed);
			side_free(side, area, slot->pages);
		}
		return 1;
	}
	area = side_alloc(side, slot->pages, slot->align);
	atomic_store_explicit(place, area ? area : FAILED, memory_order_release);
	return area != 0;
}

static __always_inline
void play(struct player *player, enum side side)
{
	const struct move *move = program.lists[player->cpu];
	unsigned long number = program.in_list[player->cpu], waited = 0, since = ticks(), i;

	for (i = 0; i < number; i++, move++) {
		atomic_ulong *place = &places[move->slot];

		if (move->frees &&
		    atomic_load_explicit(place, memory_order_relaxed) == NOT_YET)
			waited += await(player->cpu, place);
		player->failures += !make(side, move);
		if (i % 64 == 63)
			kernel_pause();
	}
	player->ticks += ticks() - since - waited;
}

static void free_left(enum side side)
{
	struct live live = { 0 };
	unsigned long i;

	for (i = 0; i < program.allocations; i++) {
		unsigned long area = atomic_load_explicit(&places[i], memory_order_acquire);

		if (area > GONE) {
			live.areas++;
			live.pages += program.slots[i].pages;
			side_free(side, area, program.slots[i].pages);
			if (live.areas % 64 == 0)
				kernel_pause();
		}
		atomic_store_explicit(&places[i], NOT_YET, memory_order_relaxed);
	}
	if (memcmp(&live, &program.live[CHECKPOINTS - 1], sizeof(live)))
		for (i = 0; i < run.cell->number_of_sides; i++)
			others[i] += run.cell->sides[i] == side;
}

static void *player_thread(void *argument)
{
	struct player *player = argument;
	unsigned int pass;

	enter_cpu(player->cpu);
	uninterrupted(1);
	for (pass = 0; pass < run.passes; pass++) {
		pthread_barrier_wait(&run.turn);
		kernel_cpu_runs(player->cpu, 1);
		/* A loop for each side. */
		switch (run.side) {
		case IN_TREE:
			play(player, IN_TREE);
			break;
		case IN_TREE_VM:
			play(player, IN_TREE_VM);
			break;
		default:
			play(player, VMAPCACHE);
		}
		kernel_pause();
		kernel_cpu_runs(player->cpu, 0);
		pthread_barrier_wait(&run.turn);
		if (!player->cpu) {
			kernel_cpu_runs(0, 1);
			free_left(run.side);
			kernel_cpu_runs(0, 0);
		}
	}
	uninterrupted(0);
	return NULL;
}

/* Nanoseconds of a request: those of all threads, by all of their requests. */
static double run_once(const struct cell *cell, unsigned int side)
{
	struct player players[MOST_CPUS] = { 0 };
	pthread_t threads[MOST_CPUS];
	unsigned long ticks = 0;
	unsigned int cpu;

	run.cell = cell;
	run.side = cell->sides[side];
	run.passes = REQUESTS_OF_RUN / program.requests;
	run.passes = run.passes < 1 ? 1 : run.passes > PASSES_MOST ? PASSES_MOST : run.passes;
	pthread_barrier_init(&run.turn, NULL, program.cpus);
	/* A thread that runs CPU 0 takes its place. */
	kernel_cpu_runs(0, 0);
	for (cpu = 0; cpu < program.cpus; cpu++) {
		players[cpu].cpu = cpu;
		if (pthread_create(&threads[cpu], NULL, player_thread, &players[cpu]))
			host_fatal("no thread");
	}
	for (cpu = 0; cpu < program.cpus; cpu++) {
		pthread_join(threads[cpu], NULL);
		ticks += players[cpu].ticks;
		failures[side] += players[cpu].failures;
	}
	kernel_cpu_runs(0, 1);
	pthread_barrier_destroy(&run.turn);
	return ticks * ns_per_tick / run.passes / program.requests;
}

/* ---- what lives ---- */

struct range {
	unsigned long from, to;
};

static int by_address(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

static int found(enum side side, unsigned long address, unsigned long start)
{
	unsigned long size;

	if (side == VMAPCACHE)
		return (unsigned long)vc_rs_find_area(address, &size) == start;
	return in_tree_find(address) == start;
}

/* The live areas that the allocator, too, knows; NULL, or what is wrong with them. */
static const char *look(enum side side, struct live *live)
{
	struct range *ranges = room(program.most.areas, sizeof(*ranges));
	const char *wrong = NULL;
	unsigned long i, number = 0;

	*live = (struct live) { 0 };
	for (i = 0; i < program.allocations; i++) {
		unsigned long area = atomic_load(&places[i]), start;
		const struct request *slot = &program.slots[i];

		if (area <= GONE)
			continue;
		start = side_address(side, area);
		if (found(side, start, start) &&
		    found(side, start + (slot->pages << 12) - 1, start)) {
			live->areas++;
			live->pages += slot->pages;
		}
		if (start >> 12 & (slot->align - 1) || start & 4095)
			wrong = "align";
		if (number == program.most.areas) {
			wrong = "live";
			break;
		}
		/* With its guard page. */
		ranges[number].from = start >> 12;
		ranges[number++].to = (start >> 12) + slot->pages + 1;
		if (number % 64 == 0)
			kernel_pause();
	}
	qsort(ranges, number, sizeof(*ranges), by_address);
	for (i = 1; i < number; i++)
		if (ranges[i].from < ranges[i - 1].to)
			wrong = "overlap";
	free(ranges);
	return wrong;
}

/* Makes all requests in the order of the program, on CPUs that take turns, and looks at each checkpoint. */
static void check_side(const struct cell *cell, unsigned int number)
{
	enum side side = cell->sides[number];
	struct live seen[CHECKPOINTS] = { 0 }, live;
	const char *wrong = NULL, *now;
	unsigned long i;
	unsigned int n;

	run.cell = cell;
	for (i = 0; i < program.requests; i++) {
		be_cpu(program.moves[i].cpu);
		failures[number] += !make(side, &program.moves[i]);
		if (i % 64 == 63) {
			kernel_pause();
			/* A grace period waits for CPU 0, whatever the program has for it. */
			be_cpu(0);
			kernel_pause();
		}
		for (n = 0; n < CHECKPOINTS && !due(n, i + 1); n++)
			;
		if (n == CHECKPOINTS)
			continue;
		now = look(side, &live);
		wrong = now ? now : wrong;
		for (; n < CHECKPOINTS; n++)
			if (due(n, i + 1))
				seen[n] = live;
	}
	be_cpu(0);
	free_left(side);
	if (!wrong && (others[number] || memcmp(seen, program.live, sizeof(seen))))
		wrong = "live";
	printf("held %s %lu %s ", side_names[side], failures[number], wrong ? wrong : "ok");
	for (n = 0; n < CHECKPOINTS; n++)
		printf("%s%lu:%lu", n ? "," : "", seen[n].areas, seen[n].pages);
	printf("\n");
}

/* ---- the whole ---- */

unsigned int cpus_of_program(void)
{
	return program.cpus;
}

void measure_replay(const struct cell *cell)
{
	unsigned int side;

	measure_runs(cell, run_once);
	for (side = 0; side < cell->number_of_sides; side++)
		check_side(cell, side);
	printf("replayed %lu %u\n", program.requests, run.passes);
}
