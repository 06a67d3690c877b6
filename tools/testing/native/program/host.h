/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of this folder need of each other.
 */
#ifndef NATIVE_HOST_H
#define NATIVE_HOST_H

#include "../native.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* The kernel's code aligns the stack to 8 bytes, libc's wants 16. */
#define CALLED_BY_KERNEL	__attribute__((force_align_arg_pointer))

/* patch.c: before any code of the kernel's half runs */
void patch_code(void);
/* from now on spinlocks count: see kernel/locks.c */
void count_locks(void);

/* host.c */
extern double ns_per_tick;
extern int may_fifo;
void host_find(void);
void host_start(unsigned int cpus, unsigned long memory_mib);
unsigned int cpus_of_machine(void);
void be_cpu(unsigned int cpu);
void enter_cpu(unsigned int cpu);
void uninterrupted(int on);

static inline unsigned long ticks(void)
{
	return __builtin_ia32_rdtsc();
}

#endif /* NATIVE_HOST_H */
