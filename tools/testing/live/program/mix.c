// SPDX-License-Identifier: GPL-2.0
/* Several workloads at the same time, each in a process of its own. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

#define MOST	16

static const struct workload *parts[MOST];
static unsigned int count_of_parts;

static void all_at_once(unsigned int seed)
{
	pid_t children[MOST];
	unsigned int i;
	int status;

	clock_start();
	operation_begins();
	for (i = 0; i < count_of_parts; i++) {
		children[i] = fork();
		if (children[i] < 0)
			die_errno("fork");
		if (!children[i]) {
			parts[i]->round(seed);
			parts[i]->check();
			_exit(0);
		}
	}
	for (i = 0; i < count_of_parts; i++)
		if (waitpid(children[i], &status, 0) < 0 || status)
			die("mix: %s ended with status %#x", parts[i]->name, status);
	operation_ends();
	clock_stop();
}

/* Each part has compared its own. */
static void check_nothing(void)
{
}

/* Parts with their arguments, "--" between two. A part can be there once. */
static void begin(int count, char **arguments)
{
	int first, end;

	for (first = 0; first < count; first = end + 1) {
		for (end = first; end < count && strcmp(arguments[end], "--"); end++)
			;
		if (count_of_parts == MOST)
			die("mix: more than %u parts", MOST);
		parts[count_of_parts] = workload_named(arguments[first]);
		if (end - first - 1 < parts[count_of_parts]->least)
			die("%s: it takes %s", arguments[first], parts[count_of_parts]->arguments);
		parts[count_of_parts++]->begin(end - first - 1, arguments + first + 1);
	}
}

const struct workload mix = {
	"mix", "WORKLOAD ARGUMENT... [-- WORKLOAD ARGUMENT...]...", 2, begin, all_at_once, check_nothing,
};
