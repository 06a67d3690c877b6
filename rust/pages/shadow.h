/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What KASAN knows of the arena.
 *
 * To KASAN the arena is one object that anybody may use. So these functions poison it when
 * it is reserved, poison an area when it is unmapped, and open an area when it is mapped,
 * to the byte that the caller asked for. Then KASAN reports a use after free or an
 * overrun, with the code that did it. Without KASAN the functions do nothing.
 */
#ifndef VMAPCACHE_SHADOW_H
#define VMAPCACHE_SHADOW_H

#include <linux/math.h>
#include <linux/types.h>

#if defined(CONFIG_KASAN_GENERIC) && defined(CONFIG_KASAN_VMALLOC)

#ifndef VMAPCACHE_HAS_KASAN_POISON
#error this kernel declares kasan_poison() in a way that vmapcache does not know
#endif

/* Exported, but declared in mm/ alone; prototypes.sh has compared it with the tree's. */
void kasan_poison(const void *addr, size_t size, u8 value, bool init);

/* Bytes that one byte of shadow covers; mm/kasan/kasan.h's KASAN_GRANULE_SIZE. */
#define SHADOW_GRANULE	8UL
/* In-tree vmalloc's mark for unallocated memory: KASAN_VMALLOC_INVALID. */
#define SHADOW_CLOSED	0xF8

/* Nobody may use these bytes. @addr and @bytes: multiples of SHADOW_GRANULE. Any context. */
static inline void shadow_close(unsigned long addr, unsigned long bytes)
{
	kasan_poison((const void *)addr, bytes, SHADOW_CLOSED, false);
}

/* Opens the first @bytes of the area at @addr, and poisons the rest of its @size. */
static inline void shadow_open(unsigned long addr, unsigned long bytes, unsigned long size)
{
	unsigned long whole = round_down(bytes, SHADOW_GRANULE);
	unsigned long used = round_up(bytes, SHADOW_GRANULE);

	kasan_poison((const void *)addr, whole, 0, false);
	if (bytes != whole)
		kasan_poison((const void *)(addr + whole), SHADOW_GRANULE, bytes - whole, false);
	shadow_close(addr + used, size - used);
}

#else

static inline void shadow_close(unsigned long addr, unsigned long bytes)
{
}

static inline void shadow_open(unsigned long addr, unsigned long bytes, unsigned long size)
{
}

#endif

#endif /* VMAPCACHE_SHADOW_H */
