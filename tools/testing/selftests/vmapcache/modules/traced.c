// SPDX-License-Identifier: GPL-2.0
/*
 * Work for those who trace: allocations, frees, failures and purges, one after the other. For each
 * event that must follow, the notes have a line "event NAME: FIELDS" as the tracepoint prints it, with
 * a caller without offset.
 */
#include <linux/gfp.h>
#include <linux/irq_work.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

/* Notes the events of an area. Nothing is handed on meanwhile: no page counts as lazy. */
static void note_alloc(struct run *run, const void *addr, unsigned long size, unsigned long align,
		       const char *kind, const char *gfp, const void *caller)
{
	note(run, "event alloc: addr=0x%lx size=%lu align=%lu kind=%s gfp_flags=%s caller=%ps",
	     (unsigned long)addr, size, align, kind, gfp, caller);
}

static void note_free(struct run *run, const void *addr, unsigned long size, const char *kind,
		      bool deferred, const void *caller)
{
	u32 lazy_max = 0;

	expect(run, !vmapcache_get_switch("lazy_max_pages", &lazy_max), "no switch");
	note(run, "event free: addr=0x%lx size=%lu kind=%s deferred=%d nr_lazy=0 nr_lazy_max=%u caller=%ps",
	     (unsigned long)addr, size, kind, deferred, lazy_max, caller);
	if (arg(run, "flush", 0))
		note(run, "event flush: start=0x%lx end=0x%lx", (unsigned long)addr,
		     (unsigned long)addr + size);
}

static void note_fail(struct run *run, unsigned long size, unsigned long align, const char *kind,
		      const char *gfp, int error, const char *reason, const void *caller)
{
	note(run, "event fail: size=%lu align=%lu kind=%s gfp_flags=%s error=%d waits=0 nr_lazy=0 reason=\"%s\" caller=%ps",
	     size, align, kind, gfp, error, reason, caller);
}

/* Callers that a trace names. None of them may end in a tail call. */
static noinline __noclone void *traced_vmalloc(unsigned long size)
{
	void *addr = vmapcache_vmalloc(size);

	barrier();
	return addr;
}

static noinline __noclone void traced_vfree(const void *addr)
{
	vmapcache_vfree(addr);
	barrier();
}

static noinline __noclone void traced_vfree_atomic(const void *addr)
{
	vmapcache_vfree_atomic(addr);
	barrier();
}

static noinline __noclone void traced_unpin(struct vmapcache_pin *pin)
{
	vmapcache_unpin(pin);
	barrier();
}

static noinline __noclone void *traced_vmap(struct page **pages, unsigned int count, unsigned long flags)
{
	void *addr = vmapcache_vmap(pages, count, flags, PAGE_KERNEL);

	barrier();
	return addr;
}

static noinline __noclone void traced_vunmap(const void *addr)
{
	vmapcache_vunmap(addr);
	barrier();
}

static noinline __noclone void *traced_vm_map_ram(struct page **pages, unsigned int count)
{
	void *addr = vmapcache_vm_map_ram(pages, count, NUMA_NO_NODE);

	barrier();
	return addr;
}

static noinline __noclone void traced_vm_unmap_ram(const void *addr, unsigned int count)
{
	vmapcache_vm_unmap_ram(addr, count);
	barrier();
}

static noinline __noclone void *traced_get_vm_area(unsigned long size, unsigned long flags)
{
	void *addr = vmapcache_get_vm_area(size, flags);

	barrier();
	return addr;
}

static noinline __noclone void traced_free_vm_area(const void *addr)
{
	vmapcache_free_vm_area(addr);
	barrier();
}

static noinline __noclone void traced_in_tree_vfree(const void *addr)
{
	vfree(addr);
	barrier();
}

static void trace_areas(struct run *run)
{
	struct vmapcache_pin pin;
	struct page **pages;
	void *p;

	p = traced_vmalloc(3 * PAGE_SIZE - 100);
	if (expect(run, p, "vmalloc")) {
		note_alloc(run, p, 3 * PAGE_SIZE, 1, "vmalloc", "GFP_KERNEL", traced_vmalloc);
		traced_vfree(p);
		note_free(run, p, 3 * PAGE_SIZE, "vmalloc", false, traced_vfree);
	}
	p = vmapcache_vmalloc_aligned(5000, SZ_64K, GFP_NOFS | __GFP_ZERO, NUMA_NO_NODE, trace_areas);
	if (expect(run, p, "aligned")) {
		note_alloc(run, p, 2 * PAGE_SIZE, SZ_64K, "vmalloc", "GFP_NOFS|__GFP_ZERO",
			   trace_areas);
		/* The last unpin frees it. */
		pin = vmapcache_pin(p);
		traced_vfree(p);
		traced_unpin(&pin);
		note_free(run, p, 2 * PAGE_SIZE, "vmalloc", false, traced_unpin);
	}
	pages = pages_alloc(4);
	if (expect(run, pages, "no memory")) {
		p = traced_vmap(pages, 2, VM_MAP);
		if (expect(run, p, "vmap")) {
			note_alloc(run, p, 2 * PAGE_SIZE, 1, "vmap", "GFP_KERNEL", traced_vmap);
			traced_vunmap(p);
			note_free(run, p, 2 * PAGE_SIZE, "vmap", false, traced_vunmap);
		}
		p = traced_vm_map_ram(pages, 4);
		if (expect(run, p, "vm_map_ram")) {
			note_alloc(run, p, 4 * PAGE_SIZE, 1, "vm_map_ram", "GFP_KERNEL",
				   traced_vm_map_ram);
			traced_vm_unmap_ram(p, 4);
			note_free(run, p, 4 * PAGE_SIZE, "vm_map_ram", false, traced_vm_unmap_ram);
		}
		pages_free(pages, 4);
	}
	p = traced_get_vm_area(7 * PAGE_SIZE, VM_MAP);
	if (expect(run, p, "get_vm_area")) {
		note_alloc(run, p, 7 * PAGE_SIZE, 1, "addresses", "GFP_KERNEL", traced_get_vm_area);
		traced_free_vm_area(p);
		note_free(run, p, 7 * PAGE_SIZE, "addresses", false, traced_free_vm_area);
	}
	if (!arg(run, "guards", 0))
		return;
	p = traced_vmalloc(PAGE_SIZE);
	if (expect(run, p, "vmalloc")) {
		note_alloc(run, p, PAGE_SIZE, 1, "vmalloc", "GFP_KERNEL", traced_vmalloc);
		traced_in_tree_vfree(p);
		note_free(run, p, PAGE_SIZE, "vmalloc", false, traced_in_tree_vfree);
	}
}

/* An area whose pages come with an array that is an area, too: both go. */
static void trace_given(struct run *run)
{
	struct page **array = traced_vmalloc(PAGE_SIZE);
	void *p = NULL;

	if (!expect(run, array, "no array"))
		return;
	note_alloc(run, array, PAGE_SIZE, 1, "vmalloc", "GFP_KERNEL", traced_vmalloc);
	array[0] = alloc_page(GFP_KERNEL);
	if (expect(run, array[0], "no page"))
		p = traced_vmap(array, 1, VM_MAP | VM_MAP_PUT_PAGES);
	if (!expect(run, p, "vmap")) {
		vmapcache_vfree(array);
		return;
	}
	note_alloc(run, p, PAGE_SIZE, 1, "vmap", "GFP_KERNEL", traced_vmap);
	traced_vfree(p);
	note_free(run, p, PAGE_SIZE, "vmap", false, traced_vfree);
	/* By vmapcache itself: that has no caller. */
	note_free(run, array, PAGE_SIZE, "vmalloc", false, NULL);
}

struct in_interrupt {
	struct irq_work work;
	void *area;
};

static void traced_interrupt(struct irq_work *work)
{
	struct in_interrupt *in = container_of(work, struct in_interrupt, work);

	vmapcache_vfree(in->area);
	/* Refused. */
	in->area = vmapcache_vmalloc(PAGE_SIZE);
}

static void trace_atomic(struct run *run)
{
	static DEFINE_SPINLOCK(lock);
	static struct in_interrupt in;
	unsigned long flags;
	void *p;

	spin_lock_irqsave(&lock, flags);
	p = vmapcache_vmalloc_aligned(PAGE_SIZE, 1, GFP_NOWAIT, NUMA_NO_NODE, trace_atomic);
	if (p)
		traced_vfree_atomic(p);
	spin_unlock_irqrestore(&lock, flags);
	if (expect(run, p, "with interrupts off")) {
		note_alloc(run, p, PAGE_SIZE, 1, "vmalloc", "GFP_NOWAIT", trace_atomic);
		note_free(run, p, PAGE_SIZE, "vmalloc", true, traced_vfree_atomic);
	}
	in.area = traced_vmalloc(PAGE_SIZE);
	if (!expect(run, in.area, "vmalloc"))
		return;
	p = in.area;
	note_alloc(run, p, PAGE_SIZE, 1, "vmalloc", "GFP_KERNEL", traced_vmalloc);
	in.work = IRQ_WORK_INIT_HARD(traced_interrupt);
	irq_work_queue(&in.work);
	irq_work_sync(&in.work);
	expect(run, !in.area, "an allocation in an interrupt");
	note_free(run, p, PAGE_SIZE, "vmalloc", true, traced_interrupt);
	note_fail(run, PAGE_SIZE, 1, "vmalloc", "none", -EINVAL, "in an interrupt", traced_interrupt);
}

static void trace_failures(struct run *run)
{
	static struct page *hole[2];
	void *p;

	expect(run, !traced_vmalloc(0), "an area of no bytes");
	note_fail(run, 0, 1, "vmalloc", "GFP_KERNEL", -EINVAL, "size 0", traced_vmalloc);
	expect(run, !traced_vmalloc(1UL << 50), "a PiB");
	note_fail(run, 1UL << 50, 1, "vmalloc", "GFP_KERNEL", -ENOMEM, "more than the arena holds",
		  traced_vmalloc);
	/* Without a line in the kernel log. */
	p = vmapcache_vmalloc_aligned(PAGE_SIZE, 3 * PAGE_SIZE, GFP_KERNEL | __GFP_NOWARN,
				      NUMA_NO_NODE, trace_failures);
	expect(run, !p, "alignment of 3 pages");
	note_fail(run, PAGE_SIZE, 3 * PAGE_SIZE, "vmalloc", "GFP_KERNEL|__GFP_NOWARN", -EINVAL,
		  "alignment is no power of two", trace_failures);
	expect(run, !traced_vmap(hole, 2, VM_MAP), "a mapped hole");
	note_fail(run, 2 * PAGE_SIZE, 1, "vmap", "GFP_KERNEL", -EINVAL, "a page of the array is NULL",
		  traced_vmap);
	expect(run, !traced_vm_map_ram(NULL, 2), "no array");
	note_fail(run, 2 * PAGE_SIZE, 1, "vm_map_ram", "GFP_KERNEL", -EINVAL, "no array of pages",
		  traced_vm_map_ram);
	expect(run, !traced_vmap(hole, 1, VM_FLUSH_RESET_PERMS), "a flag that is not for vmap");
	note_fail(run, PAGE_SIZE, 1, "vmap", "GFP_KERNEL", -EINVAL, "flags that are not for vmap()",
		  traced_vmap);
	expect(run, !traced_get_vm_area(PAGE_SIZE, VM_ALLOC), "a flag that is not for addresses");
	note_fail(run, PAGE_SIZE, 1, "addresses", "GFP_KERNEL", -EINVAL,
		  "flags that are not for address space alone", traced_get_vm_area);
}

static u64 value_of(struct run *run, const char *name)
{
	u64 value = 0;

	expect(run, !vmapcache_counter(name, &value), "no counter %s", name);
	return value;
}

static void trace_purge(struct run *run, const char *how, void (*purge)(void))
{
	u64 areas = value_of(run, "flushed_areas"), bytes = value_of(run, "flushed_bytes");
	u64 flushes = value_of(run, "flushes");

	note(run, "event purge_begin: how=%s nr_lazy=0", how);
	purge();
	flushes = value_of(run, "flushes") - flushes;
	note(run, "flushes %llu", flushes);
	note(run, "event purge_end: how=%s num_purged=%llu nr_purged=%llu flushes=%llu nr_lazy=0", how,
	     value_of(run, "flushed_areas") - areas,
	     (value_of(run, "flushed_bytes") - bytes) >> PAGE_SHIFT, flushes);
}

/*
 * guards=0: 1 if in-tree frees may meet an area. All events of all kinds. Call it at rest, after a
 * purge. A line "flushes NUMBER" stands for as many of those.
 */
static void traced(struct run *run)
{
	trace_areas(run);
	trace_given(run);
	trace_atomic(run);
	trace_failures(run);
	trace_purge(run, "full", vmapcache_purge);
	trace_purge(run, "drain", vmapcache_drain);
}

/* guards=0: as above. flush=0: 1 if each free must flush, and only that. Areas of all kinds. */
static void traced_areas(struct run *run)
{
	trace_areas(run);
}

/* With lazy_max_pages=0: each free flushes the area, and nothing else does. */
static void traced_eager(struct run *run)
{
	static const unsigned int sizes[] = { 1, 2, 7, 30 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned long size = sizes[i] * PAGE_SIZE;
		void *p = traced_vmalloc(size);

		if (!expect(run, p, "%u pages", sizes[i]))
			break;
		note_alloc(run, p, size, 1, "vmalloc", "GFP_KERNEL", traced_vmalloc);
		traced_vfree(p);
		note_free(run, p, size, "vmalloc", false, traced_vfree);
		note(run, "event flush: start=0x%lx end=0x%lx", (unsigned long)p,
		     (unsigned long)p + size);
	}
}

struct shortage {
	void *all;
	u64 failures;
};

static void wait_or_free(struct run *run, unsigned int thread, void *data)
{
	struct shortage *shortage = data;
	void *p;

	if (thread) {
		p = vmapcache_vmalloc_aligned(16 * PAGE_SIZE, 1, GFP_KERNEL | __GFP_NOFAIL,
					      NUMA_NO_NODE, traced_eager);
		expect(run, p, "a request that must not fail");
		vmapcache_vfree(p);
		return;
	}
	while (value_of(run, "failures") == shortage->failures && !interrupted())
		cond_resched();
	vmapcache_vfree(shortage->all);
}

/* A request that must not fail waits until another task frees the arena, or most of it. */
static void traced_wait(struct run *run)
{
	struct shortage shortage = { .failures = value_of(run, "failures") };
	unsigned long size = value_of(run, "bytes_arena");

	/* Quietly, the largest that there is. */
	while (!shortage.all && size > PAGE_SIZE) {
		size -= 8 * PAGE_SIZE;
		shortage.all = vmapcache_get_vm_area(size, VM_MAP);
		shortage.failures = value_of(run, "failures");
	}
	if (expect(run, shortage.all, "no area"))
		run_threads(run, 2, wait_or_free, &shortage);
}

const struct test_case traced_cases[] = {
	{ "traced", traced },
	{ "traced_areas", traced_areas },
	{ "traced_eager", traced_eager },
	{ "traced_wait", traced_wait },
	{}
};
