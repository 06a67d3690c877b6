/* SPDX-License-Identifier: GPL-2.0 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <stddef.h>

/*
 * One workload of `make live`: unmodified system calls whose memory in the kernel comes from
 * vmalloc() and the like. A function that fails ends the program, with a reason.
 */
struct workload {
	const char *name;
	const char *arguments;
	/* How many arguments it takes at least. */
	int least;
	/* Takes the arguments. */
	void (*begin)(int count, char **arguments);
	/* Measures one round. It makes its data from @seed, and leaves some for check(). */
	void (*round)(unsigned int seed);
	/* Compares what the last round left; once after each round. */
	void (*check)(void);
};

extern const struct workload files_write, files_read, attributes, blocks, filters, arrays,
	mmapable_arrays, ring_buffers, forks, threads, rings, module_loads, rules, mix;

/* The workload of that name. */
const struct workload *workload_named(const char *name);

/* Only what runs between these two is measured; a round may do so several times. */
void clock_start(void);
void clock_stop(void);

/* One operation begins and ends. Its time goes to the percentiles if the clock runs. */
void operation_begins(void);
void operation_ends(void);

_Noreturn void die(const char *format, ...);
_Noreturn void die_errno(const char *format, ...);

/* @text as a number from 1 to @most. */
unsigned int parsed(const char *text, unsigned int most);

void *zeroed(size_t size);

/* Writes @text to a file of the kernel. */
void tell(const char *path, const char *text);

/*
 * Empties the page cache, so that the next read comes from the device. Shrinkers do not run: they
 * would empty the stocks of both allocators.
 */
void forget(void);

/*
 * Data that compress to a half. The same @seed and @which give the same data; any two pages
 * differ.
 */
void fill(unsigned char *data, size_t size, unsigned int seed, unsigned int which);

/* Ends the program if @data are others than fill() makes. */
void compare(const unsigned char *data, size_t size, unsigned int seed, unsigned int which,
	     const char *of);

#endif
