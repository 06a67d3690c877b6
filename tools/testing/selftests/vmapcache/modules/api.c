// SPDX-License-Identifier: GPL-2.0
/*
 * The promises of the API's functions, on both allocators if both have the function.
 */
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

/* Sizes at the edges, and the last byte that each promises. */
static void sizes(struct run *run)
{
	static const unsigned long sizes[] = {
		1, 8, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 2 * PAGE_SIZE,
		64 * PAGE_SIZE - 1, SZ_1M, SZ_2M, SZ_2M + 1, SZ_16M,
	};
	const struct allocator *a = allocator_of(run);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned long size = sizes[i];
		u8 *p = a->get(size);

		if (!expect(run, p, "%lu bytes", size))
			continue;
		expect(run, PAGE_ALIGNED(p), "%lu bytes", size);
		p[0] = 1;
		p[size - 1] = 2;
		expect(run, !readable(p + PAGE_ALIGN(size)), "%lu bytes: no guard page", size);
		expect(run, is_vmalloc_addr(p), "%lu bytes", size);
		expect(run, vmalloc_to_page(p + size - 1), "%lu bytes", size);
		a->put(p);
	}
}

/* Impossible requests: NULL, and nothing else happens. */
static void impossible(struct run *run)
{
	static const unsigned long sizes[] = {
		ULONG_MAX, ULONG_MAX - PAGE_SIZE + 1, ULONG_MAX - PAGE_SIZE, ULONG_MAX >> 1,
		1UL << 63, 1UL << 48, 1UL << 45, 1UL << 44, (1UL << 44) - PAGE_SIZE,
	};
	const struct allocator *a = allocator_of(run);
	struct page *page = alloc_page(GFP_KERNEL);
	unsigned int i;

	/* In-tree, a size of 0 is a WARN: an argument says whether to ask for it. */
	if (arg(run, "zero", 1))
		expect(run, !a->get(0), "0 bytes");
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		expect(run, !a->get_gfp(sizes[i], GFP_KERNEL | __GFP_NOWARN), "%lx bytes",
		       sizes[i]);
		if (a->get_aligned)
			expect(run, !a->get_aligned(PAGE_SIZE, sizes[i], GFP_KERNEL | __GFP_NOWARN),
			       "a page at a multiple of %lx", sizes[i]);
	}
	expect(run, !a->map(&page, 0), "no pages");
	expect(run, !a->map(&page, UINT_MAX), "%u pages", UINT_MAX);
	expect(run, !a->map(&page, INT_MAX), "%u pages", INT_MAX);
	__free_page(page);
}

/* Every power of two up to max=; the first byte is mapped. */
static void alignments(struct run *run)
{
	unsigned long max = arg(run, "max", SZ_1G), align;
	unsigned int pages;

	for (align = 3 * PAGE_SIZE; align < SZ_1G; align = align * 2 + PAGE_SIZE)
		expect(run, !vmapcache_vmalloc_aligned(PAGE_SIZE, align,
						       GFP_KERNEL | __GFP_NOWARN, NUMA_NO_NODE,
						       NULL),
		       "a page at a multiple of %lx", align);

	for (align = 1; align && align <= max; align *= 2) {
		for (pages = 1; pages < 20; pages += 7) {
			u8 *p = vmapcache_vmalloc_aligned(pages * PAGE_SIZE, align, GFP_KERNEL,
							  NUMA_NO_NODE, NULL);

			if (!expect(run, p, "%u pages at a multiple of %lx", pages, align))
				continue;
			expect(run, IS_ALIGNED((unsigned long)p, max(align, PAGE_SIZE)),
			       "%lx off a multiple of %lx", (unsigned long)p & (align - 1), align);
			p[0] = 1;
			p[pages * PAGE_SIZE - 1] = 1;
			vmapcache_vfree(p);
		}
	}
}

static u64 counted(struct run *run, const char *name)
{
	u64 value = 0;

	expect(run, !vmapcache_counter(name, &value), "no counter %s", name);
	return value;
}

/* Address space alone: where it is, which lookups find it, and that nothing is mapped. */
static void address_space(struct run *run)
{
	static const unsigned long sizes[] = { 1, PAGE_SIZE, PAGE_SIZE + 1, 300 * PAGE_SIZE };
	unsigned long large = (totalram_pages() << PAGE_SHIFT) + SZ_64M;
	size_t found;
	unsigned int i;
	u8 *area;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned long size = PAGE_ALIGN(sizes[i]);

		area = vmapcache_get_vm_area(sizes[i], VM_MAP);
		if (!expect(run, area, "%lu bytes", sizes[i]))
			continue;
		expect(run, PAGE_ALIGNED(area), "%lu bytes", size);
		expect(run, !readable(area), "%lu bytes: something is mapped", size);
		found = 0;
		expect(run, vmapcache_find_vm_area(area, &found) == area && found == size,
		       "its start finds %zu bytes, not %lu", found, size);
		expect(run, vmapcache_find_vm_area(area + size - 1, NULL) == area,
		       "%lu bytes: the last one finds another", size);
		expect(run, !vmapcache_find_vm_area(area + size, &found), "a guard page is found");
		vmapcache_free_vm_area(area);
		expect(run, !vmapcache_find_vm_area(area, &found), "%lu bytes, after it", size);
		expect(run, found == size, "a size is told of nothing");
	}
	for (i = 1; i <= 512; i *= 8) {
		area = vmapcache_get_vm_area_aligned(3 * PAGE_SIZE, i * PAGE_SIZE, VM_MAP, NULL);
		expect(run, area && IS_ALIGNED((unsigned long)area, i * PAGE_SIZE),
		       "%p for a multiple of %u pages", area, i);
		vmapcache_free_vm_area(area);
	}
	expect(run, !vmapcache_get_vm_area_aligned(PAGE_SIZE, 3 * PAGE_SIZE, VM_MAP, NULL),
	       "a multiple of 3 pages");
	/* It is not made of memory; but with KASAN there is less of it than of memory. */
	if (counted(run, "bytes_arena") > large + SZ_64M) {
		area = vmapcache_get_vm_area(large, VM_MAP);
		expect(run, area && vmapcache_find_vm_area(area + large - 1, NULL) == area,
		       "%lu bytes", large);
		vmapcache_free_vm_area(area);
	}
	expect(run, !vmapcache_get_vm_area(1UL << 50, VM_MAP), "more than any arena");
	expect(run, !vmapcache_get_vm_area(PAGE_SIZE, VM_IOREMAP), "VM_IOREMAP");
	vmapcache_free_vm_area(NULL);
}

/* Counters and switches by their names, purge and drain. */
static void tuning(struct run *run)
{
	static const char * const flags[] = {
		"free_area_cache", "magazines", "lookup_cache", "info_cache",
	};
	u64 areas = counted(run, "areas"), untouched = 7;
	u8 *area = vmapcache_get_vm_area(PAGE_SIZE, VM_MAP);
	u32 before, now = 7;
	unsigned int i;

	expect(run, counted(run, "areas") == areas + 1, "an area more than %llu", areas);
	vmapcache_free_vm_area(area);
	expect(run, counted(run, "bytes_lazy"), "nothing is lazy");
	vmapcache_purge();
	expect(run, !counted(run, "bytes_lazy"), "lazy after a purge");
	expect(run, counted(run, "bytes_stock"), "a purge leaves no stock");
	vmapcache_drain();
	expect(run, !counted(run, "bytes_stock"), "stock after drain");
	expect(run, vmapcache_counter("area", &untouched) == -ENOENT && untouched == 7,
	       "a counter of no name: %llu", untouched);

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		expect(run, !vmapcache_get_switch(flags[i], &before), "no switch %s", flags[i]);
		expect(run, !vmapcache_set_switch(flags[i], !before), "%s", flags[i]);
		expect(run, !vmapcache_get_switch(flags[i], &now) && now == !before,
		       "%s is %u", flags[i], now);
		expect(run, vmapcache_set_switch(flags[i], 2) == -EINVAL, "%s: 2", flags[i]);
		vmapcache_set_switch(flags[i], before);
	}
	expect(run, !vmapcache_get_switch("lazy_max_pages", &before), "no lazy_max_pages");
	expect(run, !vmapcache_set_switch("lazy_max_pages", 1234), "lazy_max_pages");
	expect(run, counted(run, "lazy_max_pages") == 1234, "lazy_max_pages is another one");
	vmapcache_set_switch("lazy_max_pages", before);
	expect(run, vmapcache_get_switch("lazy", &now) == -ENOENT, "a switch of no name");
	expect(run, vmapcache_set_switch("lazy", 1) == -EINVAL, "a switch of no name");
}

static void free_null(struct run *run)
{
	const struct allocator *a = allocator_of(run);

	a->put(NULL);
	a->put_atomic(NULL);
	a->unmap(NULL);
	if (a == &allocator_ours) {
		vmapcache_vfree_sync(NULL);
		vmapcache_unpin(&(struct vmapcache_pin){});
		expect(run, !vmapcache_pin(NULL).word, "nothing at NULL");
	}
}

/*
 * Frees of addresses that are no start of a live area: no effect, but each counts. The
 * notes say what to expect of the counters.
 */
static void bad_frees(struct run *run)
{
	void *foreign[] = {
		(void *)1UL, (void *)PAGE_SIZE, (void *)ULONG_MAX, (void *)(1UL << 47),
		(void *)PAGE_OFFSET, run, &foreign, bad_frees, vmalloc(PAGE_SIZE), NULL,
	};
	unsigned int i, rounds = arg(run, "rounds", 3), counted = 0;
	u8 *area = vmapcache_vmalloc(8 * PAGE_SIZE);
	u8 *other = vmapcache_vmalloc(PAGE_SIZE);

	if (!expect(run, area && other, "no areas"))
		return;
	sign(area, 8, 7);
	for (i = 0; i < rounds; i++) {
		/* Inside, and not even at the start of a page. */
		vmapcache_vfree(area + PAGE_SIZE);
		vmapcache_vfree_atomic(area + 7 * PAGE_SIZE);
		vmapcache_vunmap(area + 1);
		vmapcache_vfree_sync(area + PAGE_SIZE - 1);
		vmapcache_vm_unmap_ram(area + 2 * PAGE_SIZE, 1);
	}
	note(run, "inner %u", 5 * rounds);
	for (i = 0; i < rounds; i++) {
		unsigned int j;

		for (j = 0; foreign[j]; j++, counted++) {
			if (j & 1)
				vmapcache_vfree(foreign[j]);
			else
				vmapcache_vfree_atomic(foreign[j]);
			expect(run, !vmapcache_pin(foreign[j]).word, "address %u was pinned", j);
		}
		/* The guard page belongs to no area. */
		vmapcache_vfree(area + 8 * PAGE_SIZE);
		counted++;
	}
	note(run, "foreign %u", counted);
	expect(run, signed_by(area, 8, 7) == 8, "the area was harmed");
	expect(run, readable(vmalloc_noprof), "text");
	*(u8 *)foreign[8] = 1;
	vfree(foreign[8]);

	vmapcache_vfree(area);
	for (i = 0; i < rounds; i++) {
		vmapcache_vfree(area);
		vmapcache_vfree_atomic(area);
		vmapcache_vfree_sync(area);
	}
	note(run, "double %u", 3 * rounds);
	*other = 1;
	vmapcache_vfree(other);
}

static noinline void free_wrongly(void *addr)
{
	vmapcache_vfree(addr);
	/* Not a tail call: the caller is this function. */
	barrier();
}

/* Another caller makes a mistake that others have made. */
static void late_bad_free(struct run *run)
{
	free_wrongly((void *)PAGE_SIZE);
}

/* Flags mean what they mean in-tree: no sleep, zero, no warning. */
static void gfp_flags(struct run *run)
{
	static const gfp_t flags[] = {
		GFP_KERNEL, GFP_NOFS, GFP_NOIO, GFP_USER, GFP_KERNEL_ACCOUNT,
		GFP_KERNEL | __GFP_NORETRY, GFP_KERNEL | __GFP_RETRY_MAYFAIL,
		GFP_KERNEL | __GFP_NOFAIL, GFP_KERNEL | __GFP_ZERO, GFP_KERNEL | __GFP_NOWARN,
	};
	static const gfp_t atomic_flags[] = { GFP_ATOMIC, GFP_NOWAIT, GFP_ATOMIC | __GFP_ZERO };
	const struct allocator *a = allocator_of(run);
	unsigned int i, pages, served = 0, asked = 0;
	void *p;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		for (pages = 1; pages <= 64; pages *= 8) {
			p = a->get_gfp(pages * PAGE_SIZE, flags[i]);
			if (!expect(run, p, "%u pages with %x", pages, flags[i]))
				continue;
			if (flags[i] & __GFP_ZERO)
				expect(run, !memchr_inv(p, 0, pages * PAGE_SIZE), "%u pages",
				       pages);
			sign(p, pages, i);
			expect(run, signed_by(p, pages, i) == pages, "%u pages", pages);
			a->put(p);
		}
	}
	/* May fail, but not always; must not sleep, and debug kernels report it. */
	for (i = 0; i < 200; i++) {
		gfp_t gfp = atomic_flags[i % ARRAY_SIZE(atomic_flags)];

		pages = i % 8 + 1;
		asked++;
		no_sleep_begin();
		p = a->get_gfp(pages * PAGE_SIZE, gfp);
		no_sleep_end();
		if (!p)
			continue;
		served++;
		if (gfp & __GFP_ZERO)
			expect(run, !memchr_inv(p, 0, pages * PAGE_SIZE), "%u pages", pages);
		sign(p, pages, i);
		a->put(p);
	}
	expect(run, served > asked / 2, "%u of %u requests that must not wait", served, asked);
}

/* Flags that vmalloc() does not support have no effect, at any entry. */
static void odd_flags(struct run *run)
{
	gfp_t odd = GFP_KERNEL | __GFP_COMP | __GFP_ZERO;
	void *areas[] = {
		vmapcache_vmalloc_gfp(4 * PAGE_SIZE, odd),
		vmapcache_vmalloc_aligned(4 * PAGE_SIZE, 1, odd, NUMA_NO_NODE, NULL),
		vmapcache_vrealloc(NULL, 4 * PAGE_SIZE, odd),
		vmapcache_vrealloc_node_align(NULL, 4 * PAGE_SIZE, 1, odd, NUMA_NO_NODE),
		/* What kmalloc() can serve, it does, and its pages may be compound. */
		vmapcache_kvmalloc(KMALLOC_MAX_SIZE + PAGE_SIZE, 1, odd, NUMA_NO_NODE),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(areas); i++) {
		if (!expect(run, areas[i], "entry %u", i))
			continue;
		expect(run, !memchr_inv(areas[i], 0, 4 * PAGE_SIZE), "entry %u: not zero", i);
		expect(run, !PageCompound(vmalloc_to_page(areas[i] + PAGE_SIZE)),
		       "entry %u: a compound page", i);
		vmapcache_vfree(areas[i]);
	}
}

/* Requests for a caller that is no code. Its address must not show in the log. */
static void nameless(struct run *run)
{
	void *no_code = (void *)PAGE_OFFSET;
	void *p = vmapcache_vmalloc_aligned(PAGE_SIZE, 1, GFP_KERNEL | __GFP_COMP, NUMA_NO_NODE,
					    no_code);

	expect(run, p, "no memory");
	vmapcache_vfree(p);
	expect(run, !vmapcache_vmalloc_aligned(PAGE_SIZE, 3 * PAGE_SIZE, GFP_KERNEL,
					       NUMA_NO_NODE, no_code), "an alignment of 3 pages");
	expect(run, !vmapcache_get_vm_area_aligned(PAGE_SIZE, PAGE_SIZE, VM_ALLOC, no_code),
	       "a flag that is not for address space");
}

static void nodes(struct run *run)
{
	const struct allocator *a = allocator_of(run);
	int node;

	for_each_online_node(node) {
		u8 *p = a->get_node(3 * PAGE_SIZE, node);

		if (!expect(run, p, "node %d", node))
			continue;
		expect(run, page_to_nid(vmalloc_to_page(p)) == node, "node %d", node);
		p[3 * PAGE_SIZE - 1] = 1;
		a->put(p);
	}
	a->put(a->get_node(PAGE_SIZE, NUMA_NO_NODE));
}

/* Pages given to the area go with it; protection is kept. */
static void vmaps(struct run *run)
{
	struct page **pages = pages_alloc(5), *page;
	unsigned int i;
	pte_t *pte;
	u8 *p;

	if (!expect(run, pages, "no memory"))
		return;
	page = pages[4];
	get_page(page);
	p = vmapcache_vmap(pages, 5, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
	if (expect(run, p, "5 pages")) {
		p[5 * PAGE_SIZE - 1] = 9;
		expect(run, ((u8 *)page_address(page))[PAGE_SIZE - 1] == 9, "another page");
		vmapcache_vfree(p);
		expect(run, page_count(page) == 1, "%d references", page_count(page));
	} else {
		pages_free(pages, 5);
	}
	put_page(page);

	/* One page, many times: an area of any size costs no memory. */
	pages = kvcalloc(512, sizeof(*pages), GFP_KERNEL);
	page = alloc_page(GFP_KERNEL);
	for (i = 0; pages && i < 512; i++)
		pages[i] = page;
	if (expect(run, pages && page, "no memory")) {
		/* Never executable, whatever is asked for. */
		p = vmapcache_vmap(pages, 512, VM_MAP, PAGE_KERNEL_ROX);
		if (expect(run, p, "512 pages")) {
			pte = kernel_pte(p + 511 * PAGE_SIZE);
			expect(run, pte && pte_present(*pte) && !pte_write(*pte), "not read-only");
			expect(run, pte && pte_pfn(*pte) == page_to_pfn(page), "another page");
			expect(run, pte && pte_no_exec(*pte), "executable");
			vmapcache_vunmap(p);
		}
		p = vmapcache_vmap(pages, 1, VM_MAP | VM_FLUSH_RESET_PERMS, PAGE_KERNEL);
		expect(run, !p, "VM_FLUSH_RESET_PERMS, which is not for vmap()");
		p = vmapcache_vm_map_ram(pages, 3, NUMA_NO_NODE);
		if (expect(run, p, "3 pages")) {
			vmapcache_vm_unmap_ram(p, 2);
			expect(run, readable(p + 2 * PAGE_SIZE), "2 of 3 pages were unmapped");
			vmapcache_vm_unmap_ram(p, 3);
		}
		expect(run, page_count(page) == 1, "%d references", page_count(page));
	}
	if (page)
		__free_page(page);
	kvfree(pages);
}

/* An array of pages that is missing, also where page tables are known. */
static void no_array(struct run *run)
{
	struct page **pages = pages_alloc(64);
	void *p;

	if (!expect(run, pages, "no memory"))
		return;
	expect(run, !vmapcache_vmap(NULL, 64, VM_MAP, PAGE_KERNEL), "vmap of no array");
	expect(run, !vmapcache_vm_map_ram(NULL, 64, NUMA_NO_NODE), "vm_map_ram of no array");
	p = vmapcache_vmap(pages, 64, VM_MAP, PAGE_KERNEL);
	expect(run, p, "64 pages");
	vmapcache_vunmap(p);
	expect(run, !vmapcache_vmap(NULL, 64, VM_MAP, PAGE_KERNEL), "vmap of no array, later");
	expect(run, !vmapcache_vm_map_ram(NULL, 64, NUMA_NO_NODE), "vm_map_ram, later");
	/* A pointer that looks like a run of pages. */
	expect(run, !vmapcache_vmap((void *)pages + 1, 64, VM_MAP, PAGE_KERNEL), "an odd array");
	pages_free(pages, 64);
}

/*
 * Pages given with an array that is an area, beside other areas. The free of the first ends the
 * second, also if pins hold them.
 */
static void given_areas(struct run *run)
{
	unsigned int round;
	u8 *other = vmapcache_vmalloc(8 * PAGE_SIZE);

	if (!expect(run, other, "8 pages"))
		return;
	sign(other, 8, 5);
	for (round = 0; round < 200; round++) {
		struct page **pages = vmapcache_vmalloc(PAGE_SIZE), *page = alloc_page(GFP_KERNEL);
		struct vmapcache_pin pin = {}, array_pin = {};
		void *p;

		if (!expect(run, pages && page, "round %u", round))
			break;
		get_page(page);
		pages[0] = page;
		p = vmapcache_vmap(pages, 1, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
		if (!expect(run, p, "round %u", round))
			break;
		if (round & 1)
			pin = vmapcache_pin(p);
		if (round & 2)
			array_pin = vmapcache_pin(pages);
		if (round & 4)
			vmapcache_vunmap(p);
		else if (round & 8)
			vmapcache_vfree_atomic(p);
		else
			vmapcache_vfree(p);
		expect(run, !pin.word || readable(p), "round %u: gone, but pinned", round);
		vmapcache_unpin(&pin);
		expect(run, !vmapcache_pin(p).word, "round %u: still live", round);
		if (round & 4) {
			expect(run, page_count(page) == 2 && pages[0] == page,
			       "round %u: %d references", round, page_count(page));
			put_page(page);
			vmapcache_vfree(pages);
		} else if (!(round & 8)) {
			expect(run, page_count(page) == 1, "round %u: %d references", round,
			       page_count(page));
		}
		vmapcache_unpin(&array_pin);
		put_page(page);
	}
	expect(run, signed_by(other, 8, 5) == 8, "another area was harmed");
	vmapcache_vfree(other);
}

/* An area that has given back its tail, and is pinned, grown, shrunk again and freed. */
static void shrunk_areas(struct run *run)
{
	static const unsigned int sizes[] = { 2, 3, 4, 8, 32, 33, 100, 700 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned int pages = sizes[i], keep = pages / 2 + 1;
		u8 *p = vmapcache_vmalloc(pages * PAGE_SIZE), *q;
		struct vmapcache_pin pin;

		if (!expect(run, p, "%u pages", pages))
			continue;
		sign(p, pages, i);
		/* A pin of somebody else keeps all. */
		pin = vmapcache_pin(p);
		q = vmapcache_vrealloc(p, PAGE_SIZE, GFP_KERNEL);
		expect(run, q == p && readable(p + (pages - 1) * PAGE_SIZE), "%u pages", pages);
		vmapcache_unpin(&pin);
		q = vmapcache_vrealloc(p, pages * PAGE_SIZE, GFP_KERNEL);
		expect(run, q == p, "%u pages moved", pages);
		if (want_init_on_alloc(0))
			expect(run, !memchr_inv(p + PAGE_SIZE, 0, (pages - 1) * PAGE_SIZE),
			       "%u pages: old bytes", pages);
		sign(p, pages, i);
		q = vmapcache_vrealloc(p, keep * PAGE_SIZE - 3, GFP_KERNEL);
		expect(run, q == p, "%u of %u pages", keep, pages);
		if (keep < pages)
			expect(run, !readable(p + keep * PAGE_SIZE), "%u of %u pages", keep, pages);
		q = vmapcache_vrealloc(p, 5, GFP_KERNEL);
		expect(run, q == p && !vmalloc_to_page(p + PAGE_SIZE), "1 of %u pages", pages);
		expect(run, vmapcache_find_vm_area(p + (pages - 1) * PAGE_SIZE, NULL) == p,
		       "%u pages: the range went", pages);
		q = vmapcache_vrealloc(p, PAGE_SIZE, GFP_KERNEL);
		expect(run, q == p, "%u pages: the rest of a page moved", pages);
		q = vmapcache_vrealloc(p, pages * PAGE_SIZE, GFP_KERNEL);
		expect(run, q, "%u pages", pages);
		sign(q ?: p, q ? pages : 1, i);
		vmapcache_vfree(q ?: p);
	}
}

static void vreallocs(struct run *run)
{
	u8 *p = vmapcache_vrealloc(NULL, 3 * PAGE_SIZE, GFP_KERNEL), *q;

	if (!expect(run, p, "3 pages"))
		return;
	sign(p, 3, 1);
	q = vmapcache_vrealloc(p, 40 * PAGE_SIZE, GFP_KERNEL);
	if (!expect(run, q, "40 pages"))
		q = p;
	expect(run, signed_by(q, 3, 1) == 3, "contents lost when it grew");
	p = vmapcache_vrealloc(q, 2 * PAGE_SIZE, GFP_KERNEL);
	if (!expect(run, p, "2 pages"))
		p = q;
	expect(run, signed_by(p, 2, 1) == 2, "contents lost when it shrank");
	/* Twice the alignment that it has. */
	q = (u8 *)(1UL << (__ffs((unsigned long)p) + 1));
	expect(run, !vmapcache_vrealloc_node_align(p, 9, (unsigned long)q, GFP_KERNEL, NUMA_NO_NODE),
	       "an alignment that the area lacks");
	expect(run, !vmapcache_vrealloc(p, 0, GFP_KERNEL), "0 bytes");
	expect(run, !vmapcache_pin(p).word, "not freed by a size of 0");
}

static bool take_caller(const struct vmapcache_area *area, void *arg)
{
	*(const void **)arg = area->caller;
	return false;
}

static void expect_our_own(struct run *run, const char *what, const void *area)
{
	const void *caller = NULL;

	vmapcache_walk(area, take_caller, &caller);
	expect(run, within_module((unsigned long)caller, THIS_MODULE), "%s: by %pS", what, caller);
}

/* An area belongs to the code that called, whatever function of vmapcache calls another one. */
static void callers(struct run *run)
{
	size_t size = 2 * KMALLOC_MAX_SIZE;
	void *p = vmapcache_kvmalloc(size, 1, GFP_KERNEL, NUMA_NO_NODE), *q;

	if (!expect(run, p, "kvmalloc"))
		return;
	expect_our_own(run, "kvmalloc", p);
	q = vmapcache_kvrealloc(p, size + PAGE_SIZE, 1, GFP_KERNEL, NUMA_NO_NODE);
	if (expect(run, q && q != p, "kvrealloc of an area"))
		expect_our_own(run, "kvrealloc of an area", q);
	vmapcache_kvfree(q ?: p);

	p = kmalloc(100, GFP_KERNEL);
	q = p ? vmapcache_kvrealloc(p, size, 1, GFP_KERNEL, NUMA_NO_NODE) : NULL;
	if (expect(run, q, "kvrealloc of kmalloc'ed memory"))
		expect_our_own(run, "kvrealloc of kmalloc'ed memory", q);
	vmapcache_kvfree(q ?: p);
}

/* ---- frees in contexts that must not sleep ---- */

struct atomic_free {
	struct irq_work work;
	struct work_struct reclaim;
	struct tasklet_struct tasklet;
	struct hrtimer timer;
	void *addr;
	bool hard;
	bool done;
};

static void note_context(struct atomic_free *free)
{
	free->hard = in_hardirq();
	/* Pairs with the waiter's acquire. */
	smp_store_release(&free->done, true);
}

static void free_in_irq_work(struct irq_work *work)
{
	struct atomic_free *free = container_of(work, struct atomic_free, work);

	vmapcache_vfree_atomic(free->addr);
	note_context(free);
}

static void free_in_tasklet(struct tasklet_struct *tasklet)
{
	struct atomic_free *free = from_tasklet(free, tasklet, tasklet);

	/* vfree() itself knows that it is in an interrupt. */
	vmapcache_vfree(free->addr);
	note_context(free);
}

static void free_in_ipi(void *data)
{
	struct atomic_free *free = data;

	vmapcache_vfree(free->addr);
	note_context(free);
}

static enum hrtimer_restart free_in_timer(struct hrtimer *timer)
{
	struct atomic_free *free = container_of(timer, struct atomic_free, timer);

	vmapcache_vfree_atomic(free->addr);
	note_context(free);
	return HRTIMER_NORESTART;
}

/* Like writeback or swap-out, which must make progress without memory. */
static void free_in_reclaim(struct work_struct *work)
{
	struct atomic_free *free = container_of(work, struct atomic_free, reclaim);
	unsigned int scope = memalloc_noreclaim_save();

	vmapcache_vfree(free->addr);
	memalloc_noreclaim_restore(scope);
	note_context(free);
}

/*
 * rounds=50: areas freed in an irq_work, a tasklet, another CPU's IPI, a timer, with
 * interrupts off, and in a work item of memory reclaim. When a free returns, nobody
 * finds the area any more; soon it is unmapped.
 */
static void atomic_frees(struct run *run)
{
	struct atomic_free *free = kzalloc(sizeof(*free), GFP_KERNEL);
	struct workqueue_struct *queue;
	unsigned int i, rounds = arg(run, "rounds", 50), tries, cpu, other;
	unsigned long flags;

	queue = alloc_workqueue("vmapcache_test", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!expect(run, free && queue, "no memory"))
		goto out;
	INIT_WORK(&free->reclaim, free_in_reclaim);
	init_hard_irq_work(&free->work, free_in_irq_work);
	tasklet_setup(&free->tasklet, free_in_tasklet);
	hrtimer_setup(&free->timer, free_in_timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);

	for (i = 0; i < rounds && !interrupted(); i++) {
		unsigned int how = i % 7, pages = i % 5 + 1;
		struct vmapcache_pin pin = {};

		free->done = false;
		free->addr = vmapcache_vmalloc(pages * PAGE_SIZE);
		if (!expect(run, free->addr, "round %u", i))
			break;
		if (i % 5 == 0)
			pin = vmapcache_pin(free->addr);
		switch (how) {
		case 0:
			irq_work_queue(&free->work);
			break;
		case 1:
			tasklet_schedule(&free->tasklet);
			break;
		case 2:
			cpu = get_cpu();
			other = cpumask_any_but(cpu_online_mask, cpu);
			if (other >= nr_cpu_ids)
				other = cpu;
			smp_call_function_single(other, free_in_ipi, free, 1);
			put_cpu();
			break;
		case 3:
			hrtimer_start(&free->timer, 0, HRTIMER_MODE_REL_HARD);
			break;
		case 4:
			local_irq_save(flags);
			vmapcache_vfree(free->addr);
			local_irq_restore(flags);
			free->done = true;
			break;
		case 5:
			local_bh_disable();
			vmapcache_vfree(free->addr);
			local_bh_enable();
			free->done = true;
			break;
		case 6:
			queue_work(queue, &free->reclaim);
			break;
		}
		/* Pairs with the release in note_context(). */
		for (tries = 0; !smp_load_acquire(&free->done) && tries < 2000; tries++)
			usleep_range(500, 1000);
		if (!expect(run, free->done, "context %u was never reached", how))
			break;
		/* A CPU that polls in its idle loop takes a call without an interrupt. */
		if (how == 0 || how == 3)
			expect(run, free->hard, "context %u is no hard interrupt", how);
		expect(run, !vmapcache_pin(free->addr).word, "context %u: still live", how);
		if (pin.word) {
			expect(run, readable(free->addr), "context %u: gone, but pinned", how);
			preempt_disable();
			vmapcache_unpin(&pin);
			preempt_enable();
		}
		for (tries = 0; tries < 200; tries++) {
			vmapcache_vm_unmap_aliases();
			if (!readable(free->addr))
				break;
			usleep_range(1000, 5000);
		}
		expect(run, tries < 200, "context %u: still mapped", how);
	}
	irq_work_sync(&free->work);
	tasklet_kill(&free->tasklet);
	hrtimer_cancel(&free->timer);
out:
	if (queue)
		destroy_workqueue(queue);
	kfree(free);
}

/*
 * areas=100: an interrupt frees areas, and nobody waits until the
 * worker has finished that.
 */
static void leave_to_worker(struct run *run)
{
	unsigned int areas = arg(run, "areas", 100), i;
	struct atomic_free *frees = kvcalloc(areas, sizeof(*frees), GFP_KERNEL);

	if (!expect(run, frees, "no memory"))
		return;
	for (i = 0; i < areas; i++) {
		init_hard_irq_work(&frees[i].work, free_in_irq_work);
		frees[i].addr = vmapcache_vmalloc((i % 5 + 1) * PAGE_SIZE);
		expect(run, frees[i].addr, "area %u", i);
	}
	for (i = 0; i < areas; i++) {
		irq_work_queue(&frees[i].work);
		irq_work_sync(&frees[i].work);
		expect(run, frees[i].hard, "area %u: no hard interrupt", i);
	}
	kvfree(frees);
}

struct in_interrupt {
	struct irq_work work;
	struct tasklet_struct tasklet;
	void *got[2];
	bool done;
};

static void allocate_here(struct in_interrupt *in)
{
	in->got[0] = vmapcache_vmalloc_gfp(PAGE_SIZE, GFP_ATOMIC);
	in->got[1] = vmapcache_vmalloc_gfp(4096 * PAGE_SIZE, GFP_NOWAIT | __GFP_NOWARN);
	/* Pairs with the acquire of the task that waits. */
	smp_store_release(&in->done, true);
}

static void allocate_in_irq_work(struct irq_work *work)
{
	allocate_here(container_of(work, struct in_interrupt, work));
}

static void allocate_in_tasklet(struct tasklet_struct *tasklet)
{
	struct in_interrupt *in = from_tasklet(in, tasklet, tasklet);

	allocate_here(in);
}

/* Allocations in interrupts: refused. With softirqs off a task may allocate. */
static void atomic_allocations(struct run *run)
{
	struct in_interrupt *in = kzalloc(sizeof(*in), GFP_KERNEL);
	unsigned int i, tries;
	void *p;

	if (!expect(run, in, "no memory"))
		return;
	init_hard_irq_work(&in->work, allocate_in_irq_work);
	tasklet_setup(&in->tasklet, allocate_in_tasklet);
	for (i = 0; i < 2; i++) {
		in->done = false;
		if (i)
			tasklet_schedule(&in->tasklet);
		else
			irq_work_queue(&in->work);
		/* Pairs with the release in allocate_here(). */
		for (tries = 0; !smp_load_acquire(&in->done) && tries < 2000; tries++)
			usleep_range(500, 1000);
		if (!expect(run, in->done, "context %u was never reached", i))
			break;
		expect(run, !in->got[0] && !in->got[1], "context %u was served", i);
		vmapcache_vfree(in->got[0]);
		vmapcache_vfree(in->got[1]);
	}
	irq_work_sync(&in->work);
	tasklet_kill(&in->tasklet);
	kfree(in);

	local_bh_disable();
	p = vmapcache_vmalloc_gfp(PAGE_SIZE, GFP_ATOMIC);
	local_bh_enable();
	expect(run, p, "refused with softirqs off");
	vmapcache_vfree(p);
}

/* A call that may sleep in a context that must not: a debug kernel reports it. */
static void sleep_in_atomic(struct run *run)
{
	void *p = vmapcache_vmalloc(PAGE_SIZE);

	note(run, "checked %d", IS_ENABLED(CONFIG_DEBUG_ATOMIC_SLEEP));
	if (IS_ENABLED(CONFIG_DEBUG_ATOMIC_SLEEP)) {
		preempt_disable();
		vmapcache_vfree(p);
		preempt_enable();
	} else {
		vmapcache_vfree(p);
	}
}

const struct test_case api_cases[] = {
	{ "sizes", sizes },
	{ "impossible", impossible },
	{ "alignments", alignments },
	{ "address_space", address_space },
	{ "tuning", tuning },
	{ "free_null", free_null },
	{ "bad_frees", bad_frees },
	{ "late_bad_free", late_bad_free },
	{ "gfp_flags", gfp_flags },
	{ "odd_flags", odd_flags },
	{ "nameless", nameless },
	{ "nodes", nodes },
	{ "vmaps", vmaps },
	{ "no_array", no_array },
	{ "given_areas", given_areas },
	{ "shrunk_areas", shrunk_areas },
	{ "vreallocs", vreallocs },
	{ "callers", callers },
	{ "atomic_frees", atomic_frees },
	{ "leave_to_worker", leave_to_worker },
	{ "atomic_allocations", atomic_allocations },
	{ "sleep_in_atomic", sleep_in_atomic },
	{}
};
