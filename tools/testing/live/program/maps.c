// SPDX-License-Identifier: GPL-2.0
/* Maps of bpf, created, used once and closed. The last of a round stays. */
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "workload.h"

#define ENTRIES	64
#define VALUE	1024
#define RING	(64 * 1024)
#define PAGE	4096

struct map {
	int fd;
	/* Of a map that user space maps. */
	unsigned char *memory;
	size_t size;
};

static unsigned int times, last_seed;
static struct map kept = { .fd = -1 };

static int bpf(int command, union bpf_attr *attributes)
{
	return syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static struct map created(unsigned int type, unsigned int flags, unsigned int entries)
{
	int is_ring = type == BPF_MAP_TYPE_RINGBUF;
	union bpf_attr attributes;
	struct map map = { 0 };

	memset(&attributes, 0, sizeof(attributes));
	attributes.map_type = type;
	attributes.key_size = is_ring ? 0 : 4;
	attributes.value_size = is_ring ? 0 : VALUE;
	attributes.max_entries = entries;
	attributes.map_flags = flags;
	map.fd = bpf(BPF_MAP_CREATE, &attributes);
	if (map.fd < 0)
		die_errno("creating a map of type %u", type);
	if (is_ring)
		map.size = PAGE;
	else if (flags & BPF_F_MMAPABLE)
		map.size = ENTRIES * VALUE;
	if (!map.size)
		return map;
	map.memory = mmap(NULL, map.size, PROT_READ | PROT_WRITE, MAP_SHARED, map.fd, 0);
	if (map.memory == MAP_FAILED)
		die_errno("mapping a map of type %u", type);
	return map;
}

static void closed(struct map *map)
{
	if (map->memory)
		munmap(map->memory, map->size);
	if (map->fd >= 0)
		close(map->fd);
	map->fd = -1;
	map->memory = NULL;
}

static void use_element(int command, struct map *map, uint32_t key, void *value)
{
	union bpf_attr attributes;

	memset(&attributes, 0, sizeof(attributes));
	attributes.map_fd = map->fd;
	attributes.key = (uintptr_t)&key;
	attributes.value = (uintptr_t)value;
	if (bpf(command, &attributes))
		die_errno("element %u of a map", key);
}

/* Sets all elements of the map that stays. */
static void set_all(void)
{
	unsigned char value[VALUE];
	unsigned int i;

	for (i = 0; i < ENTRIES; i++) {
		fill(value, VALUE, last_seed, i);
		if (kept.memory)
			memcpy(kept.memory + i * VALUE, value, VALUE);
		else
			use_element(BPF_MAP_UPDATE_ELEM, &kept, i, value);
	}
}

/* By system calls, which see the same memory as its user does. */
static void check_array(void)
{
	unsigned char value[VALUE];
	unsigned int i;

	for (i = 0; i < ENTRIES; i++) {
		use_element(BPF_MAP_LOOKUP_ELEM, &kept, i, value);
		compare(value, VALUE, last_seed, i, "an array");
	}
}

static void map_round(unsigned int seed, unsigned int type, unsigned int flags,
		      unsigned int entries, void (*use_once)(struct map *map, unsigned int which))
{
	struct map map;
	unsigned int i;

	last_seed = seed;
	clock_start();
	for (i = 0; i < times; i++) {
		operation_begins();
		map = created(type, flags, entries);
		use_once(&map, i);
		closed(&map);
		operation_ends();
	}
	closed(&kept);
	kept = created(type, flags, entries);
	clock_stop();
}

static void set_one(struct map *map, unsigned int which)
{
	unsigned char value[VALUE] = { 1, 2, 3 };

	use_element(BPF_MAP_UPDATE_ELEM, map, which % ENTRIES, value);
}

static void plain_round(unsigned int seed)
{
	map_round(seed, BPF_MAP_TYPE_ARRAY, 0, ENTRIES, set_one);
	set_all();
}

static void write_byte(struct map *map, unsigned int which)
{
	map->memory[PAGE] = which;
}

static void mmapable_round(unsigned int seed)
{
	map_round(seed, BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE, ENTRIES, write_byte);
	set_all();
}

static void move_consumer(struct map *map, unsigned int which)
{
	(void)which;
	map->memory[0] = 8;
}

static void ring_round(unsigned int seed)
{
	map_round(seed, BPF_MAP_TYPE_RINGBUF, 0, RING, move_consumer);
	/* The consumer's position, which is the only word that user space may write. */
	*(uint64_t *)kept.memory = seed * 8ul;
}

/* Another mapping shows the same word; the ring itself is mapped twice, and empty. */
static void check_ring(void)
{
	size_t size = PAGE + 2 * RING, i;
	uint64_t *again = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, kept.fd, 0);
	unsigned char *ring = mmap(NULL, size, PROT_READ, MAP_SHARED, kept.fd, PAGE);

	if (again == MAP_FAILED || ring == MAP_FAILED)
		die_errno("mapping a ring buffer again");
	if (*again != last_seed * 8ul)
		die("a ring buffer: its consumer is at %lu, not %lu", *again, last_seed * 8ul);
	for (i = 0; i < size; i++)
		if (ring[i])
			die("a ring buffer: byte %zu is not zero", i);
	munmap(again, PAGE);
	munmap(ring, size);
}

static void begin(int count, char **arguments)
{
	(void)count;
	times = parsed(arguments[0], 100000);
}

const struct workload arrays = {
	"arrays", "TIMES", 1, begin, plain_round, check_array,
};

const struct workload mmapable_arrays = {
	"mmapable-arrays", "TIMES", 1, begin, mmapable_round, check_array,
};

const struct workload ring_buffers = {
	"ring-buffers", "TIMES", 1, begin, ring_round, check_ring,
};
