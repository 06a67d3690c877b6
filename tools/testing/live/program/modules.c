// SPDX-License-Identifier: GPL-2.0
/* A kernel module, loaded and unloaded. The last load of a round stays. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "workload.h"

static const char *file;
static char name[NAME_MAX];
static unsigned int times;

static void load(void)
{
	int fd = open(file, O_RDONLY);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		die_errno("loading %s", file);
	close(fd);
}

static void unload(void)
{
	if (syscall(SYS_delete_module, name, O_NONBLOCK))
		die_errno("unloading %s", name);
}

static void module_round(unsigned int seed)
{
	unsigned int i;

	(void)seed;
	clock_start();
	for (i = 0; i < times; i++) {
		operation_begins();
		load();
		unload();
		operation_ends();
	}
	clock_stop();
	load();
}

/* Whether the kernel knows it, and whether it can go. */
static void check_module(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/module/%s/initstate", name);
	if (access(path, R_OK))
		die_errno("%s", path);
	unload();
	if (!access(path, R_OK))
		die("%s is unloaded, and still there", name);
}

static void begin(int count, char **arguments)
{
	char path[PATH_MAX], *dash;

	(void)count;
	file = arguments[0];
	times = parsed(arguments[1], 1000);
	snprintf(path, sizeof(path), "%s", file);
	snprintf(name, sizeof(name), "%s", basename(path));
	if (strchr(name, '.'))
		*strchr(name, '.') = '\0';
	while ((dash = strchr(name, '-')))
		*dash = '_';
}

const struct workload module_loads = {
	"modules", "FILE TIMES", 2, begin, module_round, check_module,
};
