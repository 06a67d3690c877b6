/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The border between the two halves of the native program: kernel/, built with a kernel's headers
 * and flags, and program/, built with libc's. So nothing here needs a header of either.
 */
#ifndef NATIVE_H
#define NATIVE_H

#define CPUS_MAX	1024

/* in_tree.c: an area as mm/vmalloc.c hands it out. 0 means failure. */
unsigned long in_tree_area_alloc(unsigned long pages, unsigned long align);
void in_tree_area_free(unsigned long addr);
/* The same with a vm_struct, as get_vm_area() has it. */
unsigned long in_tree_vm_alloc(unsigned long pages, unsigned long align);
void in_tree_vm_free(unsigned long area);
unsigned long in_tree_vm_address(unsigned long area);
/* The addresses of vm_map_ram(), without mapping anything. */
unsigned long in_tree_block_alloc(unsigned long pages, unsigned long align);
void in_tree_block_free(unsigned long addr, unsigned long pages);
unsigned long in_tree_find(unsigned long addr);
void in_tree_purge(void);
void in_tree_drain(void);
/* The name of a lock of mm/vmalloc.c, or NULL. */
const char *in_tree_lock_name(const void *lock);

/* kernel/: the rest of a kernel. */
void kernel_boot(unsigned int cpus, unsigned long memory_mib);
void kernel_start(void);
void kernel_clock(unsigned long long ticks_per_second);
void kernel_time_by_pauses(unsigned long pauses_per_jiffy);
/* of the module, before init_module() */
void kernel_set_parameter(const char *name, const char *value);
unsigned long kernel_gs(unsigned int cpu);
/* Between two operations of this CPU: runs work items that are due, and ends grace periods. */
void kernel_pause(void);
void kernel_cpu_runs(unsigned int cpu, int runs);
/* Writes what the memory at an address is for. */
void kernel_owner(unsigned long address, char *name, unsigned long size);
extern unsigned long kernel_flushes;
/* The name of a lock that Rust made, or NULL. */
const char *kernel_lock_name(const void *lock);

/* vmapcache.o; in_tree.c compares these with the module's own header. */
int init_module(void);
void *vc_rs_get_area(unsigned long size, unsigned long align, unsigned int gfp,
		     unsigned long caller);
/* GFP_KERNEL */
#define GFP	0xcc0
void vc_rs_free(unsigned long addr, _Bool atomic, unsigned long caller);
void *vc_rs_find_area(unsigned long addr, unsigned long *size);
unsigned long long vc_rs_pin(unsigned long addr);
void vc_rs_unpin(unsigned long long pin, _Bool atomic, unsigned long caller);
void vc_rs_purge_all(_Bool drain);

/* program/, called by kernel/. */
void *host_memory(unsigned long size, unsigned long align);
void host_yield(void);
void host_barrier(void);
void host_fatal(const char *what);
void host_static_call(void *key, void *tramp, void *func);
void *host_symbol(const char *name);

/* The locks that the counting program counts. */
struct lock_count {
	const void *lock;
	unsigned long taken;
	unsigned long contended;
	unsigned long longest;	/* TSC ticks */
	unsigned long since;
};
#define LOCK_COUNTS	4096
extern struct lock_count lock_counts[LOCK_COUNTS];
extern int counting_locks;

#endif /* NATIVE_H */
