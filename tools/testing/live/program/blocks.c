// SPDX-License-Identifier: GPL-2.0
/* A zram disk: it is sized, written, read, and at the next round reset. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "workload.h"

#define BLOCK	(64 * 1024ul)

static char device[PATH_MAX], disksize[PATH_MAX], reset[PATH_MAX], bytes[32];
static unsigned int blocks_there, last_seed;
static unsigned char *written, *found;

static void read_all(int measure)
{
	int file = open(device, O_RDONLY | O_DIRECT);
	unsigned int i;

	if (file < 0)
		die_errno("%s", device);
	for (i = 0; i < blocks_there; i++) {
		if (measure)
			operation_begins();
		if (pread(file, found + i * BLOCK, BLOCK, i * BLOCK) != (ssize_t)BLOCK)
			die_errno("reading %s", device);
		if (measure)
			operation_ends();
	}
	close(file);
}

static void write_all(void)
{
	int file = open(device, O_WRONLY | O_DIRECT);
	unsigned int i;

	if (file < 0)
		die_errno("%s", device);
	for (i = 0; i < blocks_there; i++) {
		operation_begins();
		if (pwrite(file, written + i * BLOCK, BLOCK, i * BLOCK) != (ssize_t)BLOCK)
			die_errno("writing %s", device);
		operation_ends();
	}
	close(file);
}

static void compare_all(void)
{
	unsigned int i;

	for (i = 0; i < blocks_there; i++)
		compare(found + i * BLOCK, BLOCK, last_seed, i, device);
}

static void fill_disk(unsigned int seed)
{
	unsigned int i;

	last_seed = seed;
	for (i = 0; i < blocks_there; i++)
		fill(written + i * BLOCK, BLOCK, seed, i);
	clock_start();
	tell(reset, "1");
	tell(disksize, bytes);
	write_all();
	read_all(1);
	clock_stop();
	compare_all();
}

static void check_blocks(void)
{
	read_all(0);
	compare_all();
}

static void begin(int count, char **arguments)
{
	unsigned int mebibytes = parsed(arguments[1], 1024);

	(void)count;
	snprintf(device, sizeof(device), "/dev/%s", arguments[0]);
	snprintf(disksize, sizeof(disksize), "/sys/block/%s/disksize", arguments[0]);
	snprintf(reset, sizeof(reset), "/sys/block/%s/reset", arguments[0]);
	snprintf(bytes, sizeof(bytes), "%lu", (unsigned long)mebibytes << 20);
	blocks_there = (unsigned long)mebibytes * 1024 * 1024 / BLOCK;
	written = zeroed(blocks_there * BLOCK);
	found = zeroed(blocks_there * BLOCK);
}

const struct workload blocks = {
	"zram", "DISK MIB", 2, begin, fill_disk, check_blocks,
};
