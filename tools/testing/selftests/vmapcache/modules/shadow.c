// SPDX-License-Identifier: GPL-2.0
/*
 * Uses of memory that is not allocated, which KASAN must report, and uses beside them
 * that it must not report. Each case notes the number of reports to expect.
 *
 * If a page is mapped, the use is a plain load or store. Without a page that would end in
 * an oops after the report: so the case asks KASAN as the compiler does, and the load
 * after that may fault.
 */
#include <linux/instrumented.h>
#include <linux/minmax.h>
#include <linux/mm.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

static void note_watched(struct run *run)
{
	note(run, "watched %d",
	     IS_ENABLED(CONFIG_KASAN_GENERIC) && IS_ENABLED(CONFIG_KASAN_VMALLOC));
}

/* Of memory that may be gone. */
static noinline void look(const void *addr)
{
	instrument_read(addr, 1);
	readable(addr);
}

static noinline void touch(u8 *addr)
{
	WRITE_ONCE(*addr, 1);
}

/* Areas that were freed: at once, deferred, by the last unpin; unmapped in all ways. */
static void use_after_free(struct run *run)
{
	/*
	 * Before all others: KASAN's report shows the shadow before an address, too, and before
	 * the arena there may be none.
	 */
	u8 *first = vmapcache_vmalloc(PAGE_SIZE), *p;
	struct page **pages = pages_alloc(2);
	unsigned int reports = 0;
	struct vmapcache_pin pin;

	note_watched(run);
	expect(run, first, "no area");
	p = vmapcache_vmalloc(3 * PAGE_SIZE);
	if (expect(run, p, "3 pages")) {
		touch(p + PAGE_SIZE);
		vmapcache_vfree(p);
		look(p + PAGE_SIZE);
		reports++;
	}
	p = vmapcache_vmalloc(PAGE_SIZE);
	if (expect(run, p, "a page")) {
		pin = vmapcache_pin(p);
		vmapcache_vfree(p);
		/* Freed, but pinned: here. */
		touch(p);
		vmapcache_unpin(&pin);
		look(p);
		reports++;
	}
	if (expect(run, pages, "no memory")) {
		p = vmapcache_vmap(pages, 2, VM_MAP, PAGE_KERNEL);
		if (expect(run, p, "vmap")) {
			touch(p + 2 * PAGE_SIZE - 1);
			vmapcache_vunmap(p);
			look(p + 2 * PAGE_SIZE - 1);
			reports++;
		}
		p = vmapcache_vm_map_ram(pages, 2, NUMA_NO_NODE);
		if (expect(run, p, "vm_map_ram")) {
			touch(p);
			vmapcache_vm_unmap_ram(p, 2);
			look(p);
			reports++;
		}
	}
	pages_free(pages, 2);
	vmapcache_vfree(first);
	note(run, "reports %u", reports);
}

/* One byte behind the requested size, in the last page and behind it; and before it. */
static void overrun(struct run *run)
{
	static const unsigned int sizes[] = { 1, 7, 8, 100, 4088, 4095, 4097, 5000, 12289 };
	unsigned int i, reports = 0;
	u8 *p, *other;

	note_watched(run);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		p = vmapcache_vmalloc(sizes[i]);
		other = vmapcache_vmalloc(sizes[i]);
		/* The upper one: the addresses before the arena are not ours. */
		if (p < other)
			swap(p, other);
		if (!expect(run, other, "%u bytes", sizes[i])) {
			vmapcache_vfree(p);
			continue;
		}
		touch(p);
		touch(p + sizes[i] - 1);
		/* KASAN reports it, and it works: the page is mapped. */
		touch(p + sizes[i]);
		reports++;
		look(p + PAGE_ALIGN(sizes[i]));
		look(p - 1);
		reports += 2;
		vmapcache_vfree(p);
		vmapcache_vfree(other);
	}
	note(run, "reports %u", reports);
}

/* Bytes that vmapcache_vrealloc() adds may be used, bytes that it takes away must not. */
static void resized(struct run *run)
{
	u8 *p = vmapcache_vrealloc(NULL, 5000, GFP_KERNEL | __GFP_ZERO), *q;
	unsigned int reports = 0;

	note_watched(run);
	if (!expect(run, p, "5000 bytes"))
		return;
	touch(p + 4999);
	/* Who must not sleep gives no page back. */
	q = vmapcache_vrealloc(p, 3000, GFP_NOWAIT | __GFP_ZERO);
	if (expect(run, q == p, "moved to shrink")) {
		touch(p + 2999);
		touch(p + 3000);
		touch(p + PAGE_SIZE);
		reports += 2;
		q = vmapcache_vrealloc(p, 8000, GFP_KERNEL | __GFP_ZERO);
		expect(run, q == p, "moved where there was room");
		touch(p + 7999);
	}
	q = vmapcache_vrealloc(p, 3000, GFP_KERNEL | __GFP_ZERO);
	if (expect(run, q == p, "moved to give a page back")) {
		touch(p + 2999);
		touch(p + 3000);
		reports++;
		q = vmapcache_vrealloc(p, 4000, GFP_KERNEL | __GFP_ZERO);
		expect(run, q == p, "moved within a page");
		touch(p + 3999);
	}
	q = vmapcache_vrealloc(p, 20000, GFP_KERNEL | __GFP_ZERO);
	if (expect(run, q, "20000 bytes")) {
		touch(q + 19999);
		touch(q + 20000);
		reports++;
		p = q;
	}
	vmapcache_vfree(p);
	note(run, "reports %u", reports);
}

const struct test_case shadow_cases[] = {
	{ "use_after_free", use_after_free },
	{ "overrun", overrun },
	{ "resized", resized },
	{}
};
