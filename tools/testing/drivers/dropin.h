/* SPDX-License-Identifier: GPL-2.0 */
/*
 * In front of each driver: vmapcache.h with VMAPCACHE_DROPIN, and a kvmalloc() that finds
 * no contiguous memory above one page, as on a machine that ran for long. Otherwise most
 * drivers would never allocate from vmapcache in the VM: a fresh kernel has contiguous memory.
 */
#ifndef VMAPCACHE_DRIVERS_DROPIN_H
#define VMAPCACHE_DRIVERS_DROPIN_H

#include <linux/slab.h>
#include <vmapcache.h>

static __always_inline void *drivers_kvmalloc(size_t size, unsigned long align, gfp_t gfp, int node)
{
	if (size > PAGE_SIZE && size <= INT_MAX && gfpflags_allow_blocking(gfp))
		return vmapcache_vmalloc_aligned(size, align, gfp, node, NULL);
	return vmapcache_kvmalloc(size, align, gfp, node);
}

#define vmapcache_kvmalloc drivers_kvmalloc
#define VMAPCACHE_DROPIN
#include <vmapcache.h>

#endif /* VMAPCACHE_DRIVERS_DROPIN_H */
