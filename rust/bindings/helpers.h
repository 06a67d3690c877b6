/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What Rust calls in C: all of it, and nothing else.
 *
 * The C files include this header, and bindgen makes rust/bindings/generated.rs
 * from it, so that both sides follow the same prototypes. For bindgen it stands
 * alone, hence the few types below; a C compiler checks them against the kernel's.
 *
 * Addresses are unsigned long, as in mm/vmalloc.c. "nr" counts pages.
 */
#ifndef VMAPCACHE_HELPERS_H
#define VMAPCACHE_HELPERS_H

#ifdef __BINDGEN__
#define gfp_t unsigned int
#define bool _Bool
#define __user
#define size_t unsigned long
#define ssize_t long
#else
#include <linux/types.h>
#endif

struct dentry;
struct file;
struct page;
struct perf_event;
struct proc_dir_entry;
struct seq_file;
struct vm_struct;

/* symbols.c */

/**
 * struct vc_symbol - a kernel function that modules cannot link
 * @name: its name
 * @how: what found it, or NULL
 * @needs: the kernel options without which it cannot be found
 * @optional: the module works without it
 */
struct vc_symbol {
	const char *name;
	const char *how;
	const char *needs;
	bool optional;
};

int vc_symbols_resolve(void);
const struct vc_symbol *vc_symbol(unsigned int index);

/* arena.c */

struct vm_struct *vc_arena_reserve(unsigned long bytes, unsigned long *base);
void vc_arena_release(struct vm_struct *area);
unsigned long vc_arena_default_mb(void);
unsigned long vc_arena_max_mb(void);

/* mapping.c */

/* In a payload of vc_populate(): no array, but the first of pages that are neighbours. */
#define VC_RUN	1UL

int vc_map(unsigned long addr, unsigned long nr, struct page **pages,
	   unsigned long prot);
void vc_unmap(unsigned long addr, unsigned long nr);
int vc_kernel_map(unsigned long addr, unsigned long nr, struct page **pages,
		  unsigned long prot);
void vc_kernel_unmap(unsigned long addr, unsigned long nr);
int vc_tables_init(unsigned long base, unsigned long nr);
void vc_tables_exit(void);
void vc_flush(unsigned long addr, unsigned long nr);
int vc_populate(unsigned long addr, unsigned long nr, gfp_t gfp, int node,
		unsigned long *payload);
void vc_depopulate(unsigned long addr, unsigned long nr, unsigned long payload);
void vc_put_pages(unsigned long nr, struct page **pages);
unsigned long vc_total_pages(void);
void vc_wait_for_memory(void);

/* percpu.c */

unsigned int vc_cpu_enter(void);
void vc_cpu_exit(void);
void vc_preempt_schedule(void);
unsigned int vc_cpu_hint(void);
unsigned int vc_cpu_count(void);
unsigned int vc_cpus_online(void);
void vc_cpu_wait_owners(void);
void vc_cpu_report_owner(unsigned int cpu);

/* events.c */

int vc_events_start(void);
void vc_events_stop(void);
void vc_kick_purge(void);
void vc_kick_deferred(void);
bool vc_may_sleep(void);
unsigned long long vc_now(void);
void vc_resched(void);
void vc_wait_gone(const void *ticket);
void vc_wake_gone(void);

/* vmapcache_api.c */

/**
 * enum vc_how - how an allocation may go about it
 * @VC_MAY_SLEEP: wait for memory and for purges
 * @VC_NOFAIL: try until it succeeds
 * @VC_QUIET: do not report failure
 */
enum vc_how {
	VC_MAY_SLEEP = 1,
	VC_NOFAIL = 2,
	VC_QUIET = 4,
};

bool vc_visit(void *visitor, unsigned long addr, unsigned long size, unsigned long caller,
	      unsigned int pins);

/* report.c */

enum vc_misuse {
	VC_MISUSE_FOREIGN,
	VC_MISUSE_NO_AREA,
	VC_MISUSE_INNER,
	VC_MISUSE_DOUBLE_FREE,
	VC_MISUSE_BAD_UNPIN,
	VC_MISUSE_COUNT,
	VC_MISUSE_ZERO_SIZE,
};

/**
 * struct vc_failure - an allocation that failed
 * @reason: in a few words
 * @size: bytes asked for
 * @align: alignment asked for
 * @caller: who asked
 * @free_pages: free pages of the arena
 * @largest_pages: pages of its largest free extent
 * @lazy_pages: pages that wait for a flush
 * @fragmentation: 1 - largest / free, in percent
 * @gfp: flags asked with
 */
struct vc_failure {
	const char *reason;
	unsigned long size;
	unsigned long align;
	unsigned long caller;
	unsigned long free_pages;
	unsigned long largest_pages;
	unsigned long lazy_pages;
	unsigned int fragmentation;
	gfp_t gfp;
};

void vc_report_misuse(unsigned int misuse, unsigned long addr, unsigned long caller);
bool vc_report_failure_now(void);
void vc_report_failure(const struct vc_failure *failure);
void vc_report_leak(unsigned long size, unsigned long caller, unsigned int pins);

/* directory.c */

/**
 * struct vc_file - a file in debugfs
 * @show: prints it; NULL if it cannot be read
 * @write: takes all of one write, and returns its length or an error; NULL if it
 *	cannot be written
 */
struct vc_file {
	int (*show)(struct seq_file *m, const struct vc_file *file);
	ssize_t (*write)(const struct vc_file *file, const char __user *buf, size_t len);
};

size_t vc_text_room(struct seq_file *m, char **at);
void vc_text_take(struct seq_file *m, size_t len);
struct dentry *vc_directory(const char *name, struct dentry *parent);
void vc_directory_file(const char *name, struct dentry *parent, const struct vc_file *file);
void vc_directory_remove(struct dentry *directory);

/* symbol_name.c */

/* Bytes that hold the longest name. */
#define VC_SYMBOL_NAME	1024

size_t vc_symbol_name(unsigned long addr, char *name);
int vc_names_start(void);
void vc_names_stop(void);

/* procfs.c */

enum vc_row_kind {
	VC_ROW_VMALLOC,
	VC_ROW_VMAP,
	VC_ROW_VM_MAP_RAM,
	VC_ROW_VA_ONLY,
};

/**
 * struct vc_row - one area, as shown
 * @addr: its address
 * @size: its bytes, guard page included
 * @pages: its pages, guard page excluded
 * @caller: who asked for it, or 0
 * @array: where its page array is, if it has one
 * @next: the page of the arena to go on at
 * @page: its first page in the arena
 * @version: which life of it this is
 * @kind: enum vc_row_kind
 * @pins: how many hold it
 * @cpu: where it was allocated
 * @owns_pages: they go with it
 * @freed: only its pins keep it
 * @lazy: it was freed and waits for a flush; of what is above, only @addr and @size
 *	and @next mean something then
 */
struct vc_row {
	unsigned long addr;
	unsigned long size;
	unsigned long pages;
	unsigned long caller;
	unsigned long array;
	unsigned int next;
	unsigned int page;
	unsigned int version;
	unsigned int kind;
	unsigned int pins;
	unsigned int cpu;
	bool owns_pages;
	bool freed;
	bool lazy;
};

struct proc_dir_entry *vc_procfs_create(const void *source);
void vc_procfs_remove(struct proc_dir_entry *file);

/* bench.c: the laboratory */

struct vc_bench_thread;

unsigned long long vc_bench_now(void);
bool vc_bench_signal(void);
void vc_bench_resched(void);
void vc_bench_yield(void);
void vc_bench_preempt(bool on);
unsigned long long vc_bench_cpu_time(void);
unsigned int vc_bench_cpus(void);
struct vc_bench_thread *vc_bench_thread_start(void (*fn)(void *data), void *data,
					      unsigned int nth);
int vc_bench_thread_wait(struct vc_bench_thread *t);
void vc_bench_thread_end(struct vc_bench_thread *t);
int vc_bench_flushes_start(void);
void vc_bench_flushes_stop(unsigned long *own, unsigned long *other);
struct perf_event *vc_bench_instructions_start(void);
unsigned long long vc_bench_instructions_read(struct perf_event *event);
void vc_bench_instructions_stop(struct perf_event *event);
unsigned long long vc_bench_watch(const bool *stop);
struct file *vc_bench_open(const char *path);
void vc_bench_close(struct file *file);
long vc_bench_read(struct file *file, void *buf, unsigned long len);
struct vm_struct *vc_bench_va_alloc(unsigned long nr, unsigned long align, unsigned long *addr);
void vc_bench_va_free(struct vm_struct *area);
bool vc_bench_find(unsigned long addr);
unsigned long vc_bench_vmap(struct page **pages, unsigned long nr);
void vc_bench_vunmap(unsigned long addr);
unsigned long vc_bench_map_ram(struct page **pages, unsigned long nr);
void vc_bench_unmap_ram(unsigned long addr, unsigned long nr);
unsigned long vc_bench_vmalloc(unsigned long nr, unsigned long align, gfp_t gfp);
unsigned long vc_bench_vrealloc(unsigned long addr, unsigned long bytes);
void vc_bench_purge(void);
void vc_bench_vfree(unsigned long addr);
unsigned long vc_bench_own_vmap(struct page **pages, unsigned long nr);
void vc_bench_own_vunmap(unsigned long addr);
unsigned long vc_bench_own_map_ram(struct page **pages, unsigned long nr);
void vc_bench_own_unmap_ram(unsigned long addr, unsigned long nr);
unsigned long vc_bench_own_vmalloc(unsigned long nr, unsigned long align, gfp_t gfp);
unsigned long vc_bench_own_vrealloc(unsigned long addr, unsigned long bytes);
void vc_bench_own_vfree(unsigned long addr);
int vc_bench_bare_map(unsigned long addr, unsigned long nr, struct page **pages);
bool vc_bench_bare_pages(unsigned long nr, struct page **pages);

#endif /* VMAPCACHE_HELPERS_H */
