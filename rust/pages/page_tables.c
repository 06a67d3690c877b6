// SPDX-License-Identifier: GPL-2.0
/*
 * The page tables of the arena: sets and clears PTEs, and flushes TLBs.
 */
#include <linux/bitmap.h>
#include <linux/cacheflush.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <trace/events/vmapcache.h>

#include "pages.h"
#include "payload.h"
#include "shadow.h"
#include "symbols.h"

/*
 * The kernel allocates page tables with GFP_KERNEL whatever the caller asked for. The
 * task's memalloc scope carries the caller's limits down to them, as the kernel's own
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
		      pgprot_t prot, gfp_t gfp, unsigned int shift)
{
	unsigned int scope = scope_enter(gfp);
	int err;

#ifdef VMAPCACHE_MAP_TAKES_GFP
	err = static_call(vc_vmap_pages_range_noflush)(addr, addr + nr * PAGE_SIZE, prot, pages,
						       shift, gfp & RECLAIM_FLAGS);
#else
	err = static_call(vc_vmap_pages_range_noflush)(addr, addr + nr * PAGE_SIZE, prot, pages,
						       shift);
#endif
	scope_leave(scope);
	return err;
}

static noinline int map_first(unsigned long addr, unsigned long nr, unsigned long payload,
			      pgprot_t prot, gfp_t gfp)
{
	struct page *names[RUN_MAX];

	if (!(payload & VC_RUN))
		return kernel_map(addr, nr, array_of(payload), prot, gfp, PAGE_SHIFT);
	name_run(names, run_of(payload), nr);
	return kernel_map(addr, nr, names, prot, gfp, PAGE_SHIFT);
}

static void kernel_unmap(unsigned long addr, unsigned long nr)
{
	static_call(vc_vunmap_range_noflush)(addr, addr + nr * PAGE_SIZE);
}

/*
 * The arena's page tables, one pointer for each window that a table covers.
 *
 * The kernel's functions walk down from the top at each call, which costs ten times as
 * much as setting one PTE. But a table, once made, stays until the arena goes or a
 * huge page takes its place: the kernel removes tables of the vmalloc range only for
 * that, and only where one area has the whole window. So the kernel's function does the
 * first mapping in a window: it makes missing tables and tells other page tables of them.
 * After that this file knows the table, and writes its PTEs itself.
 *
 * A huge page comes in two ways. map_huge() asks for one, and has forgotten the table
 * before. And set_memory_rox() may put one in the place of 512 PTEs that are alike: so
 * vc_unmap() looks whether the table of a whole window is still there.
 *
 * Two tasks never write the same PTE: one task has the area while it maps it, and one
 * while it unmaps it.
 */
static unsigned long first_window;

static unsigned long window_of(unsigned long addr)
{
	return (addr >> PMD_SHIFT) - first_window;
}

/* Whether a table of PTEs maps @addr, not one entry with all around it. */
static bool has_table(unsigned long addr)
{
#ifdef CONFIG_X86_64
	unsigned int level;

	return lookup_address(addr, &level) && level == PG_LEVEL_4K;
#else
	/* Nobody makes a huge page of a mapping that is there. */
	return true;
#endif
}

#if defined(CONFIG_X86_64) && !defined(CONFIG_KMSAN)

static pte_t **tables;

static int own_tables_init(unsigned long windows)
{
	tables = kvcalloc(windows, sizeof(*tables), GFP_KERNEL);
	return tables ? 0 : -ENOMEM;
}

static void own_tables_exit(void)
{
	kvfree(tables);
}

static pte_t *known_table(unsigned long addr)
{
	return READ_ONCE(tables[window_of(addr)]);
}

static void forget_table(unsigned long addr)
{
	WRITE_ONCE(tables[window_of(addr)], NULL);
}

static void note_table(unsigned long addr)
{
	unsigned int level;
	pte_t *pte = lookup_address(addr & PMD_MASK, &level);

	if (pte && level == PG_LEVEL_4K)
		WRITE_ONCE(tables[window_of(addr)], pte);
}

static int set_array(pte_t *pte, unsigned long nr, struct page **pages, pgprot_t prot)
{
	unsigned long i;

	for (i = 0; i < nr; i++, pte++) {
		if (WARN_ON_ONCE(!pte_none(ptep_get(pte))))
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

static int map_window(unsigned long addr, unsigned long nr, unsigned long payload,
		      pgprot_t prot, gfp_t gfp)
{
	pte_t *pte = known_table(addr);

	if (unlikely(!pte)) {
		int err = map_first(addr, nr, payload, prot, gfp);

		if (!err)
			note_table(addr);
		return err;
	}
	pte += pte_index(addr);
	if (payload & VC_RUN)
		return set_run(pte, nr, run_of(payload), prot);
	return set_array(pte, nr, array_of(payload), prot);
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

static int own_tables_init(unsigned long windows)
{
	return 0;
}

static void own_tables_exit(void)
{
}

static void forget_table(unsigned long addr)
{
}

static int map_window(unsigned long addr, unsigned long nr, unsigned long payload,
		      pgprot_t prot, gfp_t gfp)
{
	return map_first(addr, nr, payload, prot, gfp);
}

static void unmap_window(unsigned long addr, unsigned long nr)
{
	kernel_unmap(addr, nr);
}

#endif

/*
 * Windows that a huge page may map. The area that has the whole window has the bit, too: others look
 * at bits of their own windows alone.
 */
static unsigned long *huge_windows;

/**
 * vc_tables_init() - prepare for mapping in a range where nothing is mapped
 * @base: its start
 * @nr: pages
 *
 * Context: Task context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int vc_tables_init(unsigned long base, unsigned long nr)
{
	unsigned long windows;
	int err;

	first_window = base >> PMD_SHIFT;
	windows = window_of(base + nr * PAGE_SIZE - 1) + 1;
	huge_windows = kvcalloc(BITS_TO_LONGS(windows), sizeof(*huge_windows), GFP_KERNEL);
	if (!huge_windows)
		return -ENOMEM;
	err = own_tables_init(windows);
	if (err)
		kvfree(huge_windows);
	return err;
}

/**
 * vc_tables_exit() - undo vc_tables_init(); nothing is mapped any more
 *
 * Context: Task context, may sleep.
 */
void vc_tables_exit(void)
{
	own_tables_exit();
	kvfree(huge_windows);
}

/* allocator.rs computes it so. */
static_assert(PAGE_SIZE * (PAGE_SIZE / 8) == PMD_SIZE);

/* Whether one entry may map @addr, which is mapped, and all of its window. */
static bool is_huge(unsigned long addr)
{
	return test_bit(window_of(addr), huge_windows) || !has_table(addr);
}

/* Whether one entry can map the pages of a whole window: neighbours, the first of them aligned. */
static bool fit_huge(struct page **pages)
{
	unsigned long pfn = page_to_pfn(pages[0]), i;

	if (!IS_ALIGNED(pfn, PTRS_PER_PTE))
		return false;
	for (i = 1; i < PTRS_PER_PTE; i++)
		if (page_to_pfn(pages[i]) != pfn + i)
			return false;
	return true;
}

/*
 * Maps a whole window. The kernel frees its table, if there is one, after a flush of what CPUs keep
 * of tables; or, if it may not now, maps page by page.
 */
static int map_huge(unsigned long addr, struct page **pages, pgprot_t prot, gfp_t gfp)
{
	forget_table(addr);
	set_bit(window_of(addr), huge_windows);
	return kernel_map(addr, PTRS_PER_PTE, pages, prot, gfp, PMD_SHIFT);
}

/* The owner of a whole window unmaps it: its table may have gone. */
static noinline void leave_window(unsigned long addr)
{
	if (!has_table(addr))
		forget_table(addr);
	clear_bit(window_of(addr), huge_windows);
}

/**
 * vc_tables_whole() - the end of the mapping that holds a page
 * @addr: an address inside an area, which the caller has
 * @nr: its page in the area
 *
 * Context: Any.
 * Return: @nr, or the page behind the huge page if @nr is inside one.
 */
unsigned long vc_tables_whole(unsigned long addr, unsigned long nr)
{
	unsigned long inside = pte_index(addr);

	return inside && is_huge(addr) ? nr + PTRS_PER_PTE - inside : nr;
}

/**
 * vc_tables_any_huge() - whether huge pages may map a part of an area, which the caller has
 * @addr: its start
 * @nr: pages
 *
 * Context: Any.
 */
bool vc_tables_any_huge(unsigned long addr, unsigned long nr)
{
	unsigned long end = window_of(addr + nr * PAGE_SIZE);

	return find_next_bit(huge_windows, end, window_of(addr + PMD_SIZE - 1)) < end;
}

/* How many of the @nr pages from @addr on are in its window. */
static unsigned long in_window(unsigned long addr, unsigned long nr)
{
	return min(nr, PTRS_PER_PTE - pte_index(addr));
}

static __always_inline int tables_map(unsigned long addr, unsigned long nr,
				      unsigned long payload, pgprot_t prot, gfp_t gfp,
				      const bool huge)
{
	unsigned long end = addr + nr * PAGE_SIZE, at = addr;

	for (;;) {
		unsigned long step = in_window(at, nr);
		int err;

		if (huge && step == PTRS_PER_PTE && fit_huge(array_of(payload)))
			err = map_huge(at, array_of(payload), prot, gfp);
		else
			err = map_window(at, step, payload, prot, gfp);
		if (unlikely(err))
			return err;
		nr -= step;
		if (likely(!nr))
			break;
		at += step * PAGE_SIZE;
		payload += step * (payload & VC_RUN ? sizeof(struct page) : sizeof(struct page *));
		if (gfpflags_allow_blocking(gfp))
			cond_resched();
	}
	flush_cache_vmap(addr, end);
	return 0;
}

/**
 * vc_tables_map() - set the PTEs of an area
 * @addr: its start
 * @nr: pages
 * @payload: the pages: the first of a run and VC_RUN, or their array
 * @prot: protection
 * @gfp: for page tables; may sleep if it allows blocking
 *
 * Context: Task context; atomic if @gfp does not allow blocking.
 * Return: 0 or an error, after which some PTEs may be set.
 */
int vc_tables_map(unsigned long addr, unsigned long nr, unsigned long payload, pgprot_t prot,
		  gfp_t gfp)
{
	return tables_map(addr, nr, payload, prot, gfp, false);
}

/**
 * vc_tables_map_huge() - as vc_tables_map(), with huge pages where pages and addresses fit
 * @addr: start of the area
 * @nr: pages
 * @payload: their array
 * @prot: protection
 * @gfp: for page tables
 *
 * Context: Task context, may sleep.
 * Return: 0 or an error, after which a part may be mapped.
 */
int vc_tables_map_huge(unsigned long addr, unsigned long nr, unsigned long payload, pgprot_t prot,
		       gfp_t gfp)
{
	return tables_map(addr, nr, payload, prot, gfp, true);
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
#ifdef VMAPCACHE_FLUSH_IS_INLINE
	flush_tlb_kernel_range(addr, addr + nr * PAGE_SIZE);
#else
	static_call(vc_flush_tlb_kernel_range)(addr, addr + nr * PAGE_SIZE);
#endif
	trace_flush(addr, addr + nr * PAGE_SIZE);
}

/**
 * vc_flush_unmapped() - flush a range that was just unmapped, if the kernel runs with debug_pagealloc=on
 * @addr: its start
 * @nr: pages
 *
 * Then each use of memory that was freed faults at once, as in-tree. The manager flushes once more.
 *
 * Context: Interrupts enabled. Does not sleep.
 */
void vc_flush_unmapped(unsigned long addr, unsigned long nr)
{
	if (debug_pagealloc_enabled_static())
		vc_flush(addr, nr);
}

/**
 * vc_unmap() - clear the PTEs of an area, without a TLB flush: but see vc_flush_unmapped()
 * @addr: its start
 * @nr: pages
 *
 * Context: Task context, may sleep.
 */
void vc_unmap(unsigned long addr, unsigned long nr)
{
	unsigned long at = addr, left = nr;

	flush_cache_vunmap(addr, addr + nr * PAGE_SIZE);
	shadow_close(addr, nr * PAGE_SIZE);
	for (;;) {
		unsigned long step = in_window(at, left);

		if (unlikely(step == PTRS_PER_PTE))
			leave_window(at);
		unmap_window(at, step);
		left -= step;
		if (likely(!left))
			break;
		at += step * PAGE_SIZE;
		cond_resched();
	}
	vc_flush_unmapped(addr, nr);
}
