/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Questions about memory, each a function that returns its answer as a number.
 *
 * Two files include this one: questions_in_tree.c, and questions_ours.c behind
 * vmapcache.h with VMAPCACHE_DROPIN. So the same lines ask both allocators.
 * differential.c compares the answers.
 */
#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/hash.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

#include "differential.h"
#include "vmapcache_test.h"

/* The bits of an answer about a piece of memory. */
enum {
	SERVED = 1, PAGE_START = 2, VMALLOC_ADDR = 4, ALL_PAGES = 8, GUARD_PAGE = 16, ALL_ZERO = 32,
	SINGLE_PAGES = 64, NO_EXEC = 128, WRITABLE = 256, BELOW_4G = 512,
};

static u64 look(void *addr, unsigned long bytes)
{
	unsigned long pages = DIV_ROUND_UP(bytes, PAGE_SIZE), i;
	u64 answer = SERVED;
	pte_t *pte;

	if (!addr)
		return 0;
	if (!is_vmalloc_addr(addr))
		return answer;
	if (PAGE_ALIGNED(addr))
		answer |= PAGE_START;
	answer |= VMALLOC_ADDR | ALL_PAGES | SINGLE_PAGES | NO_EXEC | WRITABLE | BELOW_4G;
	for (i = 0; i < pages; i++) {
		struct page *page = vmalloc_to_page(addr + i * PAGE_SIZE);

		pte = kernel_pte(addr + i * PAGE_SIZE);
		if (!page || !pte) {
			answer &= ~ALL_PAGES;
			break;
		}
		if (PageCompound(page))
			answer &= ~SINGLE_PAGES;
		if (page_to_pfn(page) >> (32 - PAGE_SHIFT))
			answer &= ~BELOW_4G;
		if (!pte_no_exec(*pte))
			answer &= ~NO_EXEC;
		if (!pte_write(*pte))
			answer &= ~WRITABLE;
	}
	if (!readable(addr + pages * PAGE_SIZE))
		answer |= GUARD_PAGE;
	if (!memchr_inv(addr, 0, bytes))
		answer |= ALL_ZERO;
	return answer;
}

/* Looks at new memory, and uses it to the last byte. Small machines have all below 4 GiB. */
static u64 look_and_use(void *addr, unsigned long bytes)
{
	u64 answer = look(addr, bytes) & ~BELOW_4G;

	if (addr)
		memset(addr, 0xa5, bytes);
	return answer;
}

/* Then frees it. Where nobody asked for zeros, some kernels have them by chance. */
static u64 look_and_vfree(void *addr, unsigned long bytes)
{
	u64 answer = look_and_use(addr, bytes) & ~ALL_ZERO;

	vfree(addr);
	return answer;
}

static u64 look_and_kvfree(void *addr, unsigned long bytes)
{
	u64 answer = look_and_use(addr, bytes) & ~ALL_ZERO;

	kvfree(addr);
	return answer;
}

static u64 zeros_and_vfree(void *addr, unsigned long bytes)
{
	u64 answer = look_and_use(addr, bytes);

	vfree(addr);
	return answer;
}

static u64 zeros_and_kvfree(void *addr, unsigned long bytes)
{
	u64 answer = look_and_use(addr, bytes);

	kvfree(addr);
	return answer;
}

#define PAGES(n)	((n) * PAGE_SIZE)

/* ---- each function that allocates ---- */

static u64 of_vmalloc(void)		{ return look_and_vfree(vmalloc(PAGES(3) + 5), PAGES(3) + 5); }
static u64 of_vzalloc(void)		{ return zeros_and_vfree(vzalloc(PAGES(3) + 5), PAGES(3) + 5); }
static u64 of_vmalloc_node(void)	{ return look_and_vfree(vmalloc_node(PAGES(3), 0), PAGES(3)); }
static u64 of_vzalloc_node(void)	{ return zeros_and_vfree(vzalloc_node(PAGES(3), 0), PAGES(3)); }
static u64 of_vmalloc_user(void)	{ return zeros_and_vfree(vmalloc_user(PAGES(3)), PAGES(3)); }
static u64 of_vmalloc_32(void)		{ return look_and_vfree(vmalloc_32(PAGES(3)), PAGES(3)); }
static u64 of_vmalloc_32_user(void)	{ return zeros_and_vfree(vmalloc_32_user(PAGES(3)), PAGES(3)); }
static u64 of_vmalloc_huge(void)
{
	return look_and_vfree(vmalloc_huge(PAGES(3), GFP_KERNEL), PAGES(3));
}

static u64 of_vmalloc_huge_node(void)
{
	return look_and_vfree(vmalloc_huge_node(PAGES(3), GFP_KERNEL, 0), PAGES(3));
}

static u64 of_vmalloc_array(void)	{ return look_and_vfree(vmalloc_array(3, PAGE_SIZE), PAGES(3)); }
static u64 of_vcalloc(void)		{ return zeros_and_vfree(vcalloc(3, PAGE_SIZE), PAGES(3)); }
static u64 of_array_gfp(void)
{
	return look_and_vfree(__vmalloc_array(3, PAGE_SIZE, GFP_KERNEL), PAGES(3));
}

static u64 of_calloc_gfp(void)
{
	return zeros_and_vfree(__vcalloc(3, PAGE_SIZE, GFP_KERNEL), PAGES(3));
}

static u64 of_overflow(void)
{
	return vmalloc_array(SIZE_MAX, 2) || vcalloc(SIZE_MAX / 2, 4) ||
		kvmalloc_array(SIZE_MAX, 2, GFP_KERNEL) || kvcalloc(SIZE_MAX, 2, GFP_KERNEL);
}

static u64 of_vrealloc_null(void)
{
	return look_and_vfree(vrealloc(NULL, PAGES(3), GFP_KERNEL), PAGES(3));
}

static u64 of_vrealloc_node_align(void)
{
	void *p = vrealloc_node_align(NULL, PAGES(3), PAGES(8), GFP_KERNEL, 0);
	bool aligned = IS_ALIGNED((unsigned long)p, PAGES(8));

	return look_and_vfree(p, PAGES(3)) | aligned << 16;
}

static u64 of_kvmalloc_small(void)	{ return look_and_kvfree(kvmalloc(100, GFP_KERNEL), 100); }
static u64 of_kvmalloc_huge(void)	{ return look_and_kvfree(kvmalloc(SZ_16M, GFP_KERNEL), SZ_16M); }
static u64 of_kvzalloc_huge(void)	{ return zeros_and_kvfree(kvzalloc(SZ_16M, GFP_KERNEL), SZ_16M); }
static u64 of_kvcalloc_huge(void)
{
	return zeros_and_kvfree(kvcalloc(SZ_16M / 64, 64, GFP_KERNEL), SZ_16M);
}

static u64 of_kvmalloc_node(void)
{
	return look_and_kvfree(kvmalloc_node(SZ_16M, GFP_KERNEL, 0), SZ_16M);
}

static u64 of_kvmalloc_2g(void)
{
	return !!kvmalloc((size_t)INT_MAX + 1, GFP_KERNEL | __GFP_NOWARN);
}

static u64 of_kvrealloc(void)
{
	u8 *p = kvmalloc(100, GFP_KERNEL), *q;
	u64 answer;

	p[99] = 7;
	q = kvrealloc(p, SZ_16M, GFP_KERNEL);
	answer = q && q[99] == 7;
	p = kvrealloc(q, SZ_16M + PAGES(8), GFP_KERNEL);
	answer |= (p && p[99] == 7) << 1;
	return answer | (look_and_kvfree(p, SZ_16M + PAGES(8)) & VMALLOC_ADDR);
}

/* ---- who frees what: pages that do not come back are counted by differential.c ---- */

static u64 free_kvmalloced_by_vfree(void)
{
	u64 answer = 0;
	void *p = kvmalloc(SZ_16M, GFP_KERNEL);

	answer = !!p;
	vfree(p);
	return answer;
}

static u64 free_vmalloced_by_kvfree(void)
{
	void *p = vmalloc(PAGES(3));

	kvfree(p);
	p = vmalloc(PAGES(3));
	kvfree_sensitive(p, PAGES(3));
	p = vmalloc(PAGES(3));
	kvfree_atomic(p);
	return 1;
}

static u64 free_by_cleanup(void)
{
	void *p __free(kvfree) = vmalloc(PAGES(3));
	void *q __free(kvfree) = kvmalloc(64, GFP_KERNEL);

	return p && q;
}

struct with_head {
	struct rcu_head rcu;
	u8 bytes[PAGE_SIZE / 2];
};

static u64 free_by_rcu(void)
{
	struct with_head *a = vmalloc(sizeof(*a)), *b = kvmalloc(sizeof(*b), GFP_KERNEL);
	void *c = vmalloc(64);

	kvfree_rcu(a, rcu);
	kvfree_rcu(b, rcu);
	kvfree_rcu_mightsleep(c);
	return 1;
}

/* Memory that a function of the kernel allocated by the in-tree allocator. */
static u64 free_of_the_kernels(void)
{
	void *large = kzalloc(SZ_1M, GFP_KERNEL), *p = kvmemdup(large, SZ_1M, GFP_KERNEL);

	kfree(large);
	if (!p)
		return 0;
	p = kvrealloc(p, SZ_2M, GFP_KERNEL);
	kvfree(p);
	return 1;
}

static u64 free_null(void)
{
	vfree(NULL);
	vunmap(NULL);
	kvfree(NULL);
	kvfree_sensitive(NULL, 5);
	kvfree(ZERO_SIZE_PTR);
	return 1;
}

static void free_in_interrupt(struct irq_work *work);
static struct {
	struct irq_work work;
	void *addr;
	bool done;
} in_interrupt = { .work = IRQ_WORK_INIT_HARD(free_in_interrupt) };

static void free_in_interrupt(struct irq_work *work)
{
	vfree(in_interrupt.addr);
	WRITE_ONCE(in_interrupt.done, true);
}

static u64 free_in_hard_interrupt(void)
{
	in_interrupt.done = false;
	in_interrupt.addr = vmalloc(PAGES(3));
	irq_work_queue(&in_interrupt.work);
	irq_work_sync(&in_interrupt.work);
	return READ_ONCE(in_interrupt.done);
}

static u64 free_in_bottom_half(void)
{
	void *p = vmalloc(PAGES(3));

	local_bh_disable();
	vfree(p);
	local_bh_enable();
	return 1;
}

/* ---- gfp flags ---- */

static u64 served_with(gfp_t gfp)
{
	return look_and_vfree(__vmalloc(PAGES(5), gfp), PAGES(5));
}

static u64 gfp_kernel(void)		{ return served_with(GFP_KERNEL); }
static u64 gfp_zero(void)
{
	return zeros_and_vfree(__vmalloc(PAGES(5), GFP_KERNEL | __GFP_ZERO), PAGES(5));
}

static u64 gfp_nofs(void)		{ return served_with(GFP_NOFS); }
static u64 gfp_noio(void)		{ return served_with(GFP_NOIO); }
static u64 gfp_user(void)		{ return served_with(GFP_USER); }
static u64 gfp_account(void)		{ return served_with(GFP_KERNEL_ACCOUNT); }
static u64 gfp_noretry(void)		{ return served_with(GFP_KERNEL | __GFP_NORETRY); }
static u64 gfp_mayfail(void)		{ return served_with(GFP_KERNEL | __GFP_RETRY_MAYFAIL); }
static u64 gfp_nofail(void)		{ return served_with(GFP_KERNEL | __GFP_NOFAIL); }

static u64 gfp_atomic(void)
{
	void *p;

	no_sleep_begin();
	p = __vmalloc(PAGES(5), GFP_ATOMIC);
	no_sleep_end();
	return look_and_vfree(p, PAGES(5));
}

static u64 gfp_nowait(void)
{
	void *p;

	no_sleep_begin();
	p = __vmalloc(PAGES(5), GFP_NOWAIT);
	no_sleep_end();
	return look_and_vfree(p, PAGES(5));
}

/* Flags that vmalloc() does not support are left out, at each entry. */
static u64 gfp_comp(void)		{ return served_with(GFP_KERNEL | __GFP_COMP); }
static u64 gfp_comp_huge(void)
{
	return look_and_vfree(vmalloc_huge_node(PAGES(16), GFP_KERNEL | __GFP_COMP, 0), PAGES(16));
}

static u64 gfp_comp_array(void)
{
	return look_and_vfree(__vmalloc_array(16, PAGE_SIZE, GFP_KERNEL | __GFP_COMP), PAGES(16));
}

/* A task with a pending SIGKILL asks for these pages; the answer has a bit for each that it got. */
struct killed {
	struct completion over;
	u64 answer;
};

static int ask_killed(void *data)
{
	static const unsigned int pages[] = { 1, 2, 3, 5, 9, 33, 100, 101, 700, 5000 };
	struct killed *killed = data;
	unsigned int i;

	allow_signal(SIGKILL);
	send_sig(SIGKILL, current, 1);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		void *p = vmalloc(PAGES(pages[i]));

		killed->answer |= (u64)!!p << i;
		vfree(p);
	}
	killed->answer |= (u64)!!fatal_signal_pending(current) << 32;
	flush_signals(current);
	kthread_complete_and_exit(&killed->over, 0);
}

static u64 served_when_killed(void)
{
	struct killed killed = { .over = COMPLETION_INITIALIZER_ONSTACK(killed.over) };

	if (IS_ERR(kthread_run(ask_killed, &killed, "vmapcache_killed")))
		return 0;
	wait_for_completion(&killed.over);
	return killed.answer;
}

/* ---- mappings ---- */

static u64 map_pages(pgprot_t prot)
{
	struct page **pages = pages_alloc(5);
	void *p = vmap(pages, 5, VM_MAP, prot);
	u64 answer = look(p, PAGES(5)) & ~(BELOW_4G | ALL_ZERO);
	pte_t *pte = p ? kernel_pte(p + PAGES(4)) : NULL;

	if (pte)
		answer |= hash_64(pte_permissions(*pte), 32) << 16;
	vunmap(p);
	pages_free(pages, 5);
	return answer;
}

static u64 vmap_kernel(void)	{ return map_pages(PAGE_KERNEL); }
static u64 vmap_read_only(void)	{ return map_pages(PAGE_KERNEL_RO); }
static u64 vmap_executable(void)	{ return map_pages(PAGE_KERNEL_ROX); }
static u64 vmap_uncached(void)	{ return map_pages(pgprot_noncached(PAGE_KERNEL)); }
static u64 vmap_combining(void)	{ return map_pages(pgprot_writecombine(PAGE_KERNEL)); }

static u64 map_ram(void)
{
	struct page **pages = pages_alloc(5);
	void *p = vm_map_ram(pages, 5, NUMA_NO_NODE);
	u64 answer = look(p, PAGES(5)) & ~(BELOW_4G | ALL_ZERO | GUARD_PAGE);

	if (p)
		vm_unmap_ram(p, 5);
	pages_free(pages, 5);
	return answer;
}

/* One page, again and again. With KASAN the kernel would need an eighth of that for shadow memory. */
static u64 map_ram_many(void)
{
	unsigned int nr = totalram_pages() + 1;
	struct page **pages = IS_ENABLED(CONFIG_KASAN_VMALLOC) ? NULL :
		kvmalloc_array(nr, sizeof(*pages), GFP_KERNEL);
	struct page *page = alloc_page(GFP_KERNEL);
	u64 answer = 0;
	u8 *p;

	if (!pages || !page)
		goto out;
	memset_p((void **)pages, page, nr);
	p = vm_map_ram(pages, nr, NUMA_NO_NODE);
	if (p) {
		p[0] = 1;
		p[(nr - 1) * PAGE_SIZE]++;
		answer = p[0];
		vm_unmap_ram(p, nr);
	}
out:
	if (page)
		__free_page(page);
	kvfree(pages);
	return answer;
}

/* Each entry in turn is @bad; first where no window of page tables is known, then where it is. */
static u64 map_bad(struct page *bad, bool ram)
{
	struct page **pages = pages_alloc(3);
	unsigned int i;
	u64 answer = 0;

	for (i = 0; pages && i < 6; i++) {
		struct page *good = pages[i % 3];
		void *p;

		pages[i % 3] = bad;
		p = ram ? vm_map_ram(pages, 3, NUMA_NO_NODE) : vmap(pages, 3, VM_MAP, PAGE_KERNEL);
		answer |= (u64)!!p << i;
		pages[i % 3] = good;
	}
	pages_free(pages, 3);
	return answer;
}

static struct page *frameless(void)
{
	return pfn_to_page(0x40000000UL);
}

static u64 vmap_hole(void)		{ return map_bad(NULL, false); }
static u64 vmap_no_frame(void)		{ return map_bad(frameless(), false); }
static u64 map_ram_hole(void)		{ return map_bad(NULL, true); }
static u64 map_ram_no_frame(void)	{ return map_bad(frameless(), true); }

static u64 vmap_nothing(void)
{
	struct page *page = alloc_page(GFP_KERNEL);
	u64 answer = !!vmap(&page, 0, VM_MAP, PAGE_KERNEL);

	answer |= !!vmap(&page, INT_MAX, VM_MAP, PAGE_KERNEL) << 1;
	__free_page(page);
	return answer;
}

/*
 * VM_MAP_PUT_PAGES with an array of kmalloc(), kvmalloc() or vmalloc(): references to a page after
 * vunmap(), and whether the array is still the caller's; after vfree().
 */
static u64 give_pages(struct page **(*get)(void), bool by_vfree)
{
	struct page **pages = get(), *page = alloc_page(GFP_KERNEL);
	u64 answer;
	void *p;

	if (!pages || !page)
		return 99;
	get_page(page);
	pages[0] = page;
	p = vmap(pages, 1, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
	answer = !!p;
	if (by_vfree) {
		vfree(p);
		answer |= page_count(page) << 4;
		put_page(page);
	} else {
		vunmap(p);
		answer |= page_count(page) << 4 | (pages[0] == page) << 8;
		put_page(page);
		put_page(page);
		kvfree(pages);
	}
	return answer;
}

static struct page **array_kmalloc(void)	{ return kmalloc(64, GFP_KERNEL); }
static struct page **array_vmalloc(void)	{ return vmalloc(PAGES(2)); }
static u64 given_vfree(void)			{ return give_pages(array_kmalloc, true); }
static u64 given_vunmap(void)			{ return give_pages(array_kmalloc, false); }
static u64 given_array_vfree(void)		{ return give_pages(array_vmalloc, true); }
static u64 given_array_vunmap(void)		{ return give_pages(array_vmalloc, false); }

/* vfree() of what vmap() mapped leaves the pages alone. */
static u64 vfree_of_vmap(void)
{
	struct page **pages = pages_alloc(3);
	void *p = vmap(pages, 3, VM_MAP, PAGE_KERNEL);
	u64 answer;

	vfree(p);
	answer = (p ? 1 : 0) + 16 * page_count(pages[2]);
	pages_free(pages, 3);
	return answer;
}

/*
 * vunmap() of what vmalloc() allocated leaves the pages to whoever asks for them first. In-tree it
 * loses their array, and has kmemleak scan what is not mapped any more.
 */
static u64 vunmap_of_vmalloc(void)
{
	void *p = IS_ENABLED(CONFIG_DEBUG_KMEMLEAK) ? NULL : vmalloc(PAGE_SIZE);
	struct page *page;
	u64 answer;

	if (!p)
		return 0;
	page = vmalloc_to_page(p);
	vunmap(p);
	answer = page_count(page) << 4;
	__free_page(page);
	return answer;
}

static u64 unmapped_after_aliases(void)
{
	struct page **pages = pages_alloc(3);
	u8 *p = vmap(pages, 3, VM_MAP, PAGE_KERNEL), *q = vm_map_ram(pages, 3, NUMA_NO_NODE);
	u64 answer;

	p[0] = q[0] = 1;
	vunmap(p);
	vm_unmap_ram(q, 3);
	vm_unmap_aliases();
	answer = readable(p) | readable(q) << 1;
	pages_free(pages, 3);
	return answer;
}

/* ---- vrealloc() ---- */

static u64 vrealloc_tail(void)
{
	static const unsigned int pages[] = { 4, 5, 32, 700 };
	unsigned int i;
	u64 answer = 0;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		u8 *p = vmalloc(PAGES(pages[i])), *q;

		sign(p, pages[i], i);
		q = vrealloc(p, PAGE_SIZE + 5, GFP_KERNEL);
		answer |= (u64)(q == p) << (4 * i);
		answer |= (u64)!!vmalloc_to_page(q + PAGES(2)) << (4 * i + 1);
		answer |= (u64)(signed_by(q, 1, i) == 1) << (4 * i + 2);
		q = vrealloc(q, PAGES(pages[i]), GFP_KERNEL);
		answer |= (u64)(signed_by(q, 1, i) == 1) << (4 * i + 3);
		vfree(q);
	}
	return answer;
}

static u64 vrealloc_tail_nofs(void)
{
	u8 *p = vmalloc(PAGES(8));
	u64 answer;

	p = vrealloc(p, PAGE_SIZE, GFP_NOFS);
	answer = !!vmalloc_to_page(p + PAGES(2));
	vfree(p);
	return answer;
}

static u64 vrealloc_tail_user(void)
{
	u8 *p = vmalloc_user(PAGES(8));
	u64 answer;

	p = vrealloc(p, PAGE_SIZE, GFP_KERNEL);
	answer = !!vmalloc_to_page(p + PAGES(2));
	vfree(p);
	return answer;
}

/* Old bytes in what grows back. */
static u64 old_bytes(gfp_t first, gfp_t then)
{
	u8 *p = __vmalloc(PAGES(3), first);
	u64 answer;

	memset(p, 0xa5, PAGES(3));
	p = vrealloc(p, 100, then);
	p = vrealloc(p, PAGES(3), then);
	answer = !!memchr_inv(p + 100, 0, PAGES(3) - 100);
	vfree(p);
	return answer;
}

static u64 old_bytes_plain(void)	{ return want_init_on_alloc(0) ? old_bytes(GFP_KERNEL, GFP_KERNEL) : 0; }
static u64 old_bytes_zero(void)
{
	return old_bytes(GFP_KERNEL | __GFP_ZERO, GFP_KERNEL | __GFP_ZERO);
}

static u64 vrealloc_to_nothing(void)
{
	return !!vrealloc(vmalloc(PAGES(3)), 0, GFP_KERNEL);
}

static u64 vrealloc_this_node(void)
{
	void *p = vmalloc(PAGES(3)), *q;
	int nid = page_to_nid(vmalloc_to_page(p));

	q = vrealloc_node_align(p, PAGES(2), 1, GFP_KERNEL | __GFP_THISNODE, nid);
	vfree(q);
	return p == q;
}

/* ---- counters ---- */

/* Per thousand of 30,000 pages that NR_VMALLOC knows. CPUs keep a few hundred to themselves. */
static u64 counted_as_vmalloc(void)
{
	long before = global_node_page_state(NR_VMALLOC), held;
	void *p = vmalloc(PAGES(30000));

	held = global_node_page_state(NR_VMALLOC) - before;
	vfree(p);
	return p ? DIV_ROUND_CLOSEST(held, 3000) : 99;
}

static u64 counted_after_shrink(void)
{
	long before = global_node_page_state(NR_VMALLOC), held;
	void *p = vmalloc(PAGES(30000));

	p = vrealloc(p, PAGE_SIZE, GFP_KERNEL);
	held = global_node_page_state(NR_VMALLOC) - before;
	vfree(p);
	return p ? DIV_ROUND_CLOSEST(held, 3000) : 99;
}

static u64 counted_given_pages(void)
{
	long before = global_node_page_state(NR_VMALLOC), held;
	struct page **pages = pages_alloc(3000);
	void *p = vmap(pages, 3000, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);

	held = global_node_page_state(NR_VMALLOC) - before;
	vfree(p);
	return DIV_ROUND_CLOSEST(held, 1500);
}

/* ---- user space ---- */

static void *to_map;
static unsigned long map_offset;

static int question_mmap(struct file *file, struct vm_area_struct *vma)
{
	return remap_vmalloc_range(vma, to_map, map_offset);
}

static const struct file_operations question_fops = {
	.owner = THIS_MODULE,
	.mmap = question_mmap,
};

static u64 mapped(void *addr, unsigned long bytes, unsigned long offset, unsigned long want)
{
	unsigned long at;
	u64 answer;

	if (!addr)
		return 99;
	to_map = addr;
	map_offset = offset;
	at = map_to_user(&question_fops, want);
	answer = !IS_ERR_VALUE(at);
	if (answer) {
		unsigned long first = 0;

		*(unsigned long *)(addr + PAGES(offset)) = 0x5eed;
		if (!copy_from_user(&first, (void __user *)at, sizeof(first)) && first == 0x5eed)
			answer |= 2;
		vm_munmap(at, want);
	} else {
		answer = -(long)at << 4;
	}
	vfree(addr);
	return answer;
}

static u64 user_whole(void)	{ return mapped(vmalloc_user(PAGES(3)), PAGES(3), 0, PAGES(3)); }
static u64 user_part(void)	{ return mapped(vmalloc_user(PAGES(3)), PAGES(3), 1, PAGES(2)); }
static u64 user_too_far(void)	{ return mapped(vmalloc_user(PAGES(3)), PAGES(3), 1, PAGES(3)); }
static u64 user_32(void)	{ return mapped(vmalloc_32_user(PAGES(3)), PAGES(3), 0, PAGES(3)); }
static u64 user_plain(void)	{ return mapped(vmalloc(PAGES(3)), PAGES(3), 0, PAGES(3)); }

static u64 user_vmap(void)
{
	struct page **pages = pages_alloc(3);
	u64 answer = mapped(vmap(pages, 3, VM_MAP | VM_USERMAP, PAGE_KERNEL), PAGES(3), 0, PAGES(3));

	pages_free(pages, 3);
	return answer;
}

const struct question QUESTIONS[] = {
	{ "vmalloc()", of_vmalloc },
	{ "vzalloc()", of_vzalloc },
	{ "vmalloc_node()", of_vmalloc_node },
	{ "vzalloc_node()", of_vzalloc_node },
	{ "vmalloc_user()", of_vmalloc_user },
	{ "vmalloc_32()", of_vmalloc_32 },
	{ "vmalloc_32_user()", of_vmalloc_32_user },
	{ "vmalloc_huge()", of_vmalloc_huge },
	{ "vmalloc_huge_node()", of_vmalloc_huge_node },
	{ "vmalloc_array()", of_vmalloc_array },
	{ "__vmalloc_array()", of_array_gfp },
	{ "vcalloc()", of_vcalloc },
	{ "__vcalloc()", of_calloc_gfp },
	{ "arrays whose size overflows", of_overflow },
	{ "vrealloc() of NULL", of_vrealloc_null },
	{ "vrealloc_node_align() of NULL", of_vrealloc_node_align },
	{ "kvmalloc(), small", of_kvmalloc_small },
	{ "kvmalloc(), 16 MiB", of_kvmalloc_huge },
	{ "kvzalloc(), 16 MiB", of_kvzalloc_huge },
	{ "kvcalloc(), 16 MiB", of_kvcalloc_huge },
	{ "kvmalloc_node(), 16 MiB", of_kvmalloc_node },
	{ "kvmalloc() of more than INT_MAX", of_kvmalloc_2g },
	{ "kvrealloc() from kmalloc() memory and again", of_kvrealloc },
	{ "kvmalloc(), freed by vfree()", free_kvmalloced_by_vfree },
	{ "vmalloc(), freed by kvfree(), _sensitive(), _atomic()", free_vmalloced_by_kvfree },
	{ "__free(kvfree)", free_by_cleanup },
	{ "kvfree_rcu(), kvfree_rcu_mightsleep()", free_by_rcu },
	{ "kvfree() of what the kernel allocated", free_of_the_kernels },
	{ "frees of NULL", free_null },
	{ "vfree() in a hard interrupt", free_in_hard_interrupt },
	{ "vfree() with bottom halves off", free_in_bottom_half },
	{ "GFP_KERNEL", gfp_kernel },
	{ "__GFP_ZERO", gfp_zero },
	{ "GFP_NOFS", gfp_nofs },
	{ "GFP_NOIO", gfp_noio },
	{ "GFP_USER", gfp_user },
	{ "GFP_KERNEL_ACCOUNT", gfp_account },
	{ "__GFP_NORETRY", gfp_noretry },
	{ "__GFP_RETRY_MAYFAIL", gfp_mayfail },
	{ "__GFP_NOFAIL", gfp_nofail },
	{ "GFP_ATOMIC with preemption off", gfp_atomic },
	{ "GFP_NOWAIT with preemption off", gfp_nowait },
	{ "__GFP_COMP to __vmalloc()", gfp_comp },
	{ "__GFP_COMP to vmalloc_huge_node()", gfp_comp_huge },
	{ "__GFP_COMP to __vmalloc_array()", gfp_comp_array },
	{ "sizes that a killed task gets", served_when_killed },
	{ "vmap()", vmap_kernel },
	{ "vmap(), read-only", vmap_read_only },
	{ "vmap(), executable", vmap_executable },
	{ "vmap(), uncached", vmap_uncached },
	{ "vmap(), write-combining", vmap_combining },
	{ "vm_map_ram()", map_ram },
	{ "vm_map_ram() of more pages than there are", map_ram_many },
	{ "vmap() of a hole", vmap_hole },
	{ "vmap() of a page without a frame", vmap_no_frame },
	{ "vm_map_ram() of a hole", map_ram_hole },
	{ "vm_map_ram() of a page without a frame", map_ram_no_frame },
	{ "vmap() of no pages, of too many", vmap_nothing },
	{ "VM_MAP_PUT_PAGES, vfree()", given_vfree },
	{ "VM_MAP_PUT_PAGES, vunmap()", given_vunmap },
	{ "VM_MAP_PUT_PAGES with a vmalloc() array, vfree()", given_array_vfree },
	{ "VM_MAP_PUT_PAGES with a vmalloc() array, vunmap()", given_array_vunmap },
	{ "vfree() of a vmap() area", vfree_of_vmap },
	{ "vunmap() of a vmalloc() area", vunmap_of_vmalloc },
	{ "old mappings after vm_unmap_aliases()", unmapped_after_aliases },
	{ "vrealloc() to less: the tail", vrealloc_tail },
	{ "vrealloc() to less with GFP_NOFS", vrealloc_tail_nofs },
	{ "vrealloc() to less of vmalloc_user() memory", vrealloc_tail_user },
	{ "old bytes after vrealloc() under init_on_alloc", old_bytes_plain },
	{ "old bytes after vrealloc() with __GFP_ZERO", old_bytes_zero },
	{ "vrealloc() to 0", vrealloc_to_nothing },
	{ "vrealloc_node_align() with __GFP_THISNODE", vrealloc_this_node },
	{ "NR_VMALLOC", counted_as_vmalloc },
	{ "NR_VMALLOC after vrealloc() to less", counted_after_shrink },
	{ "NR_VMALLOC of pages given to vmap()", counted_given_pages },
	{ "remap_vmalloc_range() of vmalloc_user() memory", user_whole },
	{ "remap_vmalloc_range() of a part", user_part },
	{ "remap_vmalloc_range() behind the end", user_too_far },
	{ "remap_vmalloc_range() of vmalloc_32_user() memory", user_32 },
	{ "remap_vmalloc_range() of vmalloc() memory", user_plain },
	{ "remap_vmalloc_range() of vmap() with VM_USERMAP", user_vmap },
	{}
};
