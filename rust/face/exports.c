// SPDX-License-Identifier: GPL-2.0
/*
 * The exported functions: they check contexts and correct flags. rust/face/allocator.rs
 * does the work.
 *
 * Arguments, failure values and contexts follow mm/vmalloc.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/export.h>
#include <linux/atomic.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/once_lite.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/shm.h>
#include <linux/string.h>

#include <vmapcache.h>

#include "context.h"
#include "exports.h"
#include "face.h"
#include "pages.h"
#include "shadow.h"

/* The word of a pin that was given back: no area has this number. */
#define PIN_SPENT	U64_MAX

/* Under KASAN: poisons the bytes of the last page that the caller did not ask for. */
static void *limit(void *addr, unsigned long size)
{
	if (IS_ENABLED(CONFIG_KASAN) && addr)
		shadow_open((unsigned long)addr, size, PAGE_ALIGN(size));
	return addr;
}

/* Not inlined: a name takes a kilobyte of stack. */
static noinline void say_left_out(gfp_t wrong, unsigned long caller)
{
	char name[VC_SYMBOL_NAME];

	pr_warn("flags %pGg are left out, for %s\n", &wrong, vc_code_name(caller, name));
}

static noinline void say_not_for_addresses(unsigned long wrong, unsigned long caller)
{
	char name[VC_SYMBOL_NAME];

	pr_warn("flags %#lx are not for address space alone, for %s\n", wrong,
		vc_code_name(caller, name));
}

/* Leaves out the flags that mm/vmalloc.c does not support, @more excepted. */
static gfp_t supported(gfp_t gfp, gfp_t more, unsigned long caller)
{
	gfp_t wrong = gfp & ~(VC_GFP_SUPPORTED | more);

	if (unlikely(wrong))
		DO_ONCE_LITE(say_left_out, wrong, caller);
	return gfp & ~wrong;
}

/* Tells those who trace of a request that Rust does not see. Inline, its stack would be each caller's. */
static noinline void trace_refusal(const char *reason, unsigned long size, unsigned long align,
				   enum vc_use use, gfp_t gfp, unsigned long caller)
{
	const struct vc_failure failure = {
		.reason = reason,
		.size = size,
		.align = align,
		.caller = caller,
		.gfp = gfp,
	};

	vc_trace_fail(&failure, use, -EINVAL);
}

/*
 * The locks below are not for interrupts, and with PREEMPT_RT memory is not to be had with preemption
 * off. The in-tree allocator stops the machine in hard interrupts and NMIs; vmapcache refuses, in
 * softirqs too.
 */
static noinline bool refuse_interrupt(unsigned long size, enum vc_use use, unsigned long caller)
{
	WARN_ONCE(1, "vmapcache: allocation %s, for %pS; it fails\n", vc_place(), (void *)caller);
	trace_refusal(vc_place(), size, 1, use, 0, caller);
	return true;
}

static __always_inline bool in_wrong_context(unsigned long size, enum vc_use use,
					     unsigned long caller)
{
	return unlikely(vc_is_atomic()) && refuse_interrupt(size, use, caller);
}

static bool may_be_huge(unsigned long size, gfp_t gfp)
{
	return size >= PMD_SIZE && gfpflags_allow_blocking(gfp) && vc_huge_allowed();
}

/*
 * Rust allocates bookkeeping with GFP_KERNEL. If the caller must not enter the
 * filesystem or I/O, the task's memalloc scope prevents it.
 */
static void *vmalloc_scoped(unsigned long size, unsigned long align, gfp_t gfp,
			    unsigned int how, int node, unsigned long caller)
{
	unsigned int scope = 0;
	void *addr;

	if (in_wrong_context(size, VC_USE_VMALLOC, caller))
		return NULL;
	might_alloc(gfp);
	if (gfp & __GFP_NOWARN)
		how |= VC_QUIET;
	if (gfp & (__GFP_NORETRY | __GFP_RETRY_MAYFAIL))
		how |= VC_GENTLE;
	if (how & VC_HUGE && !may_be_huge(size, gfp))
		how &= ~VC_HUGE;
	if (gfpflags_allow_blocking(gfp)) {
		how |= VC_MAY_SLEEP;
		if (gfp & __GFP_NOFAIL)
			how |= VC_NOFAIL;
		if (!(gfp & __GFP_FS))
			scope = gfp & __GFP_IO ? memalloc_nofs_save() : memalloc_noio_save();
	}
	addr = vc_rs_vmalloc(size, align, gfp, how, node, caller);
	if (scope)
		memalloc_flags_restore(scope);
	return limit(addr, size);
}

/**
 * vmapcache_vmalloc() - allocate virtually contiguous memory
 * @size: bytes
 *
 * Context: Task context, may sleep.
 * Return: the memory, page-aligned and followed by an unmapped guard page, or %NULL.
 */
void *vmapcache_vmalloc(unsigned long size)
{
	if (in_wrong_context(size, VC_USE_VMALLOC, _RET_IP_))
		return NULL;
	might_sleep();
	return limit(vc_rs_vmalloc(size, 1, GFP_KERNEL, VC_MAY_SLEEP, NUMA_NO_NODE, _RET_IP_),
		     size);
}
EXPORT_SYMBOL_GPL(vmapcache_vmalloc);

/**
 * vmapcache_vzalloc() - allocate virtually contiguous memory, zeroed
 * @size: bytes
 *
 * Context: Task context, may sleep.
 * Return: the memory, or %NULL.
 */
void *vmapcache_vzalloc(unsigned long size)
{
	if (in_wrong_context(size, VC_USE_VMALLOC, _RET_IP_))
		return NULL;
	might_sleep();
	return limit(vc_rs_vmalloc(size, 1, GFP_KERNEL | __GFP_ZERO, VC_MAY_SLEEP,
				   NUMA_NO_NODE, _RET_IP_), size);
}
EXPORT_SYMBOL_GPL(vmapcache_vzalloc);

/**
 * vmapcache_vmalloc_node() - allocate virtually contiguous memory on a node
 * @size: bytes
 * @node: NUMA node, or %NUMA_NO_NODE
 *
 * Context: Task context, may sleep.
 * Return: the memory, or %NULL.
 */
void *vmapcache_vmalloc_node(unsigned long size, int node)
{
	if (in_wrong_context(size, VC_USE_VMALLOC, _RET_IP_))
		return NULL;
	might_sleep();
	return limit(vc_rs_vmalloc(size, 1, GFP_KERNEL, VC_MAY_SLEEP, node, _RET_IP_), size);
}
EXPORT_SYMBOL_GPL(vmapcache_vmalloc_node);

/**
 * vmapcache_vmalloc_gfp() - allocate virtually contiguous memory, as __vmalloc()
 * @size: bytes
 * @gfp: as for __vmalloc(): GFP_KERNEL, GFP_NOFS, GFP_NOIO, GFP_ATOMIC or GFP_NOWAIT,
 *	 with %__GFP_ZERO, %__GFP_NOWARN, %__GFP_NORETRY, %__GFP_RETRY_MAYFAIL,
 *	 %__GFP_NOFAIL; flags that __vmalloc() does not support have no effect
 *
 * Context: Task context; may sleep if @gfp allows it.
 * Return: the memory, or %NULL.
 */
void *vmapcache_vmalloc_gfp(unsigned long size, gfp_t gfp)
{
	return vmalloc_scoped(size, 1, supported(gfp, 0, _RET_IP_), 0, NUMA_NO_NODE, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_vmalloc_gfp);

/**
 * vmapcache_vmalloc_aligned() - allocate aligned memory, as __vmalloc_node()
 * @size: bytes
 * @align: alignment in bytes, a power of two
 * @gfp: as for vmapcache_vmalloc_gfp()
 * @node: NUMA node, or %NUMA_NO_NODE
 * @caller: to whom the area is accounted; %NULL for the calling function
 *
 * Context: Task context; may sleep if @gfp allows it.
 * Return: the memory, or %NULL.
 */
void *vmapcache_vmalloc_aligned(unsigned long size, unsigned long align, gfp_t gfp,
				int node, const void *caller)
{
	unsigned long who = caller ? (unsigned long)caller : _RET_IP_;

	return vmalloc_scoped(size, align, supported(gfp, 0, who), 0, node, who);
}
EXPORT_SYMBOL_GPL(vmapcache_vmalloc_aligned);

/**
 * vmapcache_vmalloc_huge_node() - allocate memory that huge pages may map, as vmalloc_huge_node()
 * @size: bytes
 * @gfp: as for vmapcache_vmalloc_gfp()
 * @node: NUMA node, or %NUMA_NO_NODE
 *
 * From the size of a PMD on, and if @gfp allows sleeping, the area begins at such an address, and each
 * part of it whose memory the page allocator has in one piece is mapped by one PMD. The rest is mapped
 * page by page. It has as many pages as @size needs, and each is freed by itself. set_memory_ro() and
 * its like may split a huge page. The kernel's parameter nohugevmalloc holds here, too.
 *
 * Context: Task context; may sleep if @gfp allows it.
 * Return: the memory, or %NULL.
 */
void *vmapcache_vmalloc_huge_node(unsigned long size, gfp_t gfp, int node)
{
	return vmalloc_scoped(size, 1, supported(gfp, 0, _RET_IP_), VC_HUGE, node, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_vmalloc_huge_node);

/**
 * vmapcache_vmalloc_user() - allocate memory for user space, as vmalloc_user()
 * @size: bytes
 *
 * The memory is zeroed, and vmapcache_remap_vmalloc_range_partial() accepts it.
 *
 * Context: Task context, may sleep.
 * Return: the memory, or %NULL.
 */
void *vmapcache_vmalloc_user(unsigned long size)
{
	return vmalloc_scoped(size, SHMLBA, GFP_KERNEL | __GFP_ZERO, VC_USER, NUMA_NO_NODE,
			      _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_vmalloc_user);

/* As in mm/vmalloc.c: the zone whose pages have addresses of 32 bits. */
#if defined(CONFIG_64BIT) && !defined(CONFIG_ZONE_DMA32) && defined(CONFIG_ZONE_DMA)
#define GFP_32	(GFP_DMA | GFP_KERNEL)
#else
#define GFP_32	(GFP_DMA32 | GFP_KERNEL)
#endif

/**
 * vmapcache_vmalloc_32() - allocate memory with physical addresses of 32 bits
 * @size: bytes
 *
 * Context: Task context, may sleep.
 * Return: the memory, or %NULL.
 */
void *vmapcache_vmalloc_32(unsigned long size)
{
	return vmalloc_scoped(size, 1, GFP_32, 0, NUMA_NO_NODE, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_vmalloc_32);

/**
 * vmapcache_vmalloc_32_user() - as vmapcache_vmalloc_32() and vmapcache_vmalloc_user()
 * @size: bytes
 *
 * Context: Task context, may sleep.
 * Return: the memory, or %NULL.
 */
void *vmapcache_vmalloc_32_user(unsigned long size)
{
	return vmalloc_scoped(size, SHMLBA, GFP_32 | __GFP_ZERO, VC_USER, NUMA_NO_NODE,
			      _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_vmalloc_32_user);

static __always_inline void vfree_for(const void *addr, const char *function, unsigned long caller)
{
	bool atomic = vc_must_defer();

	if (!atomic)
		might_sleep();
	else if (VC_REFUSE_NMI(function, caller))
		return;
	if (addr)
		vc_rs_free((unsigned long)addr, atomic, caller);
}

/* As vmapcache_vmalloc_aligned(), with more of enum vc_how. */
void *vc_vmalloc(unsigned long size, unsigned long align, gfp_t gfp, unsigned int how, int node,
		 unsigned long caller)
{
	return vmalloc_scoped(size, align, supported(gfp, 0, caller), how, node, caller);
}

/* As vmapcache_vrealloc_node_align(), for @caller. */
void *vc_vrealloc(const void *addr, size_t size, unsigned long align, gfp_t gfp,
		  int node, unsigned long caller)
{
	unsigned long old;
	void *new;

	if (!size) {
		vfree_for(addr, "vrealloc", caller);
		return NULL;
	}
	if (in_wrong_context(size, VC_USE_VMALLOC, caller))
		return NULL;
	gfp = supported(gfp, __GFP_THISNODE, caller);
	if (!addr)
		return vmalloc_scoped(size, align, gfp, 0, node, caller);

	old = vc_rs_present((unsigned long)addr);
	if (!old) {
		vc_report_misuse(VC_MISUSE_NO_AREA, (unsigned long)addr, caller);
		trace_refusal("no area to resize", size, align, VC_USE_VMALLOC, gfp, caller);
		return NULL;
	}
	if (align > PAGE_SIZE && !IS_ALIGNED((unsigned long)addr, align)) {
		pr_warn_once("vrealloc() to an alignment of %#lx that the area does not have, for %pS\n",
			     align, (void *)caller);
		trace_refusal("an alignment that the area does not have", size, align,
			      VC_USE_VMALLOC, gfp, caller);
		return NULL;
	}
	if (size <= old && !(gfp & __GFP_THISNODE && node != NUMA_NO_NODE &&
			     node != page_to_nid(vmalloc_to_page(addr)))) {
		shadow_open((unsigned long)addr, old, old);
		/* As in-tree: kmemleak allocates memory for it, with GFP_KERNEL. */
		if (PAGE_ALIGN(size) < old && gfp_has_io_fs(gfp) && gfpflags_allow_blocking(gfp)) {
			vc_rs_shrink_area((unsigned long)addr, size, gfp, caller);
			old = vc_rs_present((unsigned long)addr);
		}
		/*
		 * A later call may ask for the other bytes again. Nobody remembers how many the
		 * caller had: this clears all that are there.
		 */
		if (want_init_on_free() || want_init_on_alloc(gfp))
			memset((void *)addr + size, 0, old - size);
		shadow_open((unsigned long)addr, size, old);
		return (void *)addr;
	}
	new = vmalloc_scoped(size, align, gfp, 0, node, caller);
	if (!new)
		return NULL;
	/* Whole pages, see above. */
	shadow_open((unsigned long)addr, old, old);
	shadow_open((unsigned long)new, PAGE_ALIGN(size), PAGE_ALIGN(size));
	memcpy(new, addr, min(PAGE_ALIGN(size), old));
	vfree_for(addr, "vrealloc", caller);
	return limit(new, size);
}

/**
 * vmapcache_vrealloc() - change the size of an allocation, as vrealloc()
 * @addr: what vmapcache_vmalloc() and its like returned, or %NULL
 * @size: new size in bytes; 0 frees
 * @gfp: for new memory; with %__GFP_ZERO, in this and all earlier calls, added bytes
 *	 are zero; they always are if the kernel clears memory when it allocates or frees it
 *
 * A smaller size gives back the pages that it does not need, if @gfp allows to wait, to
 * enter filesystems and to do I/O, and if nobody else holds a pin. The area keeps its
 * addresses. A task that pins the area during the call may find these pages gone.
 *
 * Context: Task context; may sleep if @gfp allows it.
 * Return: the memory, perhaps moved, or %NULL, and then @addr is unchanged.
 */
void *vmapcache_vrealloc(const void *addr, size_t size, gfp_t gfp)
{
	return vc_vrealloc(addr, size, 1, gfp, NUMA_NO_NODE, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_vrealloc);

/**
 * vmapcache_vrealloc_node_align() - as vmapcache_vrealloc(), with alignment and node
 * @addr: as for vmapcache_vrealloc()
 * @size: as for vmapcache_vrealloc()
 * @align: alignment in bytes; the area must have it already
 * @gfp: as for vmapcache_vrealloc(); with %__GFP_THISNODE memory on another node than
 *	 @node moves
 * @node: NUMA node for new memory, or %NUMA_NO_NODE
 *
 * Context: Task context; may sleep if @gfp allows it.
 * Return: the memory, perhaps moved, or %NULL, and then @addr is unchanged.
 */
void *vmapcache_vrealloc_node_align(const void *addr, size_t size, unsigned long align,
				    gfp_t gfp, int node)
{
	return vc_vrealloc(addr, size, align, gfp, node, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_vrealloc_node_align);

/**
 * vmapcache_vfree() - free memory
 * @addr: what an allocation returned, or %NULL; anything else is reported,
 *	  counted, and has no effect
 *
 * If the area is pinned, the last vmapcache_unpin() frees it.
 *
 * Context: Any but NMI. May sleep, except in interrupts or with interrupts off:
 * there it leaves the work to a work item.
 */
void vmapcache_vfree(const void *addr)
{
	vfree_for(addr, __func__, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_vfree);

/**
 * vmapcache_vfree_atomic() - free memory without sleeping
 * @addr: as for vmapcache_vfree()
 *
 * Context: Any but NMI.
 */
void vmapcache_vfree_atomic(const void *addr)
{
	if (addr && !VC_REFUSE_NMI(__func__, _RET_IP_))
		vc_rs_free((unsigned long)addr, true, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_vfree_atomic);

/**
 * vmapcache_vfree_sync() - free memory and wait for its pins
 * @addr: as for vmapcache_vfree()
 *
 * When this returns, the area has no pin left. A caller that holds a pin itself waits
 * forever.
 *
 * Context: Task context, sleeps.
 */
void vmapcache_vfree_sync(const void *addr)
{
	if (VC_REFUSE_INTERRUPT(__func__, _RET_IP_))
		return;
	might_sleep();
	if (addr)
		vc_rs_free_sync((unsigned long)addr, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_vfree_sync);

/**
 * vmapcache_vmap() - map pages into virtually contiguous space
 * @pages: the pages
 * @count: how many
 * @flags: %VM_MAP; with %VM_MAP_PUT_PAGES vmapcache_vfree() gives up the array
 *	   (kmalloc'ed or vmalloc'ed, in-tree or here) and a reference to each page;
 *	   vmapcache_remap_vmalloc_range_partial() accepts the area with %VM_USERMAP
 * @prot: protection of the mapping
 *
 * Context: Task context, may sleep.
 * Return: the area, or %NULL.
 */
void *vmapcache_vmap(struct page **pages, unsigned int count, unsigned long flags,
		     pgprot_t prot)
{
	unsigned int how = 0;

	if (in_wrong_context((unsigned long)count << PAGE_SHIFT, VC_USE_VMAP, _RET_IP_))
		return NULL;
	might_sleep();
	if (flags & VM_FLUSH_RESET_PERMS) {
		pr_warn_once("VM_FLUSH_RESET_PERMS is not for vmap(), for %pS\n",
			     (void *)_RET_IP_);
		trace_refusal("flags that are not for vmap()", (unsigned long)count << PAGE_SHIFT,
			      1, VC_USE_VMAP, GFP_KERNEL, _RET_IP_);
		return NULL;
	}
	if (flags & VM_MAP_PUT_PAGES)
		how |= VC_PUT_PAGES;
	if (flags & VM_USERMAP)
		how |= VC_USER;
	return vc_rs_vmap(pages, count, how, pgprot_val(prot), GFP_KERNEL, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_vmap);

/**
 * vmapcache_vunmap() - undo vmapcache_vmap()
 * @addr: what it returned, or %NULL
 *
 * The pages stay with the caller, and so does their array.
 *
 * Context: Task context, may sleep.
 */
void vmapcache_vunmap(const void *addr)
{
	if (VC_REFUSE_INTERRUPT(__func__, _RET_IP_))
		return;
	might_sleep();
	if (addr)
		vc_rs_vunmap((unsigned long)addr, false, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_vunmap);

/**
 * vmapcache_vm_map_ram() - map pages for a short time
 * @pages: the pages
 * @count: how many
 * @node: without effect: vmapcache does not place bookkeeping by node
 *
 * Context: Task context, may sleep.
 * Return: the mapping, or %NULL.
 */
void *vmapcache_vm_map_ram(struct page **pages, unsigned int count, int node)
{
	if (in_wrong_context((unsigned long)count << PAGE_SHIFT, VC_USE_RAM, _RET_IP_))
		return NULL;
	might_sleep();
	return vc_rs_vm_map_ram(pages, count, pgprot_val(PAGE_KERNEL), GFP_KERNEL, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_vm_map_ram);

/**
 * vmapcache_vm_unmap_ram() - undo vmapcache_vm_map_ram()
 * @mem: what it returned
 * @count: as it was given
 *
 * Context: Task context, may sleep.
 */
void vmapcache_vm_unmap_ram(const void *mem, unsigned int count)
{
	if (VC_REFUSE_INTERRUPT(__func__, _RET_IP_))
		return;
	might_sleep();
	vc_rs_vm_unmap_ram((unsigned long)mem, count, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_vm_unmap_ram);

/**
 * vmapcache_vm_unmap_aliases() - flush the TLB for all freed areas
 *
 * Nothing happens if a flush has done so since the last area was freed.
 *
 * Context: Task context, may sleep.
 */
void vmapcache_vm_unmap_aliases(void)
{
	if (VC_REFUSE_INTERRUPT(__func__, _RET_IP_))
		return;
	might_sleep();
	vc_rs_unmap_aliases();
}
EXPORT_SYMBOL_GPL(vmapcache_vm_unmap_aliases);

static void *get_vm_area_flagged(unsigned long size, unsigned long align, unsigned long flags,
				 unsigned long caller)
{
	if (in_wrong_context(size, VC_USE_ADDRESSES, caller))
		return NULL;
	might_sleep();
	if (unlikely(flags & ~VM_MAP)) {
		DO_ONCE_LITE(say_not_for_addresses, flags & ~VM_MAP, caller);
		trace_refusal("flags that are not for address space alone", size, align,
			      VC_USE_ADDRESSES, GFP_KERNEL, caller);
		return NULL;
	}
	return vc_rs_get_area(size, align, GFP_KERNEL, caller);
}

/**
 * vmapcache_get_vm_area() - address space alone, as get_vm_area()
 * @size: bytes, rounded up to pages
 * @flags: %VM_MAP
 *
 * Nothing is mapped there when this returns. The caller may map something, and must
 * unmap it before it frees the area.
 *
 * Context: Task context, may sleep.
 * Return: the first address, or %NULL.
 */
void *vmapcache_get_vm_area(unsigned long size, unsigned long flags)
{
	return get_vm_area_flagged(size, 1, flags, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_get_vm_area);

/**
 * vmapcache_get_vm_area_aligned() - aligned address space, as __get_vm_area_node()
 * @size: bytes, rounded up to pages
 * @align: alignment in bytes, a power of two
 * @flags: %VM_MAP
 * @caller: to whom the area is accounted; %NULL for the calling function
 *
 * As vmapcache_get_vm_area().
 *
 * Context: Task context, may sleep.
 * Return: the first address, or %NULL.
 */
void *vmapcache_get_vm_area_aligned(unsigned long size, unsigned long align,
				    unsigned long flags, const void *caller)
{
	return get_vm_area_flagged(size, align, flags,
				   caller ? (unsigned long)caller : _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_get_vm_area_aligned);

/**
 * vmapcache_free_vm_area() - give address space back
 * @addr: what vmapcache_get_vm_area() returned, or %NULL; anything else is reported,
 *	  counted, and has no effect
 *
 * Unlike free_vm_area() this clears no page tables: the caller has unmapped what it
 * mapped. vmapcache hands the addresses out again after a TLB flush that begins later.
 *
 * Context: Task context, may sleep.
 */
void vmapcache_free_vm_area(const void *addr)
{
	if (VC_REFUSE_INTERRUPT(__func__, _RET_IP_))
		return;
	might_sleep();
	if (addr)
		vc_rs_free((unsigned long)addr, false, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_free_vm_area);

/**
 * vmapcache_find_vm_area() - the area that holds an address, as find_vm_area()
 * @addr: any address
 * @size: set to the bytes of the area, its guard page not counted, if there is one;
 *	  may be %NULL
 *
 * The area may be gone when this returns, unless something else keeps it: see
 * vmapcache_pin(). A guard page is in no area.
 *
 * Context: Any.
 * Return: the area's first address, or %NULL.
 */
void *vmapcache_find_vm_area(const void *addr, size_t *size)
{
	return vc_rs_find_area((unsigned long)addr, size);
}
EXPORT_SYMBOL_GPL(vmapcache_find_vm_area);

/**
 * vmapcache_owns() - whether an address is in the arena
 * @addr: any address
 *
 * Context: Any.
 */
bool vmapcache_owns(const void *addr)
{
	return vc_rs_owns((unsigned long)addr);
}
EXPORT_SYMBOL_GPL(vmapcache_owns);

/* Maps the pages at @kaddr to user space. @uaddr and @size are multiples of a page. */
int vc_map_to_user(struct vm_area_struct *vma, unsigned long uaddr, void *kaddr,
		   unsigned long size)
{
	unsigned long done;
	int err;

	for (done = 0; done < size; done += PAGE_SIZE) {
		err = vm_insert_page(vma, uaddr + done, vmalloc_to_page(kaddr + done));
		if (err)
			return err;
	}
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	return 0;
}

/**
 * vmapcache_remap_vmalloc_range_partial() - map memory to user space
 * @vma: where to
 * @uaddr: first address in @vma
 * @kaddr: what vmapcache_vmalloc_user() or its like returned, or vmapcache_vmap() with
 *	   %VM_USERMAP
 * @pgoff: pages of it to leave out
 * @size: bytes
 *
 * As remap_vmalloc_range_partial().
 *
 * Context: Task context, may sleep. The caller holds the mmap lock.
 * Return: 0 or an error.
 */
int vmapcache_remap_vmalloc_range_partial(struct vm_area_struct *vma, unsigned long uaddr,
					  void *kaddr, unsigned long pgoff,
					  unsigned long size)
{
	unsigned long off, end;
	size_t area_size;
	int err = -EINVAL;
	struct vmapcache_pin pin;

	if (VC_REFUSE_INTERRUPT(__func__, _RET_IP_))
		return -EINVAL;
	if (check_shl_overflow(pgoff, PAGE_SHIFT, &off) || size > ULONG_MAX - PAGE_SIZE)
		return -EINVAL;
	size = PAGE_ALIGN(size);
	if (!PAGE_ALIGNED(uaddr) || check_add_overflow(size, off, &end))
		return -EINVAL;
	pin = vmapcache_pin(kaddr);
	if (vc_rs_find_user_area((unsigned long)kaddr, &area_size) == kaddr && end <= area_size)
		err = vc_map_to_user(vma, uaddr, kaddr + off, size);
	vmapcache_unpin(&pin);
	return err;
}
EXPORT_SYMBOL_GPL(vmapcache_remap_vmalloc_range_partial);

/**
 * vmapcache_purge() - make all lazy areas clean
 *
 * As vmapcache_vm_unmap_aliases(); lazy areas are stock or free space when this returns.
 *
 * Context: Task context, sleeps.
 */
void vmapcache_purge(void)
{
	if (VC_REFUSE_INTERRUPT(__func__, _RET_IP_))
		return;
	might_sleep();
	vc_rs_purge_all(false);
}
EXPORT_SYMBOL_GPL(vmapcache_purge);

/**
 * vmapcache_drain() - as vmapcache_purge(), and dissolve all stock
 *
 * Context: Task context, sleeps.
 */
void vmapcache_drain(void)
{
	if (VC_REFUSE_INTERRUPT(__func__, _RET_IP_))
		return;
	might_sleep();
	vc_rs_purge_all(true);
}
EXPORT_SYMBOL_GPL(vmapcache_drain);

/**
 * vmapcache_counter() - read a counter
 * @name: as in debugfs `stats`
 * @value: set to it, if there is one of that name
 *
 * Context: Any. Adds up what each CPU has counted for itself.
 * Return: 0, or -ENOENT.
 */
int vmapcache_counter(const char *name, u64 *value)
{
	return vc_rs_counter(name, value) ? 0 : -ENOENT;
}
EXPORT_SYMBOL_GPL(vmapcache_counter);

/**
 * vmapcache_get_switch() - read a switch
 * @name: as in debugfs `switches/`, or "lazy_max_pages"
 * @value: set to it, if there is one of that name
 *
 * Context: Any.
 * Return: 0, or -ENOENT.
 */
int vmapcache_get_switch(const char *name, u32 *value)
{
	return vc_rs_get_switch(name, value) ? 0 : -ENOENT;
}
EXPORT_SYMBOL_GPL(vmapcache_get_switch);

/**
 * vmapcache_set_switch() - set a switch, for everybody
 * @name: as for vmapcache_get_switch()
 * @value: 1 or 0; pages for "lazy_max_pages"
 *
 * Context: Task context, may sleep.
 * Return: 0, or -EINVAL if there is no such switch or value.
 */
int vmapcache_set_switch(const char *name, u32 value)
{
	if (VC_REFUSE_INTERRUPT(__func__, _RET_IP_))
		return -EINVAL;
	return vc_rs_set_switch(name, value) ? 0 : -EINVAL;
}
EXPORT_SYMBOL_GPL(vmapcache_set_switch);

/**
 * vmapcache_pin() - keep an area mapped
 * @addr: any address inside it
 *
 * Context: Any.
 * Return: the pin, for vmapcache_unpin(); its word is 0 if there is no area.
 */
struct vmapcache_pin vmapcache_pin(const void *addr)
{
	return (struct vmapcache_pin){ .word = vc_rs_pin((unsigned long)addr) };
}
EXPORT_SYMBOL_GPL(vmapcache_pin);

/**
 * vmapcache_unpin() - give a pin back
 * @pin: what vmapcache_pin() returned, or no pin; a pin that was given back is reported,
 *	 and has no effect
 *
 * If the area was freed meanwhile and this is its last pin, this finishes the free; in
 * atomic context a work item does.
 *
 * Context: Any but NMI.
 */
void vmapcache_unpin(struct vmapcache_pin *pin)
{
	bool atomic = !vc_may_sleep();
	u64 word;

	if (!READ_ONCE(pin->word) || (atomic && VC_REFUSE_NMI(__func__, _RET_IP_)))
		return;
	/* Of two tasks that give it back, one has it. */
	word = xchg(&pin->word, PIN_SPENT);
	if (word)
		vc_rs_unpin(word, atomic, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_unpin);

struct visitor {
	bool (*visit)(const struct vmapcache_area *area, void *arg);
	void *arg;
};

/**
 * vc_visit() - call the visitor of vmapcache_walk()
 * @visitor: struct visitor
 * @addr: the area's start
 * @size: its bytes
 * @caller: the code that allocated it
 * @pins: pins held
 *
 * Context: That of vmapcache_walk().
 * Return: whether to go on.
 */
bool vc_visit(void *visitor, unsigned long addr, unsigned long size, unsigned long caller,
	      unsigned int pins)
{
	const struct visitor *v = visitor;
	const struct vmapcache_area area = {
		.addr = (void *)addr,
		.size = size,
		.caller = (void *)caller,
		.pins = pins,
	};

	return v->visit(&area, v->arg);
}

/**
 * vmapcache_walk() - visit areas in ascending order
 * @from: the first address to look at; %NULL for all areas
 * @visit: called for each; returns whether to go on
 * @arg: passed on
 *
 * The walk blocks no allocation and no free, so an area may be gone when @visit sees
 * it: pin it before you use it. @visit sees no area twice.
 *
 * Context: Any, as far as @visit allows.
 */
void vmapcache_walk(const void *from,
		    bool (*visit)(const struct vmapcache_area *area, void *arg), void *arg)
{
	struct visitor visitor = { visit, arg };

	vc_rs_walk((unsigned long)from, &visitor);
}
EXPORT_SYMBOL_GPL(vmapcache_walk);
