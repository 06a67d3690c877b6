// SPDX-License-Identifier: GPL-2.0
/*
 * Files of a file system, written or read. Those of files-read are written by files_begin(), or
 * were: then the folder cannot be written.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "workload.h"

static const char *folder;
static unsigned int files, last_seed;
static size_t size;
static unsigned char *data;

static const char *path_of(unsigned int which)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/file-%u", folder, which);
	return path;
}

static void write_one(unsigned int which)
{
	int file = open(path_of(which), O_CREAT | O_WRONLY | O_TRUNC, 0644);

	if (file < 0 || write(file, data + which * size, size) != (ssize_t)size || fsync(file))
		die_errno("writing %s", path_of(which));
	close(file);
}

static void read_one(unsigned int which)
{
	int file = open(path_of(which), O_RDONLY);

	if (file < 0 || read(file, data + which * size, size) != (ssize_t)size)
		die_errno("reading %s", path_of(which));
	close(file);
}

static void compare_all(void)
{
	unsigned int i;

	for (i = 0; i < files; i++)
		compare(data + i * size, size, last_seed, i, path_of(i));
}

static void write_files(unsigned int seed)
{
	unsigned int i;

	last_seed = seed;
	for (i = 0; i < files; i++)
		fill(data + i * size, size, seed, i);
	clock_start();
	for (i = 0; i < files; i++) {
		operation_begins();
		write_one(i);
		operation_ends();
	}
	clock_stop();
}

/* @seed: the data are those that files_begin() or the image has. */
static void read_files(unsigned int seed)
{
	unsigned int i;

	(void)seed;
	forget();
	clock_start();
	for (i = 0; i < files; i++) {
		operation_begins();
		read_one(i);
		operation_ends();
	}
	clock_stop();
	compare_all();
}

static void check_files(void)
{
	unsigned int i;

	forget();
	for (i = 0; i < files; i++)
		read_one(i);
	compare_all();
}

static void files_begin(int count, char **arguments)
{
	(void)count;
	folder = arguments[0];
	files = parsed(arguments[1], 1000);
	size = parsed(arguments[2], 16384) * 1024ul;
	data = zeroed(files * size);
}

static void files_there(int count, char **arguments)
{
	unsigned int i;

	files_begin(count, arguments);
	last_seed = 1;
	if (access(folder, W_OK) && errno == EROFS)
		return;
	for (i = 0; i < files; i++) {
		fill(data + i * size, size, last_seed, i);
		write_one(i);
	}
}

const struct workload files_write = {
	"files-write", "FOLDER FILES KIB", 3, files_begin, write_files, check_files,
};

const struct workload files_read = {
	"files-read", "FOLDER FILES KIB", 3, files_there, read_files, check_files,
};
