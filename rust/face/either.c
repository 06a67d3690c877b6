// SPDX-License-Identifier: GPL-2.0
/*
 * Exported functions for memory that may be of vmapcache, of the in-tree vmalloc(), or of
 * kmalloc(): the kvmalloc() family, and frees after a grace period.
 *
 * Arguments, failure values and contexts follow mm/slub.c and mm/slab_common.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/kasan.h>
#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include <vmapcache.h>

#include "context.h"
#include "exports.h"
#include "face.h"

static __always_inline void vfree_for(const void *addr, const char *function, unsigned long caller)
{
	bool atomic = vc_must_defer();

	if (!atomic)
		might_sleep();
	else if (VC_REFUSE_NMI(function, caller))
		return;
	if (addr && unlikely(!vc_rs_try_free((unsigned long)addr, atomic, caller)))
		vfree(addr);
}

/**
 * vmapcache_either_vfree() - free memory of vmapcache or of vmalloc()
 * @addr: what an allocation returned, or %NULL
 *
 * Context: As for vmapcache_vfree().
 */
void vmapcache_either_vfree(const void *addr)
{
	vfree_for(addr, __func__, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_either_vfree);

/**
 * vmapcache_either_vfree_atomic() - the same without sleeping
 * @addr: as for vmapcache_either_vfree()
 *
 * Context: Any but NMI.
 */
void vmapcache_either_vfree_atomic(const void *addr)
{
	if (!addr || VC_REFUSE_NMI(__func__, _RET_IP_))
		return;
	/* The in-tree vfree_atomic() is not exported. */
	if (!vc_rs_try_free((unsigned long)addr, true, _RET_IP_))
		kvfree_atomic(addr);
}
EXPORT_SYMBOL_GPL(vmapcache_either_vfree_atomic);

/**
 * vmapcache_either_vunmap() - undo vmapcache_vmap() or vmap()
 * @addr: what it returned, or %NULL
 *
 * Context: Task context, may sleep.
 */
void vmapcache_either_vunmap(const void *addr)
{
	if (VC_REFUSE_INTERRUPT(__func__, _RET_IP_))
		return;
	might_sleep();
	if (addr && unlikely(!vc_rs_try_vunmap((unsigned long)addr, _RET_IP_)))
		vunmap(addr);
}
EXPORT_SYMBOL_GPL(vmapcache_either_vunmap);

/**
 * vmapcache_either_vm_unmap_ram() - undo vmapcache_vm_map_ram() or vm_map_ram()
 * @mem: what it returned
 * @count: as it was given
 *
 * Context: Task context, may sleep.
 */
void vmapcache_either_vm_unmap_ram(const void *mem, unsigned int count)
{
	if (VC_REFUSE_INTERRUPT(__func__, _RET_IP_))
		return;
	might_sleep();
	if (vc_rs_owns((unsigned long)mem))
		vc_rs_vm_unmap_ram((unsigned long)mem, count, _RET_IP_);
	else
		vm_unmap_ram(mem, count);
}
EXPORT_SYMBOL_GPL(vmapcache_either_vm_unmap_ram);

/* kvmalloc() tries kmalloc() with these: it must not try hard for neighbouring pages. */
static gfp_t for_kmalloc(gfp_t gfp, size_t size)
{
	if (size <= PAGE_SIZE)
		return gfp;
	gfp |= __GFP_NOWARN;
	if (!(gfp & __GFP_RETRY_MAYFAIL))
		gfp &= ~__GFP_DIRECT_RECLAIM;
	return gfp & ~__GFP_NOFAIL;
}

static void *kvmalloc_for(size_t size, unsigned long align, gfp_t gfp, int node,
			  unsigned long caller)
{
	void *addr = kmalloc_node(size, for_kmalloc(gfp, size), node);

	if (addr || size <= PAGE_SIZE)
		return addr;
	if (unlikely(size > INT_MAX)) {
		WARN_ON_ONCE(!(gfp & __GFP_NOWARN));
		return NULL;
	}
	return vc_vmalloc(size, align, gfp, VC_HUGE, node, caller);
}

/**
 * vmapcache_kvmalloc() - allocate memory from kmalloc(), else virtually contiguous
 * @size: bytes
 * @align: alignment of virtually contiguous memory, in bytes
 * @gfp: as for kvmalloc()
 * @node: NUMA node, or %NUMA_NO_NODE
 *
 * Context: Any but NMI, and with PREEMPT_RT any in which preemption is on, if kmalloc() has the
 *	memory; else task context. May sleep if @gfp allows it.
 * Return: the memory, for vmapcache_kvfree(), or %NULL.
 */
void *vmapcache_kvmalloc(size_t size, unsigned long align, gfp_t gfp, int node)
{
	if (VC_REFUSE_RAW(__func__, _RET_IP_))
		return NULL;
	return kvmalloc_for(size, align, gfp, node, _RET_IP_);
}
EXPORT_SYMBOL_GPL(vmapcache_kvmalloc);

/**
 * vmapcache_kvrealloc() - change the size of an allocation, as kvrealloc_node_align()
 * @addr: memory of vmapcache, vmalloc(), kmalloc() or kvmalloc(), or %NULL
 * @size: new size in bytes
 * @align: alignment in bytes
 * @gfp: for new memory
 * @node: NUMA node, or %NUMA_NO_NODE
 *
 * Context: Task context; may sleep if @gfp allows it.
 * Return: the memory, perhaps moved, or %NULL, and then @addr is unchanged.
 */
void *vmapcache_kvrealloc(const void *addr, size_t size, unsigned long align, gfp_t gfp,
			  int node)
{
	void *new;

	if (VC_REFUSE_RAW(__func__, _RET_IP_))
		return NULL;
	if (vmapcache_owns(addr))
		return vc_vrealloc(addr, size, align, gfp, node, _RET_IP_);
	if (is_vmalloc_addr(addr))
		return vrealloc_node_align(addr, size, align, gfp, node);

	new = krealloc_node_align(addr, size, align, for_kmalloc(gfp, size), node);
	if (new)
		return new;
	new = kvmalloc_for(size, align, gfp, node, _RET_IP_);
	if (new && addr) {
		/* The object's unused end is copied, too. */
		kasan_disable_current();
		memcpy(new, kasan_reset_tag(addr), min(size, ksize(addr)));
		kasan_enable_current();
		kfree(addr);
	}
	return new;
}
EXPORT_SYMBOL_GPL(vmapcache_kvrealloc);

/**
 * vmapcache_kvfree() - free memory, whoever allocated it
 * @addr: memory of vmapcache, vmalloc(), kmalloc() or kvmalloc(), or %NULL
 *
 * Context: As for vmapcache_vfree().
 */
void vmapcache_kvfree(const void *addr)
{
	if (is_vmalloc_addr(addr))
		vfree_for(addr, __func__, _RET_IP_);
	else
		kfree(addr);
}
EXPORT_SYMBOL_GPL(vmapcache_kvfree);

/* Areas that wait for a grace period: a word inside each. */
static LLIST_HEAD(waiting);

static void free_waiting(struct work_struct *work)
{
	struct llist_node *nodes = llist_del_all(&waiting), *node, *next;

	if (!nodes)
		return;
	synchronize_rcu();
	llist_for_each_safe(node, next, nodes)
		vmapcache_vfree(vmapcache_find_vm_area(node, NULL));
}
static DECLARE_WORK(free_work, free_waiting);

/**
 * vmapcache_vfree_rcu() - free memory after a grace period of RCU
 * @addr: what an allocation of vmapcache returned
 * @head: a word in it that is not in use any more
 *
 * Context: Any but NMI.
 */
void vmapcache_vfree_rcu(const void *addr, void *head)
{
	if (!addr || VC_REFUSE_NMI(__func__, _RET_IP_))
		return;
	if (llist_add(head, &waiting))
		queue_work(system_dfl_wq, &free_work);
}
EXPORT_SYMBOL_GPL(vmapcache_vfree_rcu);

/**
 * vc_finish_rcu_frees() - wait until vmapcache_vfree_rcu() has freed its memory
 *
 * Context: Task context, sleeps.
 */
void vc_finish_rcu_frees(void)
{
	flush_work(&free_work);
}
