// SPDX-License-Identifier: GPL-2.0
/*
 * The two allocators behind one table.
 */
#include <linux/gfp.h>
#include <linux/instruction_pointer.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

static void *ours_vmalloc(unsigned long size)
{
	return vmapcache_vmalloc(size);
}

static void *ours_vzalloc(unsigned long size)
{
	return vmapcache_vzalloc(size);
}

static void *ours_vmalloc_node(unsigned long size, int node)
{
	return vmapcache_vmalloc_node(size, node);
}

static void *ours_vmalloc_gfp(unsigned long size, gfp_t gfp)
{
	return vmapcache_vmalloc_gfp(size, gfp);
}

static void *ours_vmalloc_aligned(unsigned long size, unsigned long align, gfp_t gfp)
{
	return vmapcache_vmalloc_aligned(size, align, gfp, NUMA_NO_NODE, (void *)_RET_IP_);
}

static void ours_vfree(const void *addr)
{
	vmapcache_vfree(addr);
}

static void ours_vfree_atomic(const void *addr)
{
	vmapcache_vfree_atomic(addr);
}

static void *ours_vmap(struct page **pages, unsigned int count)
{
	return vmapcache_vmap(pages, count, VM_MAP, PAGE_KERNEL);
}

static void ours_vunmap(const void *addr)
{
	vmapcache_vunmap(addr);
}

static void *ours_vm_map_ram(struct page **pages, unsigned int count)
{
	return vmapcache_vm_map_ram(pages, count, NUMA_NO_NODE);
}

static void ours_vm_unmap_ram(const void *addr, unsigned int count)
{
	vmapcache_vm_unmap_ram(addr, count);
}

static void ours_unmap_aliases(void)
{
	vmapcache_vm_unmap_aliases();
}

const struct allocator allocator_ours = {
	.name = "vmapcache",
	.get = ours_vmalloc,
	.get_zeroed = ours_vzalloc,
	.get_node = ours_vmalloc_node,
	.get_gfp = ours_vmalloc_gfp,
	.get_aligned = ours_vmalloc_aligned,
	.put = ours_vfree,
	.put_atomic = ours_vfree_atomic,
	.map = ours_vmap,
	.unmap = ours_vunmap,
	.map_ram = ours_vm_map_ram,
	.unmap_ram = ours_vm_unmap_ram,
	.unmap_aliases = ours_unmap_aliases,
};

static void *in_tree_vmalloc(unsigned long size)
{
	return vmalloc(size);
}

static void *in_tree_vzalloc(unsigned long size)
{
	return vzalloc(size);
}

static void *in_tree_vmalloc_node(unsigned long size, int node)
{
	return vmalloc_node(size, node);
}

static void *in_tree_vmalloc_gfp(unsigned long size, gfp_t gfp)
{
	return __vmalloc(size, gfp);
}

static void in_tree_vfree(const void *addr)
{
	vfree(addr);
}

static void in_tree_vfree_atomic(const void *addr)
{
	/* vfree_atomic() is not exported; vfree() does the same from interrupts. */
	vfree(addr);
}

static void *in_tree_vmap(struct page **pages, unsigned int count)
{
	return vmap(pages, count, VM_MAP, PAGE_KERNEL);
}

static void in_tree_vunmap(const void *addr)
{
	vunmap(addr);
}

static void *in_tree_vm_map_ram(struct page **pages, unsigned int count)
{
	return vm_map_ram(pages, count, NUMA_NO_NODE);
}

static void in_tree_vm_unmap_ram(const void *addr, unsigned int count)
{
	vm_unmap_ram(addr, count);
}

static void in_tree_unmap_aliases(void)
{
	vm_unmap_aliases();
}

/* Without vmalloc_aligned: __vmalloc_node() is not exported on stock kernels. */
const struct allocator allocator_in_tree = {
	.name = "in-tree",
	.get = in_tree_vmalloc,
	.get_zeroed = in_tree_vzalloc,
	.get_node = in_tree_vmalloc_node,
	.get_gfp = in_tree_vmalloc_gfp,
	.put = in_tree_vfree,
	.put_atomic = in_tree_vfree_atomic,
	.map = in_tree_vmap,
	.unmap = in_tree_vunmap,
	.map_ram = in_tree_vm_map_ram,
	.unmap_ram = in_tree_vm_unmap_ram,
	.unmap_aliases = in_tree_unmap_aliases,
};

const struct allocator *allocator_of(struct run *run)
{
	return arg_is(run, "allocator", "in-tree") ? &allocator_in_tree : &allocator_ours;
}

bool readable(const void *addr)
{
	u8 byte;

	return !copy_from_kernel_nofault(&byte, addr, sizeof(byte));
}

static u64 signature(u64 seed, unsigned long page)
{
	return (seed + page + 1) * 0x9e3779b97f4a7c15ULL;
}

#define PAGE_WORDS	(PAGE_SIZE / sizeof(u64))

void sign(void *addr, unsigned long pages, u64 seed)
{
	unsigned long i;

	for (i = 0; i < pages; i++) {
		u64 *words = addr + i * PAGE_SIZE;
		u64 value = signature(seed, i);

		words[0] = value;
		words[value % (PAGE_WORDS - 2) + 1] = value;
		words[PAGE_WORDS - 1] = ~value;
	}
}

unsigned long signed_by(const void *addr, unsigned long pages, u64 seed)
{
	unsigned long i;

	for (i = 0; i < pages; i++) {
		const u64 *words = addr + i * PAGE_SIZE;
		u64 value = signature(seed, i);

		if (words[0] != value || words[value % (PAGE_WORDS - 2) + 1] != value ||
		    words[PAGE_WORDS - 1] != ~value)
			break;
	}
	return i;
}

void pages_free(struct page **pages, unsigned int count)
{
	unsigned int i;

	for (i = 0; pages && i < count && pages[i]; i++)
		__free_page(pages[i]);
	kvfree(pages);
}

struct page **pages_alloc(unsigned int count)
{
	struct page **pages = kvcalloc(count, sizeof(*pages), GFP_KERNEL);
	unsigned int i;

	for (i = 0; pages && i < count; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		if (!pages[i]) {
			pages_free(pages, count);
			return NULL;
		}
	}
	return pages;
}
