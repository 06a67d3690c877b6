// SPDX-License-Identifier: GPL-2.0
/*
 * A machine for the kernel's half: memory, CPUs that are pinned threads, symbols.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "code.h"
#include "host.h"

double ns_per_tick;
int may_fifo;
static unsigned int real_cpus[CPUS_MAX], number_of_real;

/* ---- called by the kernel's half ---- */

CALLED_BY_KERNEL void host_fatal(const char *what)
{
	fprintf(stderr, "native: %s\n", what);
	exit(1);
}

/* A function of a kernel that nothing here should need was called. */
CALLED_BY_KERNEL void host_missing(const char *name)
{
	fprintf(stderr, "native: the kernel's half called %s, which it does not have\n", name);
	abort();
}

CALLED_BY_KERNEL int _printk(const char *format, ...)
{
	/* "\0016" and the like: what is no warning is not worth a line. */
	if (format[0] != 1 || format[1] < '5')
		fprintf(stderr, "native: the kernel's half says: %s", format + 2 * (*format == 1));
	return 0;
}

/* Zeroed, never given back, in huge pages as a kernel's direct map is. */
CALLED_BY_KERNEL void *host_memory(unsigned long size, unsigned long align)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static unsigned long at, end;
	unsigned long piece = 64UL << 20, start;

	pthread_mutex_lock(&lock);
	start = (at + align - 1) & -align;
	if (start + size > end) {
		void *more;

		if (size + align > piece)
			piece = size + align;
		more = mmap(NULL, piece, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (more == MAP_FAILED)
			host_fatal("no memory");
		madvise(more, piece, MADV_HUGEPAGE);
		at = (unsigned long)more;
		end = at + piece;
		start = (at + align - 1) & -align;
	}
	at = start + size;
	pthread_mutex_unlock(&lock);
	return (void *)start;
}

CALLED_BY_KERNEL void host_yield(void)
{
	sched_yield();
}

CALLED_BY_KERNEL void host_barrier(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

/* For rust/pages/symbols.c. */
CALLED_BY_KERNEL void *host_symbol(const char *name)
{
	static const struct {
		const char *name;
		void *address;
	} symbols[] = {
		{ "kallsyms_lookup_name", kallsyms_lookup_name },
		{ "vmap_pages_range_noflush", vmap_pages_range_noflush },
		{ "vunmap_range_noflush", vunmap_range_noflush },
		{ "flush_tlb_kernel_range", flush_tlb_kernel_range },
		{ "free_pages_bulk", free_pages_bulk },
		{ "__get_vm_area_caller", __get_vm_area_caller },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(symbols); i++)
		if (!strcmp(symbols[i].name, name))
			return symbols[i].address;
	return NULL;
}

/* ---- CPUs ---- */

/* From here on this thread is that CPU of the kernel's half. */
void be_cpu(unsigned int cpu)
{
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, kernel_gs(cpu)))
		host_fatal("gs cannot be set");
}

/* The same, on a CPU of the machine. */
void enter_cpu(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(real_cpus[cpu % number_of_real], &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		host_fatal("a thread cannot be pinned");
	be_cpu(cpu);
}

/*
 * A kernel does not preempt the holder of a spinlock. Only a real-time thread has that here, for the
 * few milliseconds of a run.
 */
void uninterrupted(int on)
{
	struct sched_param param = { .sched_priority = on ? 10 : 0 };

	if (may_fifo)
		sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &param);
}

unsigned int cpus_of_machine(void)
{
	return number_of_real;
}

static void find_cpus(void)
{
	cpu_set_t set;
	unsigned int cpu;

	sched_getaffinity(0, sizeof(set), &set);
	for (cpu = 0; cpu < CPU_SETSIZE && number_of_real < CPUS_MAX; cpu++)
		if (CPU_ISSET(cpu, &set))
			real_cpus[number_of_real++] = cpu;
}

static void find_fifo(void)
{
	struct sched_param param = { .sched_priority = 10 };

	may_fifo = !sched_setscheduler(0, SCHED_FIFO, &param);
	uninterrupted(0);
}

static unsigned long nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000UL + now.tv_nsec;
}

static void find_clock(void)
{
	unsigned long since = nanoseconds(), from = ticks(), now;

	do
		now = nanoseconds();
	while (now - since < 20000000);
	ns_per_tick = (double)(now - since) / (ticks() - from);
	kernel_clock(1e9 / ns_per_tick);
}

/* What machine this is. */
void host_find(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	find_cpus();
	find_fifo();
	find_clock();
}

/* A kernel of its own, with the module loaded. */
void host_start(unsigned int cpus, unsigned long memory_mib)
{
	patch_code();
	kernel_boot(cpus, memory_mib);
	enter_cpu(0);
	kernel_cpu_runs(0, 1);
	kernel_start();
	/* There is no function tracer, and nobody frees an area of ours in-tree. */
	kernel_set_parameter("guards", "off");
	if (init_module())
		host_fatal("vmapcache does not load");
}
