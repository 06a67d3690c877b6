/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pages of an area in one word: the array that names them or, with VC_RUN, the first
 * page of a run. With VC_PART the area has fewer pages than its range, and NULL is
 * behind them in the array. The C files of this room share it; rust/pages/mapping.rs adds whose
 * pages they are.
 */
#ifndef VMAPCACHE_PAYLOAD_H
#define VMAPCACHE_PAYLOAD_H

#include <linux/gfp.h>
#include <linux/mm_types.h>
#include <linux/pgtable.h>

#include "pages.h"

/* Most pages of a run: their pointers must fit on the stack. */
#define RUN_MAX		32UL

/* A request's flags for reclaim; mm/internal.h's GFP_RECLAIM_MASK. */
#define RECLAIM_FLAGS	(__GFP_RECLAIM | __GFP_HIGH | __GFP_IO | __GFP_FS | __GFP_NOWARN | \
			 __GFP_RETRY_MAYFAIL | __GFP_NOFAIL | __GFP_NORETRY | \
			 __GFP_MEMALLOC | __GFP_NOMEMALLOC | __GFP_NOLOCKDEP)

static inline struct page *run_of(unsigned long payload)
{
	return (struct page *)(payload - VC_RUN);
}

static inline struct page **array_of(unsigned long payload)
{
	return (struct page **)(payload & ~VC_PART);
}

static inline void name_run(struct page **names, struct page *run, unsigned long nr)
{
	while (nr--)
		*names++ = run++;
}

/* page_tables.c */
int vc_tables_map(unsigned long addr, unsigned long nr, unsigned long payload, pgprot_t prot,
		  gfp_t gfp);
int vc_tables_map_huge(unsigned long addr, unsigned long nr, unsigned long payload, pgprot_t prot,
		       gfp_t gfp);

/* pages.c */
unsigned long vc_pages_alloc(unsigned long nr, gfp_t gfp, int node);
void vc_pages_put(unsigned long nr, unsigned long payload);
void vc_pages_leave(unsigned long nr, unsigned long payload);
void vc_pages_put_tail(unsigned long nr, unsigned long payload, unsigned long keep);

#endif /* VMAPCACHE_PAYLOAD_H */
