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
#else
#include <linux/types.h>
#endif

struct page;
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

int vc_map(unsigned long addr, unsigned long nr, struct page **pages,
	   unsigned long prot, gfp_t gfp);
void vc_unmap(unsigned long addr, unsigned long nr);
void vc_flush(unsigned long addr, unsigned long nr);
int vc_populate(unsigned long addr, unsigned long nr, gfp_t gfp, int node,
		unsigned long *payload);
void vc_depopulate(unsigned long addr, unsigned long nr, unsigned long payload);
void vc_put_pages(unsigned long nr, struct page **pages);

/* percpu.c */

unsigned int vc_cpu_enter(void);
void vc_cpu_exit(void);
unsigned int vc_cpu_hint(void);
unsigned int vc_cpu_count(void);
void vc_cpu_wait_owners(void);

#endif /* VMAPCACHE_HELPERS_H */
