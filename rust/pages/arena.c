// SPDX-License-Identifier: GPL-2.0
/*
 * Reserving the arena in the kernel's vmalloc range.
 */
#include <linux/instruction_pointer.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "pages.h"
#include "shadow.h"
#include "symbols.h"

/* How often to ask the kernel for an aligned place. */
#define ATTEMPTS	16

/**
 * vc_arena_reserve() - take a contiguous part of the vmalloc range
 * @bytes: size, a multiple of the page size
 * @base: where it starts, aligned to @bytes rounded up to a power of two, so that
 *	an offset in the arena is as aligned as its address
 *
 * The kernel offers no alignment here. It takes the lowest place from a given start on,
 * and above some point all addresses are free. So a request from an aligned start soon
 * succeeds, and a result that is not aligned tells where to ask next.
 *
 * Context: Task context, may sleep.
 * Return: the area, or NULL.
 */
struct vm_struct *vc_arena_reserve(unsigned long bytes, unsigned long *base)
{
	unsigned long align = roundup_pow_of_two(bytes);
	unsigned long start = ALIGN(VMALLOC_START, align);
	unsigned int i;

	for (i = 0; i < ATTEMPTS; i++) {
		struct vm_struct *area;

		if (start < VMALLOC_START || start >= VMALLOC_END)
			return NULL;
		area = static_call(vc___get_vm_area_caller)(bytes, VM_SPARSE, start, VMALLOC_END,
							    (void *)_THIS_IP_);
		if (!area)
			return NULL;
		if (IS_ALIGNED((unsigned long)area->addr, align)) {
			*base = (unsigned long)area->addr;
			if (!vc_tables_init(*base, bytes / PAGE_SIZE)) {
				shadow_close(*base, bytes);
				return area;
			}
			free_vm_area(area);
			return NULL;
		}
		/* Ask behind this one: it is freed lazily, and still blocks its place. */
		start = ALIGN((unsigned long)area->addr + bytes + PAGE_SIZE, align);
		free_vm_area(area);
	}
	return NULL;
}

/**
 * vc_arena_release() - give the arena back
 * @area: as vc_arena_reserve() returned it; nothing is mapped there, and no TLB holds a
 *	translation
 *
 * Context: Task context, may sleep.
 */
void vc_arena_release(struct vm_struct *area)
{
	free_vm_area(area);
	vc_tables_exit();
}

/**
 * vc_arena_max_mb() - the largest arena that makes sense here, in MiB
 *
 * With KASAN_VMALLOC the kernel backs the whole arena with shadow memory from the
 * start: an eighth of its size.
 *
 * Context: Any.
 */
unsigned long vc_arena_max_mb(void)
{
	if (IS_ENABLED(CONFIG_KASAN_VMALLOC))
		return SZ_1G / SZ_1M;
	return SZ_1T / SZ_1M;
}

/**
 * vc_arena_default_mb() - the arena's default size in MiB
 *
 * Four times the memory, so that no allocation fails from fragmentation while there is
 * memory for it; at most 64 GiB.
 *
 * Context: Any.
 */
unsigned long vc_arena_default_mb(void)
{
	unsigned long mb = totalram_pages() >> (20 - PAGE_SHIFT);

	mb = roundup_pow_of_two(max(4 * mb, 64UL));
	return min3(mb, (unsigned long)(SZ_64G / SZ_1M), vc_arena_max_mb());
}
