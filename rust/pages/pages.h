/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the Rust files of this room call in C.
 *
 * Addresses are unsigned long, as in mm/vmalloc.c. "nr" counts pages.
 */
#ifndef VMAPCACHE_PAGES_H
#define VMAPCACHE_PAGES_H

#include "alone.h"
#include "symbol.h"

struct page;
struct vm_struct;

/* symbols.c */

int vc_symbols_resolve(void);
const struct vc_symbol *vc_symbol(unsigned int index);
bool vc_huge_allowed(void);
unsigned long vc_symbol_address(const char *name);

/* arena.c */

struct vm_struct *vc_arena_reserve(unsigned long bytes, unsigned long *base);
void vc_arena_release(struct vm_struct *area);
unsigned long vc_arena_default_mb(void);
unsigned long vc_arena_max_mb(void);

/* page_tables.c */

int vc_tables_init(unsigned long base, unsigned long nr);
void vc_tables_exit(void);
unsigned long vc_tables_whole(unsigned long addr, unsigned long nr);
bool vc_tables_any_huge(unsigned long addr, unsigned long nr);
void vc_unmap(unsigned long addr, unsigned long nr);
void vc_flush(unsigned long addr, unsigned long nr);
void vc_flush_unmapped(unsigned long addr, unsigned long nr);

/* pages.c */

/* In a payload: the first page of a run instead of an array. */
#define VC_RUN	1UL
/* In a payload that is an array: the area has fewer pages, and behind them there is NULL. */
#define VC_PART	4UL

void vc_put_pages(unsigned long nr, struct page **pages);
unsigned long vc_pages_present(unsigned long nr, unsigned long payload);
unsigned long vc_pages_cut(unsigned long nr, unsigned long payload, unsigned long keep,
			   gfp_t gfp);
void vc_pages_uncut(unsigned long payload, unsigned long cut);

/* mapping.c */

/**
 * enum vc_bad_pages - what vc_pages_bad() finds
 * @VC_PAGES_GOOD: nothing
 * @VC_PAGES_NO_ARRAY: there is no array
 * @VC_PAGES_HOLE: an entry of the array is NULL
 * @VC_PAGES_NO_FRAME: a page of the array has no page frame
 */
enum vc_bad_pages {
	VC_PAGES_GOOD,
	VC_PAGES_NO_ARRAY,
	VC_PAGES_HOLE,
	VC_PAGES_NO_FRAME,
};

enum vc_bad_pages vc_pages_bad(struct page **pages, unsigned long nr);
int vc_map(unsigned long addr, unsigned long nr, struct page **pages,
	   unsigned long prot);
int vc_populate(unsigned long addr, unsigned long nr, gfp_t gfp, int node,
		unsigned long *payload);
int vc_populate_huge(unsigned long addr, unsigned long nr, gfp_t gfp, int node,
		     unsigned long *payload);
void vc_depopulate(unsigned long addr, unsigned long nr, unsigned long payload);
void vc_leave(unsigned long addr, unsigned long nr, unsigned long payload);
void vc_shrink(unsigned long addr, unsigned long nr, unsigned long payload, unsigned long keep);
void vc_check_freed(unsigned long addr, unsigned long nr);
void vc_free_array(unsigned long array);

#endif /* VMAPCACHE_PAGES_H */
