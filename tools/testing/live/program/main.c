// SPDX-License-Identifier: GPL-2.0
/*
 * Runs one workload, a round at a time, as `run` asks for it on standard input:
 *
 *	round SEED	answers "round NS OPERATIONS MOST SHARE:NS...": MOST is the longest
 *			operation, and SHARE of 10,000 operations end within NS
 *	check		compares what the last round left, answers "checked"
 *
 * In a VM whose clock counts instructions (VMAPCACHE_ICOUNT), the time of a round is that of all
 * tasks, so that it has no idle time, until a moment afterwards, so that it has what the kernel puts
 * off. It must run softirqs in tasks (threadirqs).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "workload.h"

#define OPERATIONS	65536
/* Grace periods of RCU and work items end within this time. */
#define SETTLE_US	200000
#define PAUSE_US	30000

static const struct workload * const workloads[] = {
	&files_write, &files_read, &attributes, &blocks, &filters, &arrays, &mmapable_arrays,
	&ring_buffers, &forks, &threads, &rings, &module_loads, &rules, &mix,
};

static struct {
	unsigned long total;
	unsigned long started;
	unsigned long tasks;
	unsigned long operation;
	unsigned long times[OPERATIONS];
	unsigned int operations;
	int runs;
} measured;

static int counts_instructions;

void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

void die_errno(const char *format, ...)
{
	int error = errno;
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, ": %s\n", strerror(error));
	exit(1);
}

static unsigned long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ul + time.tv_nsec;
}

/* How long the only CPU has run tasks until the last switch between tasks, in nanoseconds. */
static unsigned long task_time(void)
{
	FILE *file = fopen("/proc/schedstat", "r");
	unsigned long time = 0;
	char line[256];
	int found = 0;

	if (!file)
		die_errno("/proc/schedstat");
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, "cpu0 %*u %*u %*u %*u %*u %*u %lu", &time) == 1;
	fclose(file);
	if (!found)
		die("/proc/schedstat has no times of CPU 0");
	return time;
}

void clock_start(void)
{
	unsigned long ready;

	if (counts_instructions) {
		/* The scheduler adds what this task has run so far, before the round. */
		usleep(1);
		ready = now();
		measured.tasks = task_time();
		measured.tasks += now() - ready;
	}
	measured.runs = 1;
	measured.started = now();
}

void clock_stop(void)
{
	measured.runs = 0;
	if (!counts_instructions) {
		measured.total += now() - measured.started;
		return;
	}
	usleep(SETTLE_US);
	measured.total += task_time() - measured.tasks;
}

void operation_begins(void)
{
	measured.operation = now();
}

void operation_ends(void)
{
	if (measured.runs && measured.operations < OPERATIONS)
		measured.times[measured.operations++] = now() - measured.operation;
}

unsigned int parsed(const char *text, unsigned int most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || !value || value > most)
		die("%s: no number from 1 to %u", text, most);
	return value;
}

void *zeroed(size_t size)
{
	void *data = aligned_alloc(4096, (size + 4095) & ~4095ul);

	if (!data)
		die("no memory");
	return memset(data, 0, size);
}

const struct workload *workload_named(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(workloads) / sizeof(*workloads); i++)
		if (!strcmp(workloads[i]->name, name))
			return workloads[i];
	die("no workload %s", name);
}

static int ascending(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;

	return x < y ? -1 : x > y;
}

/* Those of the laboratory (rust/bench/report.rs). */
static const unsigned int shares[] = { 100, 1000, 2500, 5000, 7500, 9000, 9900, 9990, 9999 };

static void one_round(const struct workload *workload, unsigned int seed)
{
	unsigned int count, i;

	measured.total = 0;
	measured.operations = 0;
	workload->round(seed);
	count = measured.operations;
	if (!count)
		die("%s did no operation", workload->name);
	qsort(measured.times, count, sizeof(*measured.times), ascending);
	printf("round %lu %u %lu", measured.total, count, measured.times[count - 1]);
	for (i = 0; i < sizeof(shares) / sizeof(*shares); i++)
		printf(" %u:%lu", shares[i],
		       measured.times[((unsigned long)count * shares[i] + 9999) / 10000 - 1]);
	printf("\n");
	/* Frees that the kernel puts off are no part of the next round. */
	usleep(counts_instructions ? SETTLE_US : PAUSE_US);
}

static void usage(FILE *to)
{
	size_t i;

	fputs("Usage: workload NAME ARGUMENT...\n\nWorkloads and their arguments:\n", to);
	for (i = 0; i < sizeof(workloads) / sizeof(*workloads); i++)
		fprintf(to, "  %-16s%s\n", workloads[i]->name, workloads[i]->arguments);
}

int main(int count, char **arguments)
{
	const struct workload *workload;
	char line[64];
	unsigned int seed;

	if (count == 2 && !strcmp(arguments[1], "--help")) {
		usage(stdout);
		return 0;
	}
	if (count < 2) {
		usage(stderr);
		return 2;
	}
	workload = workload_named(arguments[1]);
	if (count - 2 < workload->least)
		die("%s: it takes %s", workload->name, workload->arguments);
	counts_instructions = getenv("VMAPCACHE_ICOUNT") && *getenv("VMAPCACHE_ICOUNT");
	workload->begin(count - 2, arguments + 2);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "round %u", &seed) == 1) {
			one_round(workload, seed);
		} else if (!strcmp(line, "check\n")) {
			workload->check();
			puts("checked");
		} else {
			die("no command %s", line);
		}
		fflush(stdout);
	}
	return 0;
}
