// SPDX-License-Identifier: GPL-2.0
/* Processes and threads, many alive at once. Some stay until the next round. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

#define MOST	1024

static unsigned int tasks, last_seed;

/* ---- processes ---- */

static pid_t children[MOST];
/* The children wait until nobody can write there. */
static int gate[2] = { -1, -1 };

static int code_of(unsigned int which)
{
	return (last_seed * 31 + which) % 100;
}

static void fork_all(void)
{
	unsigned int i;
	char byte;

	if (pipe(gate))
		die_errno("pipe");
	for (i = 0; i < tasks; i++) {
		operation_begins();
		children[i] = fork();
		if (children[i] < 0)
			die_errno("fork");
		if (!children[i]) {
			close(gate[1]);
			if (read(gate[0], &byte, 1) < 0)
				_exit(255);
			_exit(code_of(i));
		}
		operation_ends();
	}
	close(gate[0]);
}

static void end_all(void)
{
	unsigned int i;
	int status;

	if (gate[1] < 0)
		return;
	close(gate[1]);
	gate[1] = -1;
	for (i = 0; i < tasks; i++)
		if (waitpid(children[i], &status, 0) < 0 || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != code_of(i))
			die("child %u ended with status %#x, not with %d", i, status, code_of(i));
}

static void fork_round(unsigned int seed)
{
	last_seed = seed;
	clock_start();
	fork_all();
	end_all();
	clock_stop();
	/* For check_forks(), which may run after a switch. */
	fork_all();
}

/* ---- threads ---- */

static pthread_t all_threads[MOST];

static void *thread(void *argument)
{
	char name[16];

	/* A system call, on the stack that is measured. */
	pthread_getname_np(pthread_self(), name, sizeof(name));
	return argument;
}

static void create_all(void)
{
	pthread_attr_t attributes;
	unsigned int i;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 * 1024);
	for (i = 0; i < tasks; i++) {
		operation_begins();
		if (pthread_create(&all_threads[i], &attributes, thread,
				   (void *)(unsigned long)(last_seed + i)))
			die("a thread cannot be created");
		operation_ends();
	}
}

static void join_all(void)
{
	unsigned int i;
	void *result;

	for (i = 0; i < tasks; i++)
		if (pthread_join(all_threads[i], &result) ||
		    (unsigned long)result != (unsigned long)(last_seed + i))
			die("thread %u returned %p", i, result);
}

static void thread_round(unsigned int seed)
{
	last_seed = seed;
	clock_start();
	create_all();
	join_all();
	clock_stop();
	create_all();
}

static void begin(int count, char **arguments)
{
	(void)count;
	tasks = parsed(arguments[0], MOST);
}

const struct workload forks = {
	"forks", "PROCESSES", 1, begin, fork_round, end_all,
};

const struct workload threads = {
	"threads", "THREADS", 1, begin, thread_round, join_all,
};
