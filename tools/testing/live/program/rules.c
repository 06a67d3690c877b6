// SPDX-License-Identifier: GPL-2.0
/* A table of packet filter rules, replaced by another with as many rules, by the program nft. */
#define _GNU_SOURCE
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

#define TABLE	"live"

static const char *folder;
static unsigned int swaps, rules_there, last_table;

static const char *path_of(unsigned int table)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/table-%u", folder, table);
	return path;
}

/* Rule @which of a table, as nft lists it. */
static void rule(char *text, size_t size, unsigned int table, unsigned int which)
{
	snprintf(text, size, "ip saddr 10.%u.%u.%u tcp dport %u drop", table % 200 + 1, which / 200,
		 which % 200 + 1, 1000 + which);
}

static void write_table(unsigned int table)
{
	FILE *file = fopen(path_of(table), "w");
	char text[128];
	unsigned int i;

	if (!file)
		die_errno("%s", path_of(table));
	fprintf(file, "table ip %s\ndelete table ip %s\ntable ip %s {\n\tchain input {\n", TABLE, TABLE,
		TABLE);
	for (i = 0; i < rules_there; i++) {
		rule(text, sizeof(text), table, i);
		fprintf(file, "\t\t%s\n", text);
	}
	fprintf(file, "\t}\n}\n");
	if (fclose(file))
		die_errno("%s", path_of(table));
}

static void swap_in(unsigned int table)
{
	char *file = (char *)path_of(table);
	int status;
	pid_t child;

	if (posix_spawnp(&child, "nft", NULL, NULL, (char *[]){ "nft", "-f", file, NULL }, environ))
		die_errno("nft");
	if (waitpid(child, &status, 0) < 0 || status)
		die("nft -f %s ended with status %#x", path_of(table), status);
}

static void rule_round(unsigned int seed)
{
	unsigned int i;

	for (i = 0; i < swaps; i++)
		write_table(seed * swaps + i);
	clock_start();
	for (i = 0; i < swaps; i++) {
		operation_begins();
		swap_in(seed * swaps + i);
		operation_ends();
	}
	clock_stop();
	last_table = seed * swaps + swaps - 1;
	for (i = 0; i < swaps; i++)
		unlink(path_of(seed * swaps + i));
}

static void check_rules(void)
{
	FILE *list = popen("nft list table ip " TABLE, "r");
	char line[256], wanted[128];
	unsigned int found = 0;

	if (!list)
		die_errno("nft list");
	while (fgets(line, sizeof(line), list)) {
		if (!strstr(line, " saddr "))
			continue;
		rule(wanted, sizeof(wanted), last_table, found++);
		if (!strstr(line, wanted))
			die("rule %u is \"%s\", not \"%s\"", found, line, wanted);
	}
	if (pclose(list) || found != rules_there)
		die("the table has %u rules, not %u", found, rules_there);
}

static void begin(int count, char **arguments)
{
	(void)count;
	folder = arguments[0];
	rules_there = parsed(arguments[1], 20000);
	swaps = parsed(arguments[2], 100);
}

const struct workload rules = {
	"nft", "FOLDER RULES SWAPS", 3, begin, rule_round, check_rules,
};
