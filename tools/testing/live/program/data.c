// SPDX-License-Identifier: GPL-2.0
/* Data that workloads write and compare. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "workload.h"

#define PAGE	4096

/* The tests have another file. */
#ifndef DROP_CACHES
#define DROP_CACHES	"/proc/sys/vm/drop_caches"
#endif

void tell(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);
	ssize_t size = strlen(text);

	if (file < 0 || write(file, text, size) != size)
		die_errno("%s: writing %s", path, text);
	close(file);
}

void forget(void)
{
	sync();
	tell(DROP_CACHES, "1");
}

/* The first half of each page is as good as random, the second repeats a part of it. */
static void fill_page(unsigned char *page, unsigned int seed, unsigned int which, size_t index)
{
	unsigned long state = seed * 0x9e3779b97f4a7c15ul + which * 0xbf58476d1ce4e5b9ul +
			      (index + 1) * 0x94d049bb133111ebul;
	unsigned long word;
	size_t i;

	for (i = 0; i < PAGE / 2; i += sizeof(word)) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		word = state;
		memcpy(page + i, &word, sizeof(word));
	}
	for (i = PAGE / 2; i < PAGE; i += 64)
		memcpy(page + i, page, 64);
}

void fill(unsigned char *data, size_t size, unsigned int seed, unsigned int which)
{
	unsigned char page[PAGE];
	size_t at, part;

	for (at = 0; at < size; at += part) {
		part = size - at < PAGE ? size - at : PAGE;
		fill_page(page, seed, which, at / PAGE);
		memcpy(data + at, page, part);
	}
}

void compare(const unsigned char *data, size_t size, unsigned int seed, unsigned int which,
	     const char *of)
{
	unsigned char page[PAGE];
	size_t at, part;

	for (at = 0; at < size; at += part) {
		part = size - at < PAGE ? size - at : PAGE;
		fill_page(page, seed, which, at / PAGE);
		if (memcmp(data + at, page, part))
			die("%s: other contents than were written, in the page at byte %zu", of, at);
	}
}
