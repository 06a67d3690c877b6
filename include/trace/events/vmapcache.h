/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of vmapcache.ko: see Documentation/tracepoints.rst.
 *
 * Numbers of pages have "nr_" in front, as in-tree; all other sizes are bytes.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vmapcache

#if !defined(_TRACE_VMAPCACHE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_VMAPCACHE_H

#include <linux/tracepoint.h>
#include <trace/events/mmflags.h>

/* Names the use of an area, by the numbers of enum vc_use. */
#define show_vmapcache_kind(kind)		\
	__print_symbolic(kind,			\
		{ 0, "vmalloc" },		\
		{ 1, "vmap" },			\
		{ 2, "vm_map_ram" },		\
		{ 3, "addresses" })

/**
 * alloc - an allocation succeeded
 * @addr: first address of the area
 * @size: its bytes, without the guard page
 * @align: the alignment that the caller asked for
 * @kind: what it is for
 * @gfp: flags of the request
 * @caller: the code that asked
 */
TRACE_EVENT(alloc,

	TP_PROTO(unsigned long addr, unsigned long size, unsigned long align, unsigned int kind,
		 gfp_t gfp, unsigned long caller),

	TP_ARGS(addr, size, align, kind, gfp, caller),

	TP_STRUCT__entry(
		__field(unsigned long, addr)
		__field(unsigned long, size)
		__field(unsigned long, align)
		__field(unsigned int, kind)
		__field(unsigned long, gfp_flags)
		__field(unsigned long, caller)
	),

	TP_fast_assign(
		__entry->addr = addr;
		__entry->size = size;
		__entry->align = align;
		__entry->kind = kind;
		__entry->gfp_flags = (__force unsigned long)gfp;
		__entry->caller = caller;
	),

	TP_printk("addr=0x%lx size=%lu align=%lu kind=%s gfp_flags=%s caller=%pS",
		  __entry->addr, __entry->size, __entry->align,
		  show_vmapcache_kind(__entry->kind), show_gfp_flags(__entry->gfp_flags),
		  (void *)__entry->caller)
);

/**
 * free - an area has lost its owner and its pins
 * @addr: first address of the area
 * @size: its bytes, without the guard page
 * @kind: what it was for
 * @deferred: a work item unmaps it
 * @nr_lazy: lazy pages that CPUs have handed on for a purge
 * @nr_lazy_max: a purge is asked for above this
 * @caller: the code that freed it, or gave back its last pin; 0 if vmapcache did so
 */
TRACE_EVENT(free,

	TP_PROTO(unsigned long addr, unsigned long size, unsigned int kind, bool deferred,
		 unsigned long nr_lazy, unsigned long nr_lazy_max, unsigned long caller),

	TP_ARGS(addr, size, kind, deferred, nr_lazy, nr_lazy_max, caller),

	TP_STRUCT__entry(
		__field(unsigned long, addr)
		__field(unsigned long, size)
		__field(unsigned int, kind)
		__field(bool, deferred)
		__field(unsigned long, nr_lazy)
		__field(unsigned long, nr_lazy_max)
		__field(unsigned long, caller)
	),

	TP_fast_assign(
		__entry->addr = addr;
		__entry->size = size;
		__entry->kind = kind;
		__entry->deferred = deferred;
		__entry->nr_lazy = nr_lazy;
		__entry->nr_lazy_max = nr_lazy_max;
		__entry->caller = caller;
	),

	TP_printk("addr=0x%lx size=%lu kind=%s deferred=%d nr_lazy=%lu nr_lazy_max=%lu caller=%pS",
		  __entry->addr, __entry->size, show_vmapcache_kind(__entry->kind),
		  __entry->deferred, __entry->nr_lazy, __entry->nr_lazy_max,
		  (void *)__entry->caller)
);

/**
 * fail - an allocation failed, or a request that must not fail waits
 * @size: bytes that the caller asked for
 * @align: alignment that it asked for
 * @kind: what for
 * @gfp: flags of the request
 * @error: negative error number; the caller gets NULL
 * @waits: the request must not fail, and tries again
 * @nr_lazy: as for free
 * @reason: as in the kernel log
 * @caller: the code that asked
 */
TRACE_EVENT(fail,

	TP_PROTO(unsigned long size, unsigned long align, unsigned int kind, gfp_t gfp, int error,
		 bool waits, unsigned long nr_lazy, const char *reason, unsigned long caller),

	TP_ARGS(size, align, kind, gfp, error, waits, nr_lazy, reason, caller),

	TP_STRUCT__entry(
		__field(unsigned long, size)
		__field(unsigned long, align)
		__field(unsigned int, kind)
		__field(unsigned long, gfp_flags)
		__field(int, error)
		__field(bool, waits)
		__field(unsigned long, nr_lazy)
		__string(reason, reason)
		__field(unsigned long, caller)
	),

	TP_fast_assign(
		__entry->size = size;
		__entry->align = align;
		__entry->kind = kind;
		__entry->gfp_flags = (__force unsigned long)gfp;
		__entry->error = error;
		__entry->waits = waits;
		__entry->nr_lazy = nr_lazy;
		__assign_str(reason);
		__entry->caller = caller;
	),

	TP_printk("size=%lu align=%lu kind=%s gfp_flags=%s error=%d waits=%d nr_lazy=%lu reason=\"%s\" caller=%pS",
		  __entry->size, __entry->align, show_vmapcache_kind(__entry->kind),
		  show_gfp_flags(__entry->gfp_flags), __entry->error, __entry->waits,
		  __entry->nr_lazy, __get_str(reason), (void *)__entry->caller)
);

/**
 * purge_begin - a purge begins
 * @how: its size: step, background, full or drain
 * @nr_lazy: as for free
 */
TRACE_EVENT(purge_begin,

	TP_PROTO(const char *how, unsigned long nr_lazy),

	TP_ARGS(how, nr_lazy),

	TP_STRUCT__entry(
		__string(how, how)
		__field(unsigned long, nr_lazy)
	),

	TP_fast_assign(
		__assign_str(how);
		__entry->nr_lazy = nr_lazy;
	),

	TP_printk("how=%s nr_lazy=%lu", __get_str(how), __entry->nr_lazy)
);

/**
 * purge_end - the purge that began last has ended
 * @how: its size
 * @num_purged: areas that it made clean
 * @nr_purged: their pages, with guard pages
 * @flushes: calls of flush_tlb_kernel_range() that it took
 * @nr_lazy: as for free
 */
TRACE_EVENT(purge_end,

	TP_PROTO(const char *how, unsigned long num_purged, unsigned long nr_purged,
		 unsigned long flushes, unsigned long nr_lazy),

	TP_ARGS(how, num_purged, nr_purged, flushes, nr_lazy),

	TP_STRUCT__entry(
		__string(how, how)
		__field(unsigned long, num_purged)
		__field(unsigned long, nr_purged)
		__field(unsigned long, flushes)
		__field(unsigned long, nr_lazy)
	),

	TP_fast_assign(
		__assign_str(how);
		__entry->num_purged = num_purged;
		__entry->nr_purged = nr_purged;
		__entry->flushes = flushes;
		__entry->nr_lazy = nr_lazy;
	),

	TP_printk("how=%s num_purged=%lu nr_purged=%lu flushes=%lu nr_lazy=%lu",
		  __get_str(how), __entry->num_purged, __entry->nr_purged, __entry->flushes,
		  __entry->nr_lazy)
);

/**
 * flush - a range of the arena has been flushed from the TLBs of all CPUs
 * @start: its first address
 * @end: the first address behind it
 */
TRACE_EVENT(flush,

	TP_PROTO(unsigned long start, unsigned long end),

	TP_ARGS(start, end),

	TP_STRUCT__entry(
		__field(unsigned long, start)
		__field(unsigned long, end)
	),

	TP_fast_assign(
		__entry->start = start;
		__entry->end = end;
	),

	TP_printk("start=0x%lx end=0x%lx", __entry->start, __entry->end)
);

#endif /* _TRACE_VMAPCACHE_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
