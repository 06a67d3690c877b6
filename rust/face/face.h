/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the Rust files of this room call in C. What C calls in Rust is in exports.h.
 */
#ifndef VMAPCACHE_FACE_H
#define VMAPCACHE_FACE_H

#include "alone.h"

struct page;
struct vm_area_struct;

/* events.c */

int vc_events_start(void);
void vc_events_stop(void);
void vc_kick_purge(void);
void vc_kick_deferred(void);
void vc_kick_trim(void);
void vc_wait_deferred(void);
bool vc_ask_others(void);
void vc_wait_last(const void *ticket);
void vc_wake_last(void);

/* companion.c */

enum vc_use {
	VC_USE_VMALLOC,
	VC_USE_VMAP,
	VC_USE_RAM,
	VC_USE_ADDRESSES,
};

/**
 * struct vc_life - one life of one area
 * @id: the number of the area; after its life another area has it
 * @version: tells the lives with that number apart
 * @start: its first address
 * @size: its bytes, without the guard page
 * @use: what it was allocated for
 * @given: the pages came from a caller, with @array
 * @user: may be mapped to user space
 * @payload: with VC_PART in it, @array has fewer pages than @size
 * @array: the pages' array, or NULL
 * @run: the first of pages that are neighbours, where they have no array, or NULL
 * @caller: the code that asked for it
 */
struct vc_life {
	u32 id;
	u32 version;
	unsigned long start;
	unsigned long size;
	enum vc_use use;
	bool given;
	bool user;
	unsigned long payload;
	struct page **array;
	struct page *run;
	unsigned long caller;
};

/**
 * struct vc_bounds - where an area is
 * @id: as in struct vc_life
 * @version: as in struct vc_life
 * @start: as in struct vc_life
 * @size: as in struct vc_life
 */
struct vc_bounds {
	u32 id;
	u32 version;
	unsigned long start;
	unsigned long size;
};

bool vc_companion_may_shrink(u32 id);
void vc_companion_shrink(u32 id, unsigned long nr_pages);
void vc_companion_forget(u32 id, unsigned long addr, unsigned long size);

/* surroundings.c */

bool vc_may_sleep(void);
unsigned long long vc_now(void);
void vc_resched(void);
unsigned long vc_total_pages(void);
void vc_wait_for_memory(unsigned int nth);

/* exports.c */

/**
 * enum vc_how - what an allocation may do
 * @VC_MAY_SLEEP: wait for memory and for purges
 * @VC_NOFAIL: try until it succeeds
 * @VC_QUIET: do not report failure
 * @VC_GENTLE: take only memory that is free at once for bookkeeping
 * @VC_USER: the area may be mapped to user space
 * @VC_PUT_PAGES: the caller gives the pages and their array to the area
 * @VC_HUGE: huge pages may map the area; with VC_MAY_SLEEP, and not for less than a huge page
 */
enum vc_how {
	VC_MAY_SLEEP = 1,
	VC_NOFAIL = 2,
	VC_QUIET = 4,
	VC_GENTLE = 8,
	VC_USER = 16,
	VC_PUT_PAGES = 32,
	VC_HUGE = 64,
};

void vc_finish_rcu_frees(void);
bool vc_visit(void *visitor, unsigned long addr, unsigned long size, unsigned long caller,
	      unsigned int pins);

/* said.c */

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
 * @caller: the code that asked
 * @free_pages: free pages of the arena
 * @largest_pages: pages of its largest free extent
 * @lazy_pages: pages that wait for a flush
 * @fragmentation: 1 - largest / free, in percent
 * @gfp: flags of the request
 * @waits: the request must not fail, and tries again
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
	bool waits;
};

const char *vc_code_name(unsigned long addr, char *name);
void vc_report_misuse(enum vc_misuse misuse, unsigned long addr, unsigned long caller);
bool vc_report_failure_now(void);
void vc_report_failure(const struct vc_failure *failure);
void vc_tell_holder(unsigned int caller, unsigned long areas);
void vc_report_leak(unsigned long size, unsigned int caller, unsigned int pins);

/* exports.c */

void *vc_vmalloc(unsigned long size, unsigned long align, gfp_t gfp, unsigned int how, int node,
		 unsigned long caller);
void *vc_vrealloc(const void *addr, size_t size, unsigned long align, gfp_t gfp, int node,
		  unsigned long caller);

int vc_map_to_user(struct vm_area_struct *vma, unsigned long uaddr, void *kaddr,
		   unsigned long size);

/* trace.c */

void vc_trace_alloc(unsigned long addr, unsigned long size, unsigned long align,
		    enum vc_use use, gfp_t gfp, unsigned long caller);
void vc_trace_free(unsigned long addr, unsigned long size, enum vc_use use, bool deferred,
		   unsigned long lazy, unsigned long lazy_max, unsigned long caller);
void vc_trace_fail(const struct vc_failure *failure, enum vc_use use, int error);
void vc_trace_purge_begin(const char *how, unsigned long lazy);
void vc_trace_purge_end(const char *how, unsigned long areas, unsigned long pages,
			unsigned long flushes, unsigned long lazy);

/* guards.c */

int vc_guards_start(unsigned long start, unsigned long size);
void vc_guards_settle(void);
void vc_guards_stop(void);
const char *vc_guard(unsigned int index, const char **state);
const char *vc_guard_missing(void);

/* takeover.c */

/* In the code address of a caller: it does not know that it calls vmapcache. */
#define VC_UNAWARE	(1UL << 62)

/* The targets of takeover. */
enum vc_target {
	VC_TAKE_VMAP,
	VC_TAKE_VM_MAP_RAM,
	VC_TAKE_VMALLOC,
	VC_TAKE_STACKS,
};

/**
 * enum vc_takeover_mode - whether takeover is on
 * @VC_TAKEOVER_UNHOOKED: no, and no in-tree function knows of it
 * @VC_TAKEOVER_OFF: no, but the hooks are there
 * @VC_TAKEOVER_ON: yes
 */
enum vc_takeover_mode {
	VC_TAKEOVER_UNHOOKED,
	VC_TAKEOVER_OFF,
	VC_TAKEOVER_ON,
};

int vc_takeover_set(enum vc_takeover_mode mode);
enum vc_takeover_mode vc_takeover_get(void);
void vc_takeover_set_what(unsigned int mask);
unsigned int vc_takeover_what(void);
const char *vc_takeover_target(unsigned int index);
const char *vc_takeover_hook(unsigned int index, const char **state);
bool vc_takeover_calls(unsigned int target, unsigned int index, const char **fate, u64 *sum);
void vc_takeover_drain(void);
void vc_takeover_stop(void);

/* filter.c */

/* Bytes that hold the longest name of a rule. */
#define VC_RULE_NAME	64

struct vc_filter;

struct vc_filter *vc_filter_new(unsigned int room);
int vc_filter_add(struct vc_filter *to, const char *name, bool module, bool exclude);
void vc_filter_install(struct vc_filter *new);
void vc_filter_free(struct vc_filter *unused);
size_t vc_filter_rule(unsigned int index, char *name, bool *module, bool *exclude);
void vc_filter_forget(const void *going);
bool vc_filter_passes(unsigned long caller);

/* names.c */

/* Bytes that hold the longest name. */
#define VC_SYMBOL_NAME	1024

size_t vc_symbol_name(unsigned long addr, char *name);
int vc_function_size(unsigned long start, unsigned long *size);
size_t vc_caller_name(unsigned int id, char *name);
bool vc_is_going(const void *module, unsigned long addr);
void vc_keep_name(unsigned int id, unsigned long addr);
int vc_names_start(void);
void vc_names_stop(void);

#endif /* VMAPCACHE_FACE_H */
