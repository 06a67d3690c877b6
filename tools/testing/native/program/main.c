// SPDX-License-Identifier: GPL-2.0
/*
 * Measures one cell: `native WHAT KEY=VALUE...`. tools/testing/native/run calls it and makes tables
 * of what it prints.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cell.h"

const char *const side_names[SIDES] = {
	[IN_TREE] = "in-tree",
	[IN_TREE_VM] = "in-tree-vm",
	[IN_TREE_BLOCK] = "vm_map_ram",
	[VMAPCACHE] = "vmapcache",
	[FAKE] = "fake",
};

struct request requests[REQUESTS];
unsigned long fake_links, fake_last;
double ns_per_link;

static const char usage[] =
	"Usage: native WHAT [KEY=VALUE...]\n"
	"\n"
	"  pairs     allocates and frees; then alone=N pairs are timed one by one\n"
	"  relay     allocates on one CPU, frees on another\n"
	"  lookup    finds areas by their addresses\n"
	"  replay    makes the requests of a program (program=FILE, - is standard input), as the laboratory's\n"
	"            scenario of that name\n"
	"  purge     makes lazy areas clean (how=purge), or free space as well (how=drain)\n"
	"  check     checks that areas are aligned and do not overlap\n"
	"  locks     counts locks, on CPUs that take turns\n"
	"  lines     counts cache lines that move between such CPUs\n"
	"  holds     measures how long locks are held in a purge (how=)\n"
	"\n"
	"sides=A,B (in-tree in-tree-vm vm_map_ram vmapcache fake; A+5 is 5 % of ns= slower than A+0) runs= cpus=\n"
	"threads= pages= pages_max= align_max= held= live= operations= alone= ns= arena=MiB program=\n";

/* MiB, if the cell does not say anything else. */
#define ARENA	16384

static void refuse(const char *word)
{
	fprintf(stderr, "native: %s?\n%s", word, usage);
	exit(2);
}

unsigned int random_number(void)
{
	static unsigned long state = 0x2545f4914f6cdd1d;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 32;
}

static void parse_sides(struct cell *cell, char *text)
{
	char *word;

	cell->number_of_sides = 0;
	for (word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		unsigned int at = cell->number_of_sides++, side;
		char *slower = strchr(word, '+');

		if (at == 8)
			refuse(word);
		if (slower)
			*slower++ = 0;
		cell->slower[at] = slower ? atoi(slower) : PLAIN;
		for (side = 0; side < SIDES && strcmp(side_names[side], word); side++)
			;
		if (side == SIDES)
			refuse(word);
		cell->sides[at] = side;
	}
}

static void parse(struct cell *cell, char *word)
{
	const struct {
		const char *name;
		unsigned long *number;
	} numbers[] = {
		{ "runs", &cell->runs },
		{ "cpus", &cell->cpus },
		{ "threads", &cell->threads },
		{ "pages", &cell->pages },
		{ "pages_max", &cell->pages_max },
		{ "align_max", &cell->align_max },
		{ "held", &cell->held },
		{ "live", &cell->live },
		{ "operations", &cell->operations },
		{ "alone", &cell->alone },
		{ "arena", &cell->arena },
	};
	char *value = strchr(word, '=');
	unsigned int i;

	if (!value)
		refuse(word);
	*value++ = 0;
	if (!strcmp(word, "sides")) {
		parse_sides(cell, value);
	} else if (!strcmp(word, "how")) {
		cell->how = value;
	} else if (!strcmp(word, "program")) {
		cell->program = value;
	} else if (!strcmp(word, "ns")) {
		cell->nanoseconds = atof(value);
	} else {
		for (i = 0; i < ARRAY_SIZE(numbers) && strcmp(numbers[i].name, word); i++)
			;
		if (i == ARRAY_SIZE(numbers))
			refuse(word);
		*numbers[i].number = strtoul(value, NULL, 10);
	}
}

static void make_requests(const struct cell *cell)
{
	unsigned int i;

	for (i = 0; i < REQUESTS; i++) {
		unsigned int align = 1, steps = 0;

		while (align << steps < cell->align_max)
			steps++;
		requests[i].pages = cell->pages;
		if (cell->pages_max > cell->pages)
			requests[i].pages += random_number() % (cell->pages_max - cell->pages + 1);
		requests[i].align = align << random_number() % (steps + 1);
	}
}

void make_live(const struct cell *cell)
{
	unsigned long i;

	for (i = 0; i < cell->live; i++) {
		if (!in_tree_area_alloc(1, 1) || !vc_rs_get_area(4096, 4096, GFP, CALLER))
			host_fatal("an allocation failed");
		if (i % 64 == 63)
			kernel_pause();
	}
}

static void find_link_cost(void)
{
	unsigned long since, links = 100000, took;
	int try;

	ns_per_link = 1e9;
	for (try = 0; try < 20; try++) {
		since = ticks();
		chain(since, links);
		took = ticks() - since;
		if (took * ns_per_tick / links < ns_per_link)
			ns_per_link = took * ns_per_tick / links;
	}
}

/* A program brings its CPUs, and may need a larger arena. */
static void prepare_replay(struct cell *cell)
{
	unsigned int i, cpus = cell->cpus < cpus_of_machine() ? cell->cpus : cpus_of_machine();
	unsigned long needed;

	for (i = 0; i < cell->number_of_sides; i++)
		if (cell->slower[i] != PLAIN || cell->sides[i] == FAKE || cell->sides[i] == IN_TREE_BLOCK)
			refuse("sides=");
	if (!cell->program)
		refuse("program=");
	needed = read_program(cell->program);
	if (cpus_of_program() > cpus) {
		fprintf(stderr, "native: a program for %u CPUs, and there are %u\n",
			cpus_of_program(), cpus);
		exit(2);
	}
	/* There are holes between areas, and what is lazy takes room, too. */
	if (!cell->arena && 4 * needed > ARENA)
		cell->arena = 4 * needed;
}

int main(int argc, char **argv)
{
	static struct cell cell = {
		.sides = { IN_TREE, VMAPCACHE },
		.slower = { PLAIN, PLAIN },
		.number_of_sides = 2,
		.runs = 15,
		.threads = 1,
		.pages = 1,
		.align_max = 1,
		.operations = 200000,
		.how = "purge",
	};
	static const struct {
		const char *name;
		void (*run)(const struct cell *cell);
		int timed;
	} whats[] = {
		{ "pairs", measure_pairs, 1 },
		{ "relay", measure_relay, 1 },
		{ "replay", measure_replay, 1 },
		{ "lookup", measure_lookup, 1 },
		{ "purge", measure_purge, 1 },
		{ "holds", count_purge, 1 },
		{ "check", check_placement, 0 },
		{ "locks", count_pairs, 0 },
		{ "lines", count_lines, 0 },
	};
	unsigned int what;
	double line;
	int i;

	if (argc < 2 || !strcmp(argv[1], "--help")) {
		fputs(usage, argc < 2 ? stderr : stdout);
		return argc < 2 ? 2 : 0;
	}
	for (what = 0; what < ARRAY_SIZE(whats) && strcmp(whats[what].name, argv[1]); what++)
		;
	if (what == ARRAY_SIZE(whats))
		refuse(argv[1]);
	for (i = 2; i < argc; i++)
		parse(&cell, argv[i]);
	host_find();
	if (!cell.cpus)
		cell.cpus = cpus_of_machine();
	if (cell.cpus > CPUS_MAX || cell.threads > cell.cpus || !cell.threads ||
	    cell.runs > RUNS_MAX || !cell.runs)
		refuse("cpus=, threads= or runs=");
	if (cell.alone && (cell.alone < cell.threads || cell.alone > ALONE_MAX ||
			   whats[what].run != measure_pairs))
		refuse("alone=");
	if (whats[what].run == measure_replay)
		prepare_replay(&cell);
	if (!cell.arena)
		cell.arena = ARENA;
	/* The module takes four times the memory. */
	host_start(cell.cpus, cell.arena / 4);
	find_link_cost();
	fake_links = cell.nanoseconds / ns_per_link + 0.5;
	if (!whats[what].timed)
		kernel_time_by_pauses(PAUSES_PER_JIFFY * cell.cpus);
	make_requests(&cell);
	if (whats[what].run != measure_lookup)
		make_live(&cell);
	line = whats[what].timed ? line_ns() : 0;
	whats[what].run(&cell);
	if (whats[what].timed)
		printf("line %.1f %.1f\n", line, line_ns());
	printf("machine %u %d %.4f\n", cpus_of_machine(), may_fifo, ns_per_link);
	return 0;
}
