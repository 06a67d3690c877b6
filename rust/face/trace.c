// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints of include/trace/events/vmapcache.h, for Rust, which has looked at the static
 * key before it calls.
 */
#include <linux/build_bug.h>

#define CREATE_TRACE_POINTS
#include <trace/events/vmapcache.h>

#include "face.h"

/* The numbers that the header names. */
static_assert(VC_USE_VMALLOC == 0 && VC_USE_VMAP == 1 && VC_USE_RAM == 2 &&
	      VC_USE_ADDRESSES == 3);

/**
 * vc_trace_alloc() - report an allocation
 * @addr: the area's start
 * @size: its bytes
 * @align: as the caller asked
 * @use: what it is for
 * @gfp: flags of the request
 * @caller: the code that asked
 *
 * Context: Any.
 */
void vc_trace_alloc(unsigned long addr, unsigned long size, unsigned long align,
		    enum vc_use use, gfp_t gfp, unsigned long caller)
{
	trace_alloc(addr, size, align, use, gfp, caller);
}

/**
 * vc_trace_free() - report that an area goes
 * @addr: the area's start
 * @size: its bytes
 * @use: what it was for
 * @deferred: a work item unmaps it
 * @lazy: lazy pages that CPUs have handed on
 * @lazy_max: a purge is asked for above this
 * @caller: the code that freed it, or 0
 *
 * Context: Any.
 */
void vc_trace_free(unsigned long addr, unsigned long size, enum vc_use use, bool deferred,
		   unsigned long lazy, unsigned long lazy_max, unsigned long caller)
{
	trace_free(addr, size, use, deferred, lazy, lazy_max, caller);
}

/**
 * vc_trace_fail() - report an allocation that failed
 * @failure: the request; the state of the arena in it is not used, but for @lazy_pages
 * @use: what it was for
 * @error: negative error number
 *
 * Context: Any.
 */
void vc_trace_fail(const struct vc_failure *failure, enum vc_use use, int error)
{
	trace_fail(failure->size, failure->align, use, failure->gfp, error, failure->waits,
		   failure->lazy_pages, failure->reason, failure->caller);
}

/**
 * vc_trace_purge_begin() - report that a purge begins
 * @how: its size
 * @lazy: lazy pages that CPUs have handed on
 *
 * Context: Any.
 */
void vc_trace_purge_begin(const char *how, unsigned long lazy)
{
	trace_purge_begin(how, lazy);
}

/**
 * vc_trace_purge_end() - report that a purge has ended
 * @how: its size
 * @areas: areas that it made clean
 * @pages: their pages, with guard pages
 * @flushes: calls that it took
 * @lazy: lazy pages that CPUs have handed on
 *
 * Context: Any.
 */
void vc_trace_purge_end(const char *how, unsigned long areas, unsigned long pages,
			unsigned long flushes, unsigned long lazy)
{
	trace_purge_end(how, areas, pages, flushes, lazy);
}
