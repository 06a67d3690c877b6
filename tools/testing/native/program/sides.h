/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The allocators under measurement. Inlined into the loops, so that nothing is between a loop and
 * the function that it measures.
 */
#ifndef NATIVE_SIDES_H
#define NATIVE_SIDES_H

#include <sys/cdefs.h>

#include "host.h"

enum side {
	IN_TREE,	/* mm/vmalloc.c: a vmap_area */
	IN_TREE_VM,	/* the same with a vm_struct, as get_vm_area() */
	IN_TREE_BLOCK,	/* vm_map_ram()'s addresses */
	VMAPCACHE,
	FAKE,		/* no allocator, of known cost */
	SIDES,
};

extern const char *const side_names[SIDES];

/* Links of a chain of multiplications, each of which needs the result of the one before. */
static inline unsigned long chain(unsigned long from, unsigned long links)
{
	for (; links; links--)
		asm volatile("imul $3, %0, %0" : "+r" (from));
	/* 0, which the compiler and the CPU know only when the chain has ended. */
	asm volatile("and $0, %0" : "+r" (from));
	return from;
}

/* A fake area needs the one before it, so that a CPU cannot work on two of them at a time. */
extern unsigned long fake_links, fake_last;
#define CALLER	0x401000UL

static __always_inline
unsigned long side_alloc(enum side side, unsigned long pages, unsigned long align)
{
	switch (side) {
	case IN_TREE:
		return in_tree_area_alloc(pages, align);
	case IN_TREE_VM:
		return in_tree_vm_alloc(pages, align);
	case IN_TREE_BLOCK:
		return in_tree_block_alloc(pages, align);
	case VMAPCACHE:
		return (unsigned long)vc_rs_get_area(pages << 12, align << 12, GFP, CALLER);
	default:
		fake_last = 4096 + chain(pages + fake_last, fake_links);
		return fake_last;
	}
}

static __always_inline
void side_free(enum side side, unsigned long area, unsigned long pages)
{
	switch (side) {
	case IN_TREE:
		in_tree_area_free(area);
		break;
	case IN_TREE_VM:
		in_tree_vm_free(area);
		break;
	case IN_TREE_BLOCK:
		in_tree_block_free(area, pages);
		break;
	case VMAPCACHE:
		vc_rs_free(area, 0, CALLER);
		break;
	default:
		fake_last = area;
	}
}

static inline unsigned long side_address(enum side side, unsigned long area)
{
	return side == IN_TREE_VM ? in_tree_vm_address(area) : area;
}

#endif /* NATIVE_SIDES_H */
