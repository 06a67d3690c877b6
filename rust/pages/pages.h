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
unsigned long vc_symbol_address(const char *name);

/* arena.c */

struct vm_struct *vc_arena_reserve(unsigned long bytes, unsigned long *base);
void vc_arena_release(struct vm_struct *area);
unsigned long vc_arena_default_mb(void);
unsigned long vc_arena_max_mb(void);

/* page_tables.c */

int vc_tables_init(unsigned long base, unsigned long nr);
void vc_tables_exit(void);
void vc_unmap(unsigned long addr, unsigned long nr);
void vc_flush(unsigned long addr, unsigned long nr);

/* pages.c */

void vc_put_pages(unsigned long nr, struct page **pages);

/* mapping.c */

/* In a payload of vc_populate(): the first page of a run instead of an array. */
#define VC_RUN	1UL

int vc_map(unsigned long addr, unsigned long nr, struct page **pages,
	   unsigned long prot);
int vc_populate(unsigned long addr, unsigned long nr, gfp_t gfp, int node,
		unsigned long *payload);
void vc_depopulate(unsigned long addr, unsigned long nr, unsigned long payload);

#endif /* VMAPCACHE_PAGES_H */
