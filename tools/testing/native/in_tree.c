// SPDX-License-Identifier: GPL-2.0
/*
 * mm/vmalloc.c of the kernel's source, unchanged, and doors to those of its functions that are
 * static: only a file that includes it can call them.
 */
#include <mm/vmalloc.c>

#include "native.h"
/* Two prototypes of one function that differ are an error. */
#include <face/exports.h>

static_assert(GFP == (__force unsigned int)GFP_KERNEL);

unsigned long in_tree_area_alloc(unsigned long pages, unsigned long align)
{
	/* One more for the guard page, as __get_vm_area_node() asks for it. */
	struct vmap_area *va = alloc_vmap_area((pages + 1) << PAGE_SHIFT, align << PAGE_SHIFT,
					       VMALLOC_START, VMALLOC_END, NUMA_NO_NODE,
					       GFP_KERNEL, 0, NULL);

	return IS_ERR(va) ? 0 : va->va_start;
}

void in_tree_area_free(unsigned long addr)
{
	struct vmap_area *va = find_unlink_vmap_area(addr);

	if (!va)
		host_fatal("in-tree has lost an area");
	free_vmap_area_noflush(va);
}

unsigned long in_tree_vm_alloc(unsigned long pages, unsigned long align)
{
	return (unsigned long)__get_vm_area_node(pages << PAGE_SHIFT, align << PAGE_SHIFT,
						 PAGE_SHIFT, VM_MAP, VMALLOC_START, VMALLOC_END,
						 NUMA_NO_NODE, GFP_KERNEL,
						 __builtin_return_address(0));
}

void in_tree_vm_free(unsigned long area)
{
	free_vm_area((struct vm_struct *)area);
}

unsigned long in_tree_vm_address(unsigned long area)
{
	return (unsigned long)((struct vm_struct *)area)->addr;
}

unsigned long in_tree_block_alloc(unsigned long pages, unsigned long align)
{
	void *addr = vb_alloc(pages << PAGE_SHIFT, GFP_KERNEL);

	return IS_ERR(addr) ? 0 : (unsigned long)addr;
}

void in_tree_block_free(unsigned long addr, unsigned long pages)
{
	vb_free(addr, pages << PAGE_SHIFT);
}

unsigned long in_tree_find(unsigned long addr)
{
	struct vmap_area *va = find_vmap_area(addr);

	return va ? va->va_start : 0;
}

void in_tree_purge(void)
{
	vm_unmap_aliases();
}

void in_tree_drain(void)
{
	reclaim_and_purge_vmap_areas();
}

const char *in_tree_lock_name(const void *lock)
{
	struct vmap_node *vn;

	if (lock == &free_vmap_area_lock)
		return "free_vmap_area_lock";
	for_each_vmap_node(vn) {
		if (lock == &vn->pool_lock)
			return "pool_lock";
		if (lock == &vn->busy.lock)
			return "busy.lock";
		if (lock == &vn->lazy.lock)
			return "lazy.lock";
	}
	return NULL;
}
