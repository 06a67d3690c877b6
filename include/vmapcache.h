/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vmapcache: kernel virtual address ranges, beside the in-tree allocator.
 *
 * Each function means what its in-tree namesake means: same arguments, same
 * failure values, same contexts. An area that these functions allocate must be freed
 * by these functions. There is no struct vm_struct: callers know an area by its
 * address.
 *
 * If a file defines VMAPCACHE_DROPIN before it includes this header, the in-tree names
 * mean vmapcache's in the rest of the file (see vmapcache_dropin.h), so that a driver
 * builds against it unchanged: `-DVMAPCACHE_DROPIN -include vmapcache.h`.
 *
 * With guards (Documentation/guards.rst) kvfree(), kvfree_rcu() and the in-tree vfree() free
 * an area as well. Without them (guards=off, or a kernel that cannot have them) never pass
 * an area to a function of the kernel that frees it: it would unmap all areas.
 */
#ifndef VMAPCACHE_H
#define VMAPCACHE_H

#ifdef __BINDGEN__
/* bindgen reads this header alone; Rust has the kernel's struct page and pgprot_t. */
#define bool _Bool
#define __alloc_size(...)
#define __realloc_size(...)
#define __must_check
#define gfp_t unsigned int
#define size_t unsigned long
#define u32 unsigned int
#define u64 unsigned long long
struct page;
struct vm_area_struct;
struct pgprot_t {
	unsigned long pgprot;
};
#define pgprot_t struct pgprot_t
#else
#include <linux/gfp.h>
#include <linux/mm_types.h>
#include <linux/numa.h>
#include <linux/types.h>
#include <linux/vmalloc.h>
#endif

void *vmapcache_vmalloc(unsigned long size) __alloc_size(1);
void *vmapcache_vzalloc(unsigned long size) __alloc_size(1);
void *vmapcache_vmalloc_node(unsigned long size, int node) __alloc_size(1);
void *vmapcache_vmalloc_gfp(unsigned long size, gfp_t gfp) __alloc_size(1);
void *vmapcache_vmalloc_aligned(unsigned long size, unsigned long align, gfp_t gfp,
				int node, const void *caller) __alloc_size(1);
void *vmapcache_vmalloc_huge_node(unsigned long size, gfp_t gfp, int node) __alloc_size(1);
void *vmapcache_vmalloc_user(unsigned long size) __alloc_size(1);
void *vmapcache_vmalloc_32(unsigned long size) __alloc_size(1);
void *vmapcache_vmalloc_32_user(unsigned long size) __alloc_size(1);
void *__must_check vmapcache_vrealloc(const void *addr, size_t size, gfp_t gfp)
	__realloc_size(2);
void *__must_check vmapcache_vrealloc_node_align(const void *addr, size_t size,
						 unsigned long align, gfp_t gfp, int node)
	__realloc_size(2);
void vmapcache_vfree(const void *addr);
void vmapcache_vfree_atomic(const void *addr);
void vmapcache_vfree_sync(const void *addr);

void *vmapcache_vmap(struct page **pages, unsigned int count, unsigned long flags,
		     pgprot_t prot);
void vmapcache_vunmap(const void *addr);
void *vmapcache_vm_map_ram(struct page **pages, unsigned int count, int node);
void vmapcache_vm_unmap_ram(const void *mem, unsigned int count);
void vmapcache_vm_unmap_aliases(void);

void *vmapcache_get_vm_area(unsigned long size, unsigned long flags);
void *vmapcache_get_vm_area_aligned(unsigned long size, unsigned long align,
				    unsigned long flags, const void *caller);
void vmapcache_free_vm_area(const void *addr);
void *vmapcache_find_vm_area(const void *addr, size_t *size);

bool vmapcache_owns(const void *addr);
int vmapcache_remap_vmalloc_range_partial(struct vm_area_struct *vma, unsigned long uaddr,
					  void *kaddr, unsigned long pgoff,
					  unsigned long size);

void vmapcache_either_vfree(const void *addr);
void vmapcache_either_vfree_atomic(const void *addr);
void vmapcache_either_vunmap(const void *addr);
void vmapcache_either_vm_unmap_ram(const void *mem, unsigned int count);
void *vmapcache_kvmalloc(size_t size, unsigned long align, gfp_t gfp, int node)
	__alloc_size(1);
void *__must_check vmapcache_kvrealloc(const void *addr, size_t size, unsigned long align,
				       gfp_t gfp, int node) __realloc_size(2);
void vmapcache_kvfree(const void *addr);
void vmapcache_vfree_rcu(const void *addr, void *head);

void vmapcache_purge(void);
void vmapcache_drain(void);
int vmapcache_counter(const char *name, u64 *value);
int vmapcache_get_switch(const char *name, u32 *value);
int vmapcache_set_switch(const char *name, u32 value);

/**
 * struct vmapcache_pin - a pin that its owner holds
 * @word: for vmapcache; 0 if this is no pin
 *
 * vmapcache_unpin() spends it. Do not copy it: vmapcache cannot tell a copy from the pin,
 * and a copy that is given back takes away another pin of the same area, if there is one.
 */
struct vmapcache_pin {
	u64 word;
};

struct vmapcache_pin vmapcache_pin(const void *addr);
void vmapcache_unpin(struct vmapcache_pin *pin);

/**
 * struct vmapcache_area - what vmapcache_walk() shows of an area
 * @addr: its start
 * @size: bytes, without the guard page
 * @caller: the code that asked for it
 * @pins: pins held
 */
struct vmapcache_area {
	const void *addr;
	size_t size;
	const void *caller;
	unsigned int pins;
};

void vmapcache_walk(const void *from,
		    bool (*visit)(const struct vmapcache_area *area, void *arg), void *arg);

#endif /* VMAPCACHE_H */

/* Also if this header was included before without it. */
#if defined(VMAPCACHE_DROPIN) && !defined(__BINDGEN__)
#include <vmapcache_dropin.h>
#endif
