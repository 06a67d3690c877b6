// SPDX-License-Identifier: GPL-2.0
/* Rings of io_uring, set up, used for a request without work, and closed. */
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "workload.h"

#define ENTRIES	256

struct ring {
	int fd;
	struct io_uring_params params;
	unsigned char *memory;
	size_t size;
	struct io_uring_sqe *requests;
};

static unsigned int times, last_seed;
static struct ring kept = { .fd = -1 };

static unsigned int *word(struct ring *ring, unsigned int offset)
{
	return (unsigned int *)(ring->memory + offset);
}

static struct ring set_up(void)
{
	struct ring ring = { 0 };
	size_t requests = ENTRIES * sizeof(*ring.requests);

	ring.fd = syscall(SYS_io_uring_setup, ENTRIES, &ring.params);
	if (ring.fd < 0)
		die_errno("io_uring_setup");
	ring.size = ring.params.cq_off.cqes + ring.params.cq_entries * sizeof(struct io_uring_cqe);
	ring.memory = mmap(NULL, ring.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			   ring.fd, IORING_OFF_SQ_RING);
	ring.requests = mmap(NULL, requests, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			     ring.fd, IORING_OFF_SQES);
	if (ring.memory == MAP_FAILED || ring.requests == MAP_FAILED)
		die_errno("mapping a ring of io_uring");
	return ring;
}

/* The answer to a request must have what the request had. */
static void use(struct ring *ring, unsigned long mark)
{
	unsigned int tail = *word(ring, ring->params.sq_off.tail);
	unsigned int head = *word(ring, ring->params.cq_off.head);
	struct io_uring_cqe *answers = (void *)(ring->memory + ring->params.cq_off.cqes);
	struct io_uring_cqe *answer = &answers[head % ring->params.cq_entries];

	memset(&ring->requests[tail % ENTRIES], 0, sizeof(*ring->requests));
	ring->requests[tail % ENTRIES].opcode = IORING_OP_NOP;
	ring->requests[tail % ENTRIES].user_data = mark;
	word(ring, ring->params.sq_off.array)[tail % ENTRIES] = tail % ENTRIES;
	__atomic_store_n(word(ring, ring->params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		die_errno("io_uring_enter");
	if (answer->user_data != mark || answer->res)
		die("io_uring answered %llu (%d), not %lu", answer->user_data, answer->res, mark);
	__atomic_store_n(word(ring, ring->params.cq_off.head), head + 1, __ATOMIC_RELEASE);
}

static void closed(struct ring *ring)
{
	if (ring->fd < 0)
		return;
	munmap(ring->memory, ring->size);
	munmap(ring->requests, ENTRIES * sizeof(*ring->requests));
	close(ring->fd);
	ring->fd = -1;
}

static void ring_round(unsigned int seed)
{
	struct ring ring;
	unsigned int i;

	last_seed = seed;
	clock_start();
	for (i = 0; i < times; i++) {
		operation_begins();
		ring = set_up();
		use(&ring, i + 1);
		closed(&ring);
		operation_ends();
	}
	closed(&kept);
	kept = set_up();
	clock_stop();
}

static void check_ring(void)
{
	unsigned int i;

	for (i = 0; i < ENTRIES; i++)
		use(&kept, last_seed * 1000ul + i);
}

static void begin(int count, char **arguments)
{
	(void)count;
	times = parsed(arguments[0], 100000);
}

const struct workload rings = {
	"io-uring", "TIMES", 1, begin, ring_round, check_ring,
};
