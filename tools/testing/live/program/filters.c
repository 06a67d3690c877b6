// SPDX-License-Identifier: GPL-2.0
/* Socket filters, attached and detached. The last of a round stays, and cuts what is received. */
#include <linux/filter.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "workload.h"

#define MESSAGE	200

static unsigned int times, kept;
static int ends[2];

static void attach(unsigned int keep)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 7, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, keep),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	if (setsockopt(ends[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		die_errno("attaching a filter");
}

static void detach(void)
{
	int none = 0;

	if (setsockopt(ends[1], SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none)))
		die_errno("detaching a filter");
}

static void attach_and_detach(unsigned int seed)
{
	unsigned int i;

	kept = 10 + seed % 100;
	clock_start();
	for (i = 0; i < times; i++) {
		operation_begins();
		detach();
		attach(i + 1 < times ? i % MESSAGE : kept);
		operation_ends();
	}
	clock_stop();
}

static void check_filter(void)
{
	unsigned char sent[MESSAGE], got[MESSAGE];
	ssize_t size;

	memset(sent, 7, sizeof(sent));
	if (send(ends[0], sent, sizeof(sent), 0) != sizeof(sent))
		die_errno("sending");
	size = recv(ends[1], got, sizeof(got), MSG_DONTWAIT);
	if (size != (ssize_t)kept || memcmp(sent, got, kept))
		die("the filter let %zd bytes pass, not %u", size, kept);
}

static void begin(int count, char **arguments)
{
	(void)count;
	times = parsed(arguments[0], 100000);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends))
		die_errno("socketpair");
	attach(MESSAGE);
}

const struct workload filters = {
	"filters", "TIMES", 1, begin, attach_and_detach, check_filter,
};
