// SPDX-License-Identifier: GPL-2.0
/*
 * Live objects in memory that is freed: a debugging kernel must report each of them, as it does for
 * the in-tree allocator. On other kernels the same memory is freed without them.
 */
#include <linux/mutex.h>
#include <linux/timer.h>
#include <linux/vmalloc.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

static void never(struct timer_list *timer)
{
}

/* Starts a timer at @at, if debugobjects stops it again when its memory goes. */
static void plant(void *at)
{
	struct timer_list *timer = at;

	if (!IS_ENABLED(CONFIG_DEBUG_OBJECTS_FREE) || !IS_ENABLED(CONFIG_DEBUG_OBJECTS_TIMERS))
		return;
	timer_setup(timer, never, 0);
	mod_timer(timer, jiffies + 3600 * HZ);
}

/*
 * A timer in each of five areas, which go in five ways. All of one kind after the other: debugobjects
 * reports five faults in all, and counts the rest.
 */
static void freed_timers(struct run *run)
{
	struct page **pages = pages_alloc(2);
	struct vmapcache_pin pin;
	void *p, *q;

	note(run, "watched %d", IS_ENABLED(CONFIG_DEBUG_OBJECTS_FREE) &&
	     IS_ENABLED(CONFIG_DEBUG_OBJECTS_TIMERS));
	if (!expect(run, pages, "no memory"))
		return;
	p = vmapcache_vmalloc(3 * PAGE_SIZE);
	if (expect(run, p, "vmalloc")) {
		plant(p + 3 * PAGE_SIZE - sizeof(struct timer_list));
		vmapcache_vfree(p);
	}
	p = vmapcache_vmalloc(PAGE_SIZE);
	if (expect(run, p, "vmalloc")) {
		plant(p);
		vmapcache_vfree_atomic(p);
	}
	p = vmapcache_vmap(pages, 2, VM_MAP, PAGE_KERNEL);
	if (expect(run, p, "vmap")) {
		plant(p + PAGE_SIZE);
		vmapcache_vunmap(p);
	}
	p = vmapcache_vm_map_ram(pages, 2, NUMA_NO_NODE);
	if (expect(run, p, "vm_map_ram")) {
		plant(p + 64);
		vmapcache_vm_unmap_ram(p, 2);
	}
	p = vmapcache_vmalloc(PAGE_SIZE);
	if (expect(run, p, "vmalloc")) {
		pin = vmapcache_pin(p);
		plant(p);
		vmapcache_vfree(p);
		vmapcache_unpin(&pin);
	}
	/* The pages that a smaller size gives back. */
	p = vmapcache_vmalloc(4 * PAGE_SIZE);
	if (expect(run, p, "vmalloc")) {
		plant(p + 2 * PAGE_SIZE);
		q = vmapcache_vrealloc(p, PAGE_SIZE, GFP_KERNEL);
		expect(run, q == p, "moved to shrink");
		vmapcache_vfree(q);
	}
	/* And none where nothing is left behind. */
	p = vmapcache_vmalloc(PAGE_SIZE);
	if (expect(run, p, "vmalloc")) {
		plant(p);
		if (IS_ENABLED(CONFIG_DEBUG_OBJECTS_FREE) && IS_ENABLED(CONFIG_DEBUG_OBJECTS_TIMERS))
			timer_delete_sync(p);
		vmapcache_vfree(p);
	}
	note(run, "timers 6");
	pages_free(pages, 2);
}

/* A mutex that this task holds goes with its area. lockdep reports that, once, and then gives up. */
static void freed_lock(struct run *run)
{
	struct mutex *mutex = vmapcache_vmalloc(PAGE_SIZE);

	note(run, "watched %d", IS_ENABLED(CONFIG_LOCKDEP) && IS_ENABLED(CONFIG_DEBUG_LOCK_ALLOC));
	if (!expect(run, mutex, "vmalloc"))
		return;
	mutex_init(mutex);
	mutex_lock(mutex);
	if (!IS_ENABLED(CONFIG_DEBUG_LOCK_ALLOC))
		mutex_unlock(mutex);
	vmapcache_vfree(mutex);
}

const struct test_case freed_cases[] = {
	{ "freed_timers", freed_timers },
	{ "freed_lock", freed_lock },
	{}
};
