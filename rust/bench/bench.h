/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that the laboratory's Rust calls in C. bindgen makes rust/bench/generated.rs from
 * this header, which the C files include.
 *
 * Addresses are unsigned long, as in mm/vmalloc.c. "nr" counts pages.
 */
#ifndef VMAPCACHE_BENCH_H
#define VMAPCACHE_BENCH_H

#include "alone.h"

#include <vmapcache.h>

#include "directory.h"
#include "side/allocator.h"

struct file;
struct page;
struct perf_event;

/* symbols.c */

int vc_bench_symbols_resolve(void);

/* ground.c */

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

/* side/bare.c */

int vc_bench_bare_map(unsigned long addr, unsigned long nr, struct page **pages);
void vc_bench_bare_unmap(unsigned long addr, unsigned long nr);
bool vc_bench_bare_pages(unsigned long nr, struct page **pages);

#endif /* VMAPCACHE_BENCH_H */
