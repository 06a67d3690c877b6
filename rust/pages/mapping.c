// SPDX-License-Identifier: GPL-2.0
/*
 * Pages and page tables: what happens below an area's addresses.
 *
 * Each function does a whole step for a whole area, since Rust pays for every call.
 */
#include <linux/cacheflush.h>
#include <linux/gfp.h>
#include <linux/kmemleak.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "pages.h"
#include "shadow.h"
#include "symbols.h"

/* Pages asked of the bulk allocator at once: it works with preemption off. */
#define BULK_CHUNK	100UL

/* Areas of so many pages at most need no array, where their pages are neighbours. */
#define RUN_MAX		32UL

/* The pages of an area: those of an array or, where that is NULL, a run of neighbours. */
struct pages {
	struct page **array;
	struct page *run;
};

/* The flags of a request that say how to reclaim; mm/internal.h's GFP_RECLAIM_MASK. */
#define RECLAIM_FLAGS	(__GFP_RECLAIM | __GFP_HIGH | __GFP_IO | __GFP_FS | __GFP_NOWARN | \
			 __GFP_RETRY_MAYFAIL | __GFP_NOFAIL | __GFP_NORETRY | \
			 __GFP_MEMALLOC | __GFP_NOMEMALLOC | __GFP_NOLOCKDEP)

/*
 * Page tables are allocated with GFP_KERNEL whatever the caller asked for. The
 * task's memalloc scope carries the caller's limits down to them, as
 * memalloc_apply_gfp_scope() of 7.3 does, which is not exported.
 */
static unsigned int scope_enter(gfp_t gfp)
{
	if (!gfpflags_allow_blocking(gfp) || (gfp & (__GFP_RETRY_MAYFAIL | __GFP_NORETRY)))
		return memalloc_noreclaim_save();
	if ((gfp & (__GFP_FS | __GFP_IO)) == __GFP_IO)
		return memalloc_nofs_save();
	if (!(gfp & (__GFP_FS | __GFP_IO)))
		return memalloc_noio_save();
	return 0;
}

static void scope_leave(unsigned int scope)
{
	if (scope)
		memalloc_flags_restore(scope);
}

static int kernel_map(unsigned long addr, unsigned long nr, struct page **pages,
		      pgprot_t prot, gfp_t gfp)
{
	unsigned int scope = scope_enter(gfp);
	int err;

#ifdef VMAPCACHE_MAP_TAKES_GFP
	err = static_call(vc_vmap_pages_range_noflush)(addr, addr + nr * PAGE_SIZE, prot, pages,
						       PAGE_SHIFT, gfp & RECLAIM_FLAGS);
#else
	err = static_call(vc_vmap_pages_range_noflush)(addr, addr + nr * PAGE_SIZE, prot, pages,
						       PAGE_SHIFT);
#endif
	scope_leave(scope);
	return err;
}

static void name_run(struct page **names, struct page *run, unsigned long nr)
{
	while (nr--)
		*names++ = run++;
}

static noinline int map_first(unsigned long addr, unsigned long nr, struct pages pages,
			      pgprot_t prot, gfp_t gfp)
{
	struct page *names[RUN_MAX];

	if (!pages.array) {
		name_run(names, pages.run, nr);
		pages.array = names;
	}
	return kernel_map(addr, nr, pages.array, prot, gfp);
}

static void kernel_unmap(unsigned long addr, unsigned long nr)
{
	static_call(vc_vunmap_range_noflush)(addr, addr + nr * PAGE_SIZE);
}

/*
 * The arena's page tables, one pointer for each window that a table covers.
 *
 * The kernel's functions walk down from the top for each call, which costs ten times
 * what setting one PTE does. But a table, once made, stays until the arena goes:
 * the kernel takes tables of the vmalloc range away only to put a huge page in
 * their place, for whom the range belongs to. So the first mapping in a window is
 * the kernel's, which makes what is missing and tells other page tables of it; after
 * that the table is known, and its PTEs are written here.
 *
 * Two tasks never write one PTE: an area is one task's while it is mapped and while
 * it is unmapped.
 */
#if defined(CONFIG_X86_64) && !defined(CONFIG_KMSAN)

static pte_t **tables;
static unsigned long first_window;

/**
 * vc_tables_init() - get ready for mapping in a range where nothing is mapped
 * @base: its start
 * @nr: pages
 *
 * Context: Task context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int vc_tables_init(unsigned long base, unsigned long nr)
{
	unsigned long last_window = (base + nr * PAGE_SIZE - 1) >> PMD_SHIFT;

	first_window = base >> PMD_SHIFT;
	tables = kvcalloc(last_window - first_window + 1, sizeof(*tables), GFP_KERNEL);
	return tables ? 0 : -ENOMEM;
}

/**
 * vc_tables_exit() - undo vc_tables_init(), when nothing is mapped any more
 *
 * Context: Task context, may sleep.
 */
void vc_tables_exit(void)
{
	kvfree(tables);
}

static pte_t *known_table(unsigned long addr)
{
	return READ_ONCE(tables[(addr >> PMD_SHIFT) - first_window]);
}

static void note_table(unsigned long addr)
{
	unsigned int level;
	pte_t *pte = lookup_address(addr & PMD_MASK, &level);

	if (pte && level == PG_LEVEL_4K)
		WRITE_ONCE(tables[(addr >> PMD_SHIFT) - first_window], pte);
}

static int set_array(pte_t *pte, unsigned long nr, struct page **pages, pgprot_t prot)
{
	unsigned long i;

	for (i = 0; i < nr; i++, pte++) {
		if (WARN_ON_ONCE(!pages[i] || !pte_none(ptep_get(pte))))
			return -EINVAL;
		set_pte(pte, mk_pte(pages[i], prot));
	}
	return 0;
}

static int set_run(pte_t *pte, unsigned long nr, struct page *page, pgprot_t prot)
{
	unsigned long pfn = page_to_pfn(page);

	for (; nr; nr--, pte++, pfn++) {
		if (WARN_ON_ONCE(!pte_none(ptep_get(pte))))
			return -EINVAL;
		set_pte(pte, pfn_pte(pfn, prot));
	}
	return 0;
}

static int map_window(unsigned long addr, unsigned long nr, struct pages pages,
		      pgprot_t prot, gfp_t gfp)
{
	pte_t *pte = known_table(addr);

	if (unlikely(!pte)) {
		int err = map_first(addr, nr, pages, prot, gfp);

		if (!err)
			note_table(addr);
		return err;
	}
	pte += pte_index(addr);
	if (pages.array)
		return set_array(pte, nr, pages.array, prot);
	return set_run(pte, nr, pages.run, prot);
}

static void unmap_window(unsigned long addr, unsigned long nr)
{
	pte_t *pte = known_table(addr);

	if (unlikely(!pte)) {
		kernel_unmap(addr, nr);
		return;
	}
	for (pte += pte_index(addr); nr; nr--, pte++)
		set_pte(pte, __pte(0));
}

#else

int vc_tables_init(unsigned long base, unsigned long nr)
{
	return 0;
}

void vc_tables_exit(void)
{
}

static int map_window(unsigned long addr, unsigned long nr, struct pages pages,
		      pgprot_t prot, gfp_t gfp)
{
	return map_first(addr, nr, pages, prot, gfp);
}

static void unmap_window(unsigned long addr, unsigned long nr)
{
	kernel_unmap(addr, nr);
}

#endif

/* Pages from @addr on that lie in its window, of @nr. */
static unsigned long in_window(unsigned long addr, unsigned long nr)
{
	return min(nr, PTRS_PER_PTE - pte_index(addr));
}

static int map_pages(unsigned long addr, unsigned long nr, struct pages pages,
		     pgprot_t prot, gfp_t gfp)
{
	unsigned long end = addr + nr * PAGE_SIZE, at = addr;

	for (;;) {
		unsigned long step = in_window(at, nr);
		int err = map_window(at, step, pages, prot, gfp);

		if (unlikely(err))
			return err;
		nr -= step;
		if (likely(!nr))
			break;
		at += step * PAGE_SIZE;
		if (pages.array)
			pages.array += step;
		else
			pages.run += step;
		if (gfpflags_allow_blocking(gfp))
			cond_resched();
	}
	flush_cache_vmap(addr, end);
	return 0;
}

/**
 * vc_map() - map pages into an area
 * @addr: the area's start
 * @nr: pages
 * @pages: the pages
 * @prot: value of a pgprot_t
 *
 * Context: Task context, may sleep.
 * Return: 0 or an error, after which some pages may be mapped.
 */
int vc_map(unsigned long addr, unsigned long nr, struct page **pages,
	   unsigned long prot)
{
	int err = map_pages(addr, nr, (struct pages){ .array = pages },
			    pgprot_nx(__pgprot(prot)), GFP_KERNEL);

	if (!err)
		shadow_open(addr, nr * PAGE_SIZE, nr * PAGE_SIZE);
	return err;
}

/**
 * vc_kernel_map() - map pages by the kernel's functions alone, anywhere
 * @addr: start
 * @nr: pages
 * @pages: the pages
 * @prot: value of a pgprot_t
 *
 * The yardstick of the laboratory.
 *
 * Context: Task context, may sleep.
 * Return: 0 or an error.
 */
int vc_kernel_map(unsigned long addr, unsigned long nr, struct page **pages,
		  unsigned long prot)
{
	return kernel_map(addr, nr, pages, __pgprot(prot), GFP_KERNEL);
}

/**
 * vc_kernel_unmap() - clear PTEs by the kernel's functions alone
 * @addr: start
 * @nr: pages
 *
 * Context: Task context, may sleep.
 */
void vc_kernel_unmap(unsigned long addr, unsigned long nr)
{
	kernel_unmap(addr, nr);
}

/**
 * vc_unmap() - clear the PTEs of an area, without a TLB flush
 * @addr: its start
 * @nr: pages
 *
 * Context: Task context, may sleep.
 */
void vc_unmap(unsigned long addr, unsigned long nr)
{
	flush_cache_vunmap(addr, addr + nr * PAGE_SIZE);
	shadow_close(addr, nr * PAGE_SIZE);
	for (;;) {
		unsigned long step = in_window(addr, nr);

		unmap_window(addr, step);
		nr -= step;
		if (likely(!nr))
			break;
		addr += step * PAGE_SIZE;
		cond_resched();
	}
}

/**
 * vc_flush() - flush a range from the TLBs of all CPUs
 * @addr: its start
 * @nr: pages
 *
 * Context: Interrupts enabled. Does not sleep.
 */
void vc_flush(unsigned long addr, unsigned long nr)
{
	static_call(vc_flush_tlb_kernel_range)(addr, addr + nr * PAGE_SIZE);
}

static struct page *alloc_run(gfp_t gfp, int node, unsigned int order)
{
	if (node == NUMA_NO_NODE)
		return alloc_pages(gfp, order);
	return alloc_pages_node(node, gfp, order);
}

/* Neighbours, if they can be had without effort: pages of their own each. */
static struct page *alloc_neighbours(gfp_t gfp, int node, unsigned int order)
{
	struct page *page;

	page = alloc_run(gfp & ~(__GFP_DIRECT_RECLAIM | __GFP_NOFAIL), node, order);
	if (page)
		split_page(page, order);
	return page;
}

/*
 * The pages of a small area in one run, if that can be had without effort; a single one
 * with all the effort that @gfp allows.
 */
static struct page *alloc_whole(unsigned long nr, gfp_t gfp, int node)
{
	if (nr == 1)
		return alloc_run(gfp, node, 0);
	if (!is_power_of_2(nr) || nr > RUN_MAX)
		return NULL;
	return alloc_neighbours(gfp, node, ilog2(nr));
}

/*
 * Fills @pages: first runs as large as can be had without effort, split into
 * pages, then in bulk, then page by page with all the effort that @gfp allows.
 * Returns how many were had. @gfp carries __GFP_NOWARN: failure is reported by
 * whoever knows what was asked.
 */
static unsigned long fill_pages(struct page **pages, unsigned long nr, gfp_t gfp, int node)
{
	unsigned int limit = MAX_PAGE_ORDER;
	unsigned long done = 0;

	while (limit && nr - done > 1) {
		unsigned int order = min_t(unsigned int, limit, ilog2(nr - done));
		struct page *page = alloc_neighbours(gfp, node, order);
		unsigned long i;

		if (!page) {
			limit = order - 1;
			continue;
		}
		for (i = 0; i < 1UL << order; i++)
			pages[done++] = page + i;
	}

	while (done < nr) {
		unsigned long want = min(nr - done, BULK_CHUNK);
		unsigned long got;

		if (want == 1)
			break;
		/* The bulk allocator fills the empty entries of the array. */
		memset(pages + done, 0, want * sizeof(*pages));
		got = node == NUMA_NO_NODE ? alloc_pages_bulk(gfp, want, pages + done) :
			alloc_pages_bulk_node(gfp, node, want, pages + done);
		done += got;
		if (got != want)
			break;
	}

	while (done < nr) {
		if (!(gfp & __GFP_NOFAIL) && fatal_signal_pending(current))
			break;
		pages[done] = alloc_run(gfp, node, 0);
		if (!pages[done])
			break;
		done++;
	}
	return done;
}

/**
 * vc_put_pages() - free pages and the array that names them
 * @nr: pages
 * @pages: the array, kmalloc'ed or vmalloc'ed
 *
 * Context: Task context, may sleep.
 */
void vc_put_pages(unsigned long nr, struct page **pages)
{
	static_call(vc_free_pages_bulk)(pages, nr);
	kvfree(pages);
}

static noinline void put_run(unsigned long nr, struct page *run)
{
	struct page *names[RUN_MAX];

	name_run(names, run, nr);
	static_call(vc_free_pages_bulk)(names, nr);
}

static void put_payload(unsigned long nr, unsigned long payload)
{
	struct page *run = (struct page *)(payload - VC_RUN);

	if (!(payload & VC_RUN))
		vc_put_pages(nr, (struct page **)payload);
	else if (nr == 1)
		__free_page(run);
	else
		put_run(nr, run);
}

/* The pages of an area one by one, in an array. */
static struct page **alloc_array(unsigned long nr, gfp_t gfp, int node)
{
	struct page **pages;
	unsigned long got;

	if (nr == 1)
		return NULL;
	pages = kvmalloc_node(array_size(nr, sizeof(*pages)),
			      (gfp & RECLAIM_FLAGS) | __GFP_NOWARN, node);
	if (unlikely(!pages))
		return NULL;
	got = fill_pages(pages, nr, gfp, node);
	if (unlikely(got < nr)) {
		vc_put_pages(got, pages);
		return NULL;
	}
	return pages;
}

/**
 * vc_populate() - allocate an area's pages and map them
 * @addr: the area's start
 * @nr: pages, at least 1
 * @gfp: as given to __vmalloc()
 * @node: NUMA node, or NUMA_NO_NODE
 * @payload: set to what vc_depopulate() needs: the first page and VC_RUN, where the
 *	others follow it, else the array of the pages
 *
 * Context: Task context; atomic if @gfp does not allow blocking.
 * Return: 0, -ENOMEM where no memory was to be had and no PTE was set, or -EAGAIN
 *	where page tables failed: nothing is mapped any more, but PTEs have been
 *	set, so that the addresses need a flush.
 */
int vc_populate(unsigned long addr, unsigned long nr, gfp_t gfp, int node,
		unsigned long *payload)
{
	bool nofail = (gfp & __GFP_NOFAIL) && gfpflags_allow_blocking(gfp);
	struct pages pages = { };
	int err;

	gfp |= __GFP_NOWARN;
	if (!(gfp & (GFP_DMA | GFP_DMA32)))
		gfp |= __GFP_HIGHMEM;

	pages.run = alloc_whole(nr, gfp, node);
	if (likely(pages.run)) {
		*payload = (unsigned long)pages.run + VC_RUN;
	} else {
		pages.array = alloc_array(nr, gfp, node);
		if (unlikely(!pages.array))
			return -ENOMEM;
		*payload = (unsigned long)pages.array;
	}

	while (unlikely(err = map_pages(addr, nr, pages, PAGE_KERNEL, gfp))) {
		vc_unmap(addr, nr);
		if (!nofail) {
			put_payload(nr, *payload);
			return -EAGAIN;
		}
		schedule_timeout_uninterruptible(1);
	}
	shadow_open(addr, nr * PAGE_SIZE, nr * PAGE_SIZE);
	kmemleak_alloc((void *)addr, nr * PAGE_SIZE, 1, gfp);
	return 0;
}

/**
 * vc_depopulate() - unmap an area and free its pages, without a TLB flush
 * @addr: its start
 * @nr: pages
 * @payload: as vc_populate() set it
 *
 * Context: Task context, may sleep.
 */
void vc_depopulate(unsigned long addr, unsigned long nr, unsigned long payload)
{
	kmemleak_free((void *)addr);
	vc_unmap(addr, nr);
	put_payload(nr, payload);
}
