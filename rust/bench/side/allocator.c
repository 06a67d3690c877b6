// SPDX-License-Identifier: GPL-2.0
/*
 * The calls that a driver makes, to the in-tree allocator or to vmapcache: in_tree.c and
 * vmapcache.c are both this file, the second with VMAPCACHE_DROPIN. So both sides
 * have the same costs beside the allocator itself.
 *
 * A function that no module may link is a static call, which becomes the same instruction.
 */
#include <linux/instruction_pointer.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include <vmapcache.h>

#include "allocator.h"
#include "symbols.h"

/*
 * The names that vmapcache.h does not define. In-tree an area without pages is a struct
 * vm_struct; to vmapcache it is its address.
 */
#ifdef VMAPCACHE_DROPIN
#define side(name)		vc_vmapcache_##name
#define get_area(size)		vmapcache_get_vm_area(size, VM_MAP)
#define get_aligned(size, align, caller) \
	vmapcache_get_vm_area_aligned(size, align, VM_MAP, caller)
#define address(area)		((unsigned long)(area))
#define free_area(area)		vmapcache_free_vm_area(area)
#define find_area(addr)		vmapcache_find_vm_area(addr, NULL)
#define purge_all()		vmapcache_purge()
#else
#define side(name)		vc_in_tree_##name
#define get_area(size)		static_call(vc_get_vm_area)(size, VM_MAP)
#define get_aligned(size, align, caller) \
	static_call(vc___get_vm_area_node)(size, align, PAGE_SHIFT, VM_MAP, VMALLOC_START, \
					   VMALLOC_END, NUMA_NO_NODE, GFP_KERNEL, caller)
#define address(area)		((unsigned long)((struct vm_struct *)(area))->addr)
#define free_area(area)		free_vm_area(area)
#define find_area(addr)		static_call(vc_find_vm_area)(addr)
#define purge_all()		vm_unmap_aliases()
#undef __vmalloc_node
#define __vmalloc_node(size, align, gfp, node, caller) \
	static_call(vc___vmalloc_node)(size, align, gfp, node, caller)
#endif

/**
 * vc_in_tree_va_alloc(), vc_vmapcache_va_alloc() - an area without pages, by get_vm_area()
 * @nr: pages
 * @align: in pages
 * @addr: set to its start
 *
 * get_vm_area() takes no alignment. Only with one, this calls the function below it, which
 * aligned users of vmalloc reach.
 *
 * Context: Task context, may sleep.
 * Return: the area, or NULL.
 */
void *side(va_alloc)(unsigned long nr, unsigned long align, unsigned long *addr)
{
	void *area;

	if (align <= 1)
		area = get_area(nr * PAGE_SIZE);
	else
		area = get_aligned(nr * PAGE_SIZE, align * PAGE_SIZE, (void *)_RET_IP_);
	if (area)
		*addr = address(area);
	return area;
}

void side(va_free)(void *area)
{
	free_area(area);
}

/* Whether an area holds an address. */
bool side(find)(unsigned long addr)
{
	return find_area((void *)addr);
}

unsigned long side(vmap)(struct page **pages, unsigned long nr)
{
	return (unsigned long)vmap(pages, nr, VM_MAP, PAGE_KERNEL);
}

void side(vunmap)(unsigned long addr)
{
	vunmap((void *)addr);
}

unsigned long side(map_ram)(struct page **pages, unsigned long nr)
{
	return (unsigned long)vm_map_ram(pages, nr, NUMA_NO_NODE);
}

void side(unmap_ram)(unsigned long addr, unsigned long nr)
{
	vm_unmap_ram((void *)addr, nr);
}

/**
 * vc_in_tree_vmalloc(), vc_vmapcache_vmalloc() - vmalloc(), __vmalloc() or __vmalloc_node(),
 * the simplest that will do
 * @nr: pages
 * @align: in bytes
 * @gfp: flags
 *
 * Context: as the flags say.
 * Return: the address, or 0.
 */
unsigned long side(vmalloc)(unsigned long nr, unsigned long align, gfp_t gfp)
{
	if (align > PAGE_SIZE)
		return (unsigned long)__vmalloc_node(nr * PAGE_SIZE, align, gfp, NUMA_NO_NODE,
						     (void *)_RET_IP_);
	if (gfp != GFP_KERNEL)
		return (unsigned long)__vmalloc(nr * PAGE_SIZE, gfp);
	return (unsigned long)vmalloc(nr * PAGE_SIZE);
}

unsigned long side(vrealloc)(unsigned long addr, unsigned long bytes)
{
	return (unsigned long)vrealloc((void *)addr, bytes, GFP_KERNEL);
}

void side(vfree)(unsigned long addr)
{
	vfree((void *)addr);
}

/* Purges all lazy areas before it returns. */
void side(purge)(void)
{
	purge_all();
}
