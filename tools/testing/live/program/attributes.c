// SPDX-License-Identifier: GPL-2.0
/* Large extended attributes: each is set, and read when the file system was mounted anew. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "workload.h"

#define NAME	"user.live"

static const char *kind, *device, *folder;
static unsigned int files, last_seed;
static size_t size;
static unsigned char *values, *found;

static const char *path_of(unsigned int which)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/with-attribute-%u", folder, which);
	return path;
}

static void compare_one(unsigned int which)
{
	compare(found + which * size, size, last_seed, which, path_of(which));
}

static void set_one(unsigned int which)
{
	int file = open(path_of(which), O_CREAT | O_WRONLY, 0644);

	if (file < 0 || fsetxattr(file, NAME, values + which * size, size, 0) || fsync(file))
		die_errno("setting the attribute of %s", path_of(which));
	close(file);
}

static void get_one(unsigned int which)
{
	if (getxattr(path_of(which), NAME, found + which * size, size) != (ssize_t)size)
		die_errno("the attribute of %s", path_of(which));
}

/* The file system's caches go: then what is read comes from the device. */
static void mount_anew(void)
{
	if (umount(folder) || mount(device, folder, kind, 0, NULL))
		die_errno("mounting %s anew", folder);
}

static void set_and_get(unsigned int seed)
{
	unsigned int i;

	last_seed = seed;
	for (i = 0; i < files; i++)
		fill(values + i * size, size, seed, i);
	clock_start();
	for (i = 0; i < files; i++) {
		operation_begins();
		set_one(i);
		operation_ends();
	}
	clock_stop();
	mount_anew();
	clock_start();
	for (i = 0; i < files; i++) {
		operation_begins();
		get_one(i);
		operation_ends();
	}
	clock_stop();
	for (i = 0; i < files; i++)
		compare_one(i);
}

static void check_attributes(void)
{
	unsigned int i;

	mount_anew();
	for (i = 0; i < files; i++) {
		get_one(i);
		compare_one(i);
	}
}

static void begin(int count, char **arguments)
{
	(void)count;
	kind = arguments[0];
	device = arguments[1];
	folder = arguments[2];
	files = parsed(arguments[3], 1000);
	size = parsed(arguments[4], 65536);
	values = zeroed(files * size);
	found = zeroed(files * size);
}

const struct workload attributes = {
	"attributes", "KIND DEVICE FOLDER FILES BYTES", 5, begin, set_and_get, check_attributes,
};
