/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The functions of allocator.c, once for each side.
 */
#ifndef VMAPCACHE_BENCH_ALLOCATOR_H
#define VMAPCACHE_BENCH_ALLOCATOR_H

#include "alone.h"

struct page;

#define VC_SIDE(side)									\
	void *vc_##side##_va_alloc(unsigned long nr, unsigned long align,		\
				   unsigned long *addr);				\
	void vc_##side##_va_free(void *area);						\
	bool vc_##side##_find(unsigned long addr);					\
	unsigned long vc_##side##_vmap(struct page **pages, unsigned long nr);		\
	void vc_##side##_vunmap(unsigned long addr);					\
	unsigned long vc_##side##_map_ram(struct page **pages, unsigned long nr);	\
	void vc_##side##_unmap_ram(unsigned long addr, unsigned long nr);		\
	unsigned long vc_##side##_vmalloc(unsigned long nr, unsigned long align,	\
					  gfp_t gfp);					\
	unsigned long vc_##side##_vrealloc(unsigned long addr, unsigned long bytes);	\
	void vc_##side##_vfree(unsigned long addr)

VC_SIDE(in_tree);
void vc_in_tree_purge(void);
VC_SIDE(vmapcache);
void vc_vmapcache_purge(void);

#endif /* VMAPCACHE_BENCH_ALLOCATOR_H */
