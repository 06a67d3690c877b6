/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The in-tree names of linux/vmalloc.h and of the kvmalloc() family, for vmapcache.
 * vmapcache.h includes this file if VMAPCACHE_DROPIN is defined.
 *
 * Every name that allocates, resizes or remaps such memory means vmapcache's. Every name
 * that frees or unmaps looks at the address: an area of vmapcache goes back to vmapcache,
 * other memory to the in-tree function. So it does not matter which file or which
 * function of the kernel allocated what this file frees. The reverse needs the guards: with
 * guards=off never hand an area to a function of the kernel that frees it.
 *
 * vmap_pfn() maps no struct page and stays in-tree; vunmap() knows its areas. Names that
 * give or take a struct vm_struct do not compile: vmapcache has none.
 *
 * Include it in front of all other headers: some have members that are called `vmap` or
 * `vunmap`, which this file then renames in all of them alike.
 */
#ifndef VMAPCACHE_DROPIN_H
#define VMAPCACHE_DROPIN_H

#include <linux/cleanup.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <vmapcache.h>

static inline void vmapcache_dropin_vm_unmap_aliases(void)
{
	vmapcache_vm_unmap_aliases();
	vm_unmap_aliases();
}

static inline void vmapcache_dropin_kvfree_atomic(const void *addr)
{
	if (is_vmalloc_addr(addr))
		vmapcache_either_vfree_atomic(addr);
	else
		kfree(addr);
}

static inline void vmapcache_dropin_kvfree_sensitive(const void *addr, size_t len)
{
	if (!ZERO_OR_NULL_PTR(addr)) {
		memzero_explicit((void *)addr, len);
		vmapcache_kvfree(addr);
	}
}

static inline void *__must_check
vmapcache_dropin_vrealloc(const void *addr, size_t size, unsigned long align, gfp_t gfp, int node)
{
	if (!addr || vmapcache_owns(addr))
		return vmapcache_vrealloc_node_align(addr, size, align, gfp, node);
	return vrealloc_node_align(addr, size, align, gfp, node);
}

static __always_inline void *vmapcache_dropin_vmalloc_array(size_t n, size_t size, gfp_t gfp)
{
	size_t bytes;

	if (unlikely(check_mul_overflow(n, size, &bytes)))
		return NULL;
	return vmapcache_vmalloc_gfp(bytes, gfp);
}

static __always_inline void *vmapcache_dropin_kvmalloc_array(size_t n, size_t size, gfp_t gfp,
							     int node)
{
	size_t bytes;

	if (unlikely(check_mul_overflow(n, size, &bytes)))
		return NULL;
	return vmapcache_kvmalloc(bytes, 1, gfp, node);
}

/* In-tree this function takes memory of the in-tree allocator alone, and is not exported. */
static inline int vmapcache_dropin_remap_partial(struct vm_area_struct *vma, unsigned long uaddr,
						 void *kaddr, unsigned long pgoff,
						 unsigned long size)
{
	return vmapcache_remap_vmalloc_range_partial(vma, uaddr, kaddr, pgoff, size);
}

static inline int vmapcache_dropin_remap(struct vm_area_struct *vma, void *addr,
					 unsigned long pgoff)
{
	if (!vmapcache_owns(addr))
		return remap_vmalloc_range(vma, addr, pgoff);
	return vmapcache_remap_vmalloc_range_partial(vma, vma->vm_start, addr, pgoff,
						     vma->vm_end - vma->vm_start);
}

/* What __free(kvfree) and __free(kvfree_atomic) call. */
static __always_inline void vmapcache_dropin_free_kvfree(void *p)
{
	void *addr = *(void **)p;

	if (!IS_ERR_OR_NULL(addr))
		vmapcache_kvfree(addr);
}

static __always_inline void vmapcache_dropin_free_kvfree_atomic(void *p)
{
	void *addr = *(void **)p;

	if (!IS_ERR_OR_NULL(addr))
		vmapcache_dropin_kvfree_atomic(addr);
}

/* The in-tree macro, which this file's own name hides. */
static __always_inline void vmapcache_dropin_rcu_in_tree(void *head, void *addr)
{
	kvfree_call_rcu(head, addr);
}

/* vmalloc(), by page */

#undef vmalloc
#undef vmalloc_noprof
#undef vzalloc
#undef vzalloc_noprof
#undef vmalloc_user
#undef vmalloc_user_noprof
#undef vmalloc_node
#undef vmalloc_node_noprof
#undef vzalloc_node
#undef vzalloc_node_noprof
#undef vmalloc_32
#undef vmalloc_32_noprof
#undef vmalloc_32_user
#undef vmalloc_32_user_noprof
#undef __vmalloc
#undef __vmalloc_noprof
#undef __vmalloc_node
#undef __vmalloc_node_noprof
#undef vmalloc_huge
#undef vmalloc_huge_node
#undef vmalloc_huge_node_noprof
#undef __vmalloc_array
#undef __vmalloc_array_noprof
#undef vmalloc_array
#undef vmalloc_array_noprof
#undef __vcalloc
#undef __vcalloc_noprof
#undef vcalloc
#undef vcalloc_noprof
#undef vrealloc
#undef vrealloc_noprof
#undef vrealloc_node
#undef vrealloc_node_noprof
#undef vrealloc_node_align
#undef vrealloc_node_align_noprof

#define vmalloc(size)			vmapcache_vmalloc(size)
#define vmalloc_noprof			vmapcache_vmalloc
#define vzalloc(size)			vmapcache_vzalloc(size)
#define vzalloc_noprof			vmapcache_vzalloc
#define vmalloc_user(size)		vmapcache_vmalloc_user(size)
#define vmalloc_user_noprof		vmapcache_vmalloc_user
#define vmalloc_node(size, node)	vmapcache_vmalloc_node(size, node)
#define vmalloc_node_noprof		vmapcache_vmalloc_node
#define vzalloc_node(size, node) \
	vmapcache_vmalloc_aligned(size, 1, GFP_KERNEL | __GFP_ZERO, node, NULL)
#define vzalloc_node_noprof(size, node)	vzalloc_node(size, node)
#define vmalloc_32(size)		vmapcache_vmalloc_32(size)
#define vmalloc_32_noprof		vmapcache_vmalloc_32
#define vmalloc_32_user(size)		vmapcache_vmalloc_32_user(size)
#define vmalloc_32_user_noprof		vmapcache_vmalloc_32_user
#define __vmalloc(size, gfp)		vmapcache_vmalloc_gfp(size, gfp)
#define __vmalloc_noprof		vmapcache_vmalloc_gfp
#define __vmalloc_node(size, align, gfp, node, caller) \
	vmapcache_vmalloc_aligned(size, align, gfp, node, caller)
#define __vmalloc_node_noprof		vmapcache_vmalloc_aligned
#define vmalloc_huge(size, gfp)		vmapcache_vmalloc_huge_node(size, gfp, NUMA_NO_NODE)
#define vmalloc_huge_node(size, gfp, node)	vmapcache_vmalloc_huge_node(size, gfp, node)
#define vmalloc_huge_node_noprof	vmapcache_vmalloc_huge_node
#define __vmalloc_array(n, size, gfp)	vmapcache_dropin_vmalloc_array(n, size, gfp)
#define __vmalloc_array_noprof		vmapcache_dropin_vmalloc_array
#define vmalloc_array(n, size)		__vmalloc_array(n, size, GFP_KERNEL)
#define vmalloc_array_noprof(n, size)	vmalloc_array(n, size)
#define __vcalloc(n, size, gfp)		__vmalloc_array(n, size, (gfp) | __GFP_ZERO)
#define __vcalloc_noprof(n, size, gfp)	__vcalloc(n, size, gfp)
#define vcalloc(n, size)		__vcalloc(n, size, GFP_KERNEL)
#define vcalloc_noprof(n, size)		vcalloc(n, size)
#define vrealloc(addr, size, gfp)	vrealloc_node_align(addr, size, 1, gfp, NUMA_NO_NODE)
#define vrealloc_noprof(addr, size, gfp)	vrealloc(addr, size, gfp)
#define vrealloc_node(addr, size, gfp, node)	vrealloc_node_align(addr, size, 1, gfp, node)
#define vrealloc_node_noprof(addr, size, gfp, node)	vrealloc_node(addr, size, gfp, node)
#define vrealloc_node_align		vmapcache_dropin_vrealloc
#define vrealloc_node_align_noprof	vmapcache_dropin_vrealloc

#define vfree				vmapcache_either_vfree
#define vfree_atomic			vmapcache_either_vfree_atomic

/* Mappings */

#define vmap				vmapcache_vmap
#define vunmap				vmapcache_either_vunmap
#define vm_map_ram			vmapcache_vm_map_ram
#define vm_unmap_ram			vmapcache_either_vm_unmap_ram
#define vm_unmap_aliases		vmapcache_dropin_vm_unmap_aliases
#define remap_vmalloc_range		vmapcache_dropin_remap
#define remap_vmalloc_range_partial	vmapcache_dropin_remap_partial

/* kvmalloc() */

#undef kvmalloc
#undef kvmalloc_noprof
#undef kvmalloc_node
#undef kvmalloc_node_noprof
#undef kvmalloc_node_align
#undef kvmalloc_node_align_noprof
#undef kvzalloc
#undef kvzalloc_noprof
#undef kvzalloc_node
#undef kvzalloc_node_noprof
#undef kvmalloc_array
#undef kvmalloc_array_noprof
#undef kvmalloc_array_node
#undef kvmalloc_array_node_noprof
#undef kvcalloc
#undef kvcalloc_noprof
#undef kvcalloc_node
#undef kvcalloc_node_noprof
#undef kvrealloc
#undef kvrealloc_noprof
#undef kvrealloc_node
#undef kvrealloc_node_align
#undef kvrealloc_node_align_noprof
#undef kfree_rcu
#undef kvfree_rcu
#undef kfree_rcu_mightsleep
#undef kvfree_rcu_mightsleep

#define kvmalloc(size, gfp)		vmapcache_kvmalloc(size, 1, gfp, NUMA_NO_NODE)
#define kvmalloc_noprof(size, gfp)	kvmalloc(size, gfp)
#define kvmalloc_node(size, gfp, node)	vmapcache_kvmalloc(size, 1, gfp, node)
#define kvmalloc_node_noprof(size, gfp, node)	kvmalloc_node(size, gfp, node)
#define kvmalloc_node_align(size, align, gfp, node)	vmapcache_kvmalloc(size, align, gfp, node)
#define kvmalloc_node_align_noprof	vmapcache_kvmalloc
#define kvzalloc(size, gfp)		kvmalloc(size, (gfp) | __GFP_ZERO)
#define kvzalloc_noprof(size, gfp)	kvzalloc(size, gfp)
#define kvzalloc_node(size, gfp, node)	kvmalloc_node(size, (gfp) | __GFP_ZERO, node)
#define kvzalloc_node_noprof(size, gfp, node)	kvzalloc_node(size, gfp, node)
#define kvmalloc_array_node		vmapcache_dropin_kvmalloc_array
#define kvmalloc_array_node_noprof	vmapcache_dropin_kvmalloc_array
#define kvmalloc_array(n, size, gfp)	kvmalloc_array_node(n, size, gfp, NUMA_NO_NODE)
#define kvmalloc_array_noprof(n, size, gfp)	kvmalloc_array(n, size, gfp)
#define kvcalloc_node(n, size, gfp, node) \
	kvmalloc_array_node(n, size, (gfp) | __GFP_ZERO, node)
#define kvcalloc_node_noprof(n, size, gfp, node)	kvcalloc_node(n, size, gfp, node)
#define kvcalloc(n, size, gfp)		kvcalloc_node(n, size, gfp, NUMA_NO_NODE)
#define kvcalloc_noprof(n, size, gfp)	kvcalloc(n, size, gfp)
#define kvrealloc_node_align		vmapcache_kvrealloc
#define kvrealloc_node_align_noprof	vmapcache_kvrealloc
#define kvrealloc_node(addr, size, gfp, node)	vmapcache_kvrealloc(addr, size, 1, gfp, node)
#define kvrealloc(addr, size, gfp)	kvrealloc_node(addr, size, gfp, NUMA_NO_NODE)
#define kvrealloc_noprof(addr, size, gfp)	kvrealloc(addr, size, gfp)

#define kvfree				vmapcache_kvfree
#define kvfree_atomic			vmapcache_dropin_kvfree_atomic
#define kvfree_sensitive		vmapcache_dropin_kvfree_sensitive
#define __free_kvfree			vmapcache_dropin_free_kvfree
#define __free_kvfree_atomic		vmapcache_dropin_free_kvfree_atomic

#define kvfree_rcu(ptr, field)							\
do {										\
	typeof(ptr) ___p = (ptr);						\
										\
	BUILD_BUG_ON(offsetof(typeof(*(ptr)), field) >= 4096);			\
	if (___p && vmapcache_owns(___p))					\
		vmapcache_vfree_rcu(___p, &___p->field);			\
	else if (___p)								\
		vmapcache_dropin_rcu_in_tree(&___p->field, (void *)___p);	\
} while (0)
#define kfree_rcu			kvfree_rcu

#define kvfree_rcu_mightsleep(ptr)						\
do {										\
	typeof(ptr) ___p = (ptr);						\
										\
	if (___p && vmapcache_owns(___p)) {					\
		synchronize_rcu();						\
		vmapcache_vfree(___p);						\
	} else if (___p) {							\
		vmapcache_dropin_rcu_in_tree(NULL, (void *)___p);		\
	}									\
} while (0)
#define kfree_rcu_mightsleep		kvfree_rcu_mightsleep

/* vmapcache cannot serve these */

#define VMAPCACHE_DROPIN_CANNOT(name, why) \
	void *vmapcache_dropin_cannot_##name(void) __compiletime_error(why)

VMAPCACHE_DROPIN_CANNOT(vm_struct, "vmapcache: its areas have no struct vm_struct");
VMAPCACHE_DROPIN_CANNOT(place, "vmapcache: it places areas in its arena alone");
VMAPCACHE_DROPIN_CANNOT(page_tables, "vmapcache: map pages with vmap()");
VMAPCACHE_DROPIN_CANNOT(perms, "vmapcache: it does not reset permissions of the direct map");

#undef __vmalloc_node_range
#undef __vmalloc_node_range_noprof
#define __vmalloc_node_range(...)	vmapcache_dropin_cannot_place()
#define __vmalloc_node_range_noprof(...)	vmapcache_dropin_cannot_place()
#define get_vm_area(...)		((struct vm_struct *)vmapcache_dropin_cannot_vm_struct())
#define get_vm_area_caller(...)		((struct vm_struct *)vmapcache_dropin_cannot_vm_struct())
#define __get_vm_area_caller(...)	((struct vm_struct *)vmapcache_dropin_cannot_vm_struct())
#define free_vm_area(...)		((void)vmapcache_dropin_cannot_vm_struct())
#define remove_vm_area(...)		((struct vm_struct *)vmapcache_dropin_cannot_vm_struct())
#define find_vm_area(...)		((struct vm_struct *)vmapcache_dropin_cannot_vm_struct())
#define find_vmap_area(...)		((struct vmap_area *)vmapcache_dropin_cannot_vm_struct())
#define vmap_pages_range(...)		((long)vmapcache_dropin_cannot_page_tables())
#define vm_area_map_pages(...)		((long)vmapcache_dropin_cannot_page_tables())
#define vm_area_unmap_pages(...)	((void)vmapcache_dropin_cannot_page_tables())
#define set_vm_flush_reset_perms(...)	((void)vmapcache_dropin_cannot_perms())

#endif /* VMAPCACHE_DROPIN_H */
