/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the Rust files of the laboratory call in C.
 */
#ifndef VMAPCACHE_BENCH_H
#define VMAPCACHE_BENCH_H

#include "alone.h"

struct file;
struct page;
struct perf_event;
struct vm_struct;

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

#endif /* VMAPCACHE_BENCH_H */
