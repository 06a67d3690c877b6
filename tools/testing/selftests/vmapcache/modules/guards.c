// SPDX-License-Identifier: GPL-2.0
/*
 * Guards: in-tree functions with addresses of vmapcache, in many contexts, and what the
 * areas beside them look like afterwards.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/rcupdate.h>
#include <linux/set_memory.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/static_call.h>
#include <linux/uaccess.h>
#include <linux/ucopysize.h>
#include <linux/uio.h>
#include <linux/vmalloc.h>
#ifdef CONFIG_X86_64
#include <asm/apic.h>
#include <asm/nmi.h>
#endif

#include <vmapcache.h>

#include "vmapcache_test.h"

/* ---- frees ---- */

#define NEIGHBOURS	64

/* What kvfree_rcu() needs inside of the area. */
struct in_area {
	struct rcu_head rcu;
};

static void free_vfree(void *p)
{
	vfree(p);
}

static void free_kvfree(void *p)
{
	kvfree(p);
}

static void free_atomic(void *p)
{
	kvfree_atomic(p);
}

static void free_sensitive(void *p)
{
	kvfree_sensitive(p, PAGE_SIZE);
}

static void free_rcu(void *p)
{
	struct in_area *in_area = p;

	kvfree_rcu(in_area, rcu);
}

static void free_rcu_mightsleep(void *p)
{
	kvfree_rcu_mightsleep(p);
}

static void free_irqs_off(void *p)
{
	unsigned long flags;

	local_irq_save(flags);
	kvfree_atomic(p);
	local_irq_restore(flags);
}

static void free_softirq_off(void *p)
{
	local_bh_disable();
	vfree(p);
	local_bh_enable();
}

struct from_irq {
	struct irq_work work;
	void *area;
};

static void in_irq(struct irq_work *work)
{
	vfree(container_of(work, struct from_irq, work)->area);
}

static void free_in_irq(void *p)
{
	struct from_irq from_irq = { .area = p };

	from_irq.work = IRQ_WORK_INIT_HARD(in_irq);
	irq_work_queue(&from_irq.work);
	irq_work_sync(&from_irq.work);
}

static const struct {
	const char *name;
	void (*free)(void *p);
	unsigned int every;	/* rounds: some ways are slow */
} ways[] = {
	{ "vfree", free_vfree, 1 },
	{ "kvfree", free_kvfree, 1 },
	{ "kvfree_atomic", free_atomic, 1 },
	{ "kvfree_sensitive", free_sensitive, 1 },
	{ "kvfree_rcu", free_rcu, 1 },
	{ "kvfree_rcu_mightsleep", free_rcu_mightsleep, 500 },
	{ "with interrupts off", free_irqs_off, 1 },
	{ "with softirqs off", free_softirq_off, 1 },
	{ "from an interrupt", free_in_irq, 10 },
};

static unsigned int neighbour_pages(unsigned int number)
{
	return 1 + number % 5;
}

static bool is_unharmed(const void *neighbour, unsigned int number)
{
	unsigned int pages = neighbour_pages(number);

	return signed_by(neighbour, pages, number) == pages;
}

/* Frees that must have no effect. Returns how many there were. */
static unsigned int free_badly(char *area, unsigned long pages)
{
	vfree(area + PAGE_SIZE * pages);	/* the guard page */
	if (pages == 1)
		return 1;
	kvfree(area + PAGE_SIZE);
	kvfree_atomic(area + PAGE_SIZE * (pages - 1));
	vunmap(area + PAGE_SIZE);
	return 4;
}

/*
 * rounds=1000: areas come, and go by in-tree functions, in turns with frees that must have no
 * effect, beside areas that live on. Notes how many frees there were of either kind.
 */
static void foreign_frees(struct run *run)
{
	unsigned int rounds = arg(run, "rounds", 1000), i, way, frees = 0, bad = 0, doubles = 0;
	void *neighbours[NEIGHBOURS] = {};
	struct page *page = alloc_page(GFP_KERNEL);

	if (!expect(run, page, "no memory"))
		return;
	for (i = 0; i < NEIGHBOURS; i++) {
		neighbours[i] = vmapcache_vmalloc(neighbour_pages(i) * PAGE_SIZE);
		if (!expect(run, neighbours[i], "neighbour %u", i))
			goto out;
		sign(neighbours[i], neighbour_pages(i), i);
	}
	for (i = 0; i < rounds && !interrupted(); i++) {
		unsigned int at = i % NEIGHBOURS, pages = 1 + i % 7;
		void *p;

		way = i / 2 % ARRAY_SIZE(ways);
		if (i % ways[way].every)
			way = 0;
		p = vmapcache_vmalloc(pages * PAGE_SIZE);
		if (!expect(run, p, "round %u", i))
			break;
		sign(p, pages, i);
		if (i % 16 == 0)
			bad += free_badly(p, pages);
		if (!expect(run, signed_by(p, pages, i) == pages, "a bad free did harm"))
			break;
		ways[way].free(p);
		frees++;
		/* Not after a free that is still to come. */
		if (i % 64 == 0 && way < 2) {
			vfree(p);
			doubles++;
		}
		/* Areas that show a page of ours. */
		p = i & 1 ? vmapcache_vmap(&page, 1, VM_MAP, PAGE_KERNEL) :
			    vmapcache_vm_map_ram(&page, 1, NUMA_NO_NODE);
		if (!expect(run, p, "round %u", i))
			break;
		if (i & 1)
			vunmap(p);
		else
			vm_unmap_ram(p, 1);
		frees++;
		if (!expect(run, is_unharmed(neighbours[at], at), "after round %u, %s", i, ways[way].name))
			break;
	}
	for (i = 0; i < NEIGHBOURS; i++)
		expect(run, is_unharmed(neighbours[i], i), "neighbour %u", i);
out:
	for (i = 0; i < NEIGHBOURS; i++)
		if (neighbours[i]) {
			vfree(neighbours[i]);
			frees++;
		}
	__free_page(page);
	note(run, "frees %u", frees);
	note(run, "bad %u", bad);
	note(run, "double %u", doubles);
}

/* ---- vm_unmap_aliases() ---- */

/*
 * rounds=20: reads a freed address after the kernel's own vm_unmap_aliases(): it must fault. Then
 * counts flushes of ours by vm_unmap_aliases() after one free ("once"), by a hundred more ("more"), and
 * after another free by a caller in the kernel itself, which the compiler may serve in another way than modules
 * ("kernel").
 */
static void aliases(struct run *run)
{
	unsigned int i, rounds = arg(run, "rounds", 20), stale = 0;
	struct page *page = alloc_page(GFP_KERNEL);
	u64 before = 0, once = 0, more = 0;

	if (!expect(run, page, "no memory"))
		return;
	for (i = 0; i < rounds; i++) {
		u8 *p = i & 1 ? vmapcache_vmap(&page, 1, VM_MAP, PAGE_KERNEL) :
				vmapcache_vm_map_ram(&page, 1, NUMA_NO_NODE);

		if (!expect(run, p && readable(p), "round %u", i))
			break;
		if (i & 1)
			vmapcache_vunmap(p);
		else
			vmapcache_vm_unmap_ram(p, 1);
		vm_unmap_aliases();
		stale += readable(p);
	}
	expect(run, !stale, "%u of %u freed addresses could still be read", stale, rounds);
	vmapcache_vfree(vmapcache_vmalloc(PAGE_SIZE));
	vmapcache_counter("flushes", &before);
	vm_unmap_aliases();
	vmapcache_counter("flushes", &once);
	for (i = 0; i < 100; i++)
		vm_unmap_aliases();
	vmapcache_counter("flushes", &more);
	note(run, "once %llu", once - before);
	note(run, "more %llu", more - once);
#ifdef CONFIG_X86
	vmapcache_vfree(vmapcache_vmalloc(PAGE_SIZE));
	vmapcache_counter("flushes", &before);
	expect(run, !set_memory_uc((unsigned long)page_address(page), 1), "no uncached page");
	vmapcache_counter("flushes", &once);
	set_memory_wb((unsigned long)page_address(page), 1);
	note(run, "kernel %llu", once - before);
#endif
	__free_page(page);
}

/* ---- find_vm_area(), find_vmap_area() and hardened usercopy ---- */

DEFINE_STATIC_CALL_RET0(test_find_vm_area, find_vm_area);
DEFINE_STATIC_CALL_RET0(test_find_vmap_area, find_vmap_area);

/* The address of a function that modules cannot link. */
static void *address_of(const char *name)
{
	struct kprobe probe = { .symbol_name = name };

	if (register_kprobe(&probe))
		return NULL;
	unregister_kprobe(&probe);
	return probe.addr;
}

static bool resolve_find(struct run *run)
{
	void *vm = address_of("find_vm_area"), *va = address_of("find_vmap_area");

	if (!expect(run, vm && va, "the kernel has no such functions"))
		return false;
	static_call_update(test_find_vm_area, vm);
	static_call_update(test_find_vmap_area, va);
	return true;
}

/* Whether the bounds of the area that holds @at are exactly these. */
static bool is_exact(const void *at, const void *start, unsigned long size)
{
	struct vmap_area *va = static_call(test_find_vmap_area)((unsigned long)at);

	return va && va->va_start == (unsigned long)start &&
	       va->va_end == (unsigned long)start + size;
}

static void check_found(struct run *run, const char *what, const u8 *p, unsigned long pages,
			unsigned long flags, struct page **array)
{
	unsigned long size = pages * PAGE_SIZE, i;
	struct vm_struct *vm;

	if (!expect(run, p, "%s of %lu pages", what, pages))
		return;
	for (i = 0; i < size; i += size > SZ_64K ? size / 7 : 1000)
		expect(run, is_exact(p + i, p, size), "%s of %lu pages, byte %lu", what, pages, i);
	expect(run, is_exact(p + size - 1, p, size), "%s of %lu pages, last byte", what, pages);
	expect(run, is_exact(p + size + 5, p, size), "%s of %lu pages, guard page", what, pages);
	/* A BUG if the copy was refused. */
	check_object_size(p, size, true);
	check_object_size(p + size - pages, pages, false);
	vm = static_call(test_find_vm_area)(p + size / 2);
	if (!flags) {
		expect(run, !vm, "%s has a vm_struct", what);
		return;
	}
	if (!expect(run, vm && vm == static_call(test_find_vm_area)(p), "%s", what))
		return;
	expect(run, vm->addr == p && get_vm_area_size(vm) == size, "%s", what);
	expect(run, vm->size == size + PAGE_SIZE, "%s", what);
	expect(run, vm->flags == flags, "%s has flags %#lx", what, vm->flags);
	expect(run, abs((long)vm->caller - (long)check_found) < (long)SZ_1M, "%s by %pS", what,
	       vm->caller);
	if (!(flags & VM_ALLOC)) {
		expect(run, vm->pages == array && vm->nr_pages == (array ? pages : 0), "%s", what);
		return;
	}
	expect(run, vm->nr_pages == pages, "%s of %lu pages has %lu", what, pages, vm->nr_pages);
	for (i = 0; i < vm->nr_pages; i++)
		if (!expect(run, vm->pages[i] == vmalloc_to_page(p + i * PAGE_SIZE), "page %lu", i))
			break;
}

static void check_gone(struct run *run, const char *what, const void *p)
{
	expect(run, !static_call(test_find_vmap_area)((unsigned long)p), "%s", what);
	expect(run, !static_call(test_find_vm_area)(p), "%s", what);
}

/* Areas of all kinds, found by any address in them as long as they live. */
static void found(struct run *run)
{
	static const unsigned int sizes[] = { 1, 2, 3, 31, 32, 33, 513, 1, 700, 2 };
	struct page **pages = pages_alloc(40), **given;
	unsigned int i, round;
	void *p;

	if (!expect(run, pages, "no memory") || !resolve_find(run))
		goto out;
	/* The same descriptors, again and again. */
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			p = vmapcache_vmalloc(sizes[i] * PAGE_SIZE);
			check_found(run, "vmalloc", p, sizes[i], VM_ALLOC, NULL);
			vmapcache_vfree(p);
			check_gone(run, "vmalloc", p);
			/* So that the descriptor gets another range. */
			vmapcache_drain();
		}
		p = vmapcache_vmap(pages, 40, VM_MAP, PAGE_KERNEL);
		check_found(run, "vmap", p, 40, VM_MAP, NULL);
		vmapcache_vunmap(p);
		check_gone(run, "vmap", p);
		p = vmapcache_vm_map_ram(pages, 7, NUMA_NO_NODE);
		check_found(run, "vm_map_ram", p, 7, 0, NULL);
		vmapcache_vm_unmap_ram(p, 7);
		check_gone(run, "vm_map_ram", p);
		p = vmapcache_get_vm_area(5 * PAGE_SIZE, VM_MAP);
		check_found(run, "get_vm_area", p, 5, VM_MAP, NULL);
		vmapcache_free_vm_area(p);
		check_gone(run, "get_vm_area", p);
		given = kmalloc_array(3, sizeof(*given), GFP_KERNEL);
		for (i = 0; given && i < 3; i++)
			given[i] = alloc_page(GFP_KERNEL);
		p = vmapcache_vmap(given, 3, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
		check_found(run, "given", p, 3, VM_MAP | VM_MAP_PUT_PAGES, given);
		vmapcache_vfree(p);
		check_gone(run, "given", p);
	}
	/* Of the other allocator. */
	p = vmalloc(3 * PAGE_SIZE);
	if (expect(run, p, "no memory"))
		expect(run, static_call(test_find_vm_area)(p)->addr == p, "in-tree");
	vfree(p);
	check_gone(run, "in-tree", p);
out:
	pages_free(pages, 40);
}

/* rounds=: areas come and go in several threads, each of which finds its own. */
static void find_race(struct run *run, unsigned int thread, void *data)
{
	unsigned int i, rounds = *(unsigned int *)data;

	for (i = 0; i < rounds && !interrupted(); i++) {
		unsigned long size = (1 + (i * 7 + thread) % 19) * PAGE_SIZE;
		u8 *p = vmapcache_vmalloc(size);
		struct vm_struct *vm;

		if (!expect(run, p && is_exact(p + size / 2, p, size), "round %u", i))
			break;
		if (i % 3 == 0) {
			vm = static_call(test_find_vm_area)(p);
			if (!expect(run, vm && vm->addr == p && vm->nr_pages == size / PAGE_SIZE &&
				    vm->pages[0] == vmalloc_to_page(p), "round %u", i))
				break;
		}
		if (i % 2)
			vfree(p);
		else
			kvfree_atomic(p);
		/* So that descriptors get other ranges. */
		if (!thread && i % 256 == 0)
			vmapcache_drain();
	}
}

/* Areas wherever one may begin in an arena of arena_pages, with any number of pages. */
static void found_everywhere(struct run *run)
{
	unsigned long arena = arg(run, "arena_pages", 0), pages = arg(run, "pages", 1), i;
	unsigned long room = arena / (pages + 1);
	void **held = kvcalloc(room + 1, sizeof(*held), GFP_KERNEL);

	if (!expect(run, held, "no memory") || !resolve_find(run))
		goto out;
	for (i = 0; i < room && !interrupted(); i++) {
		held[i] = vmapcache_get_vm_area(pages * PAGE_SIZE, VM_MAP);
		if (!held[i])
			break;
		check_found(run, "get_vm_area", held[i], pages, VM_MAP, NULL);
	}
	/* Of the rest a few are kept for other sizes. */
	expect(run, i > room - room / 8, "%lu areas of %lu pages in %lu pages", i, pages, arena);
out:
	for (i = 0; held && i < room; i++) {
		vmapcache_free_vm_area(held[i]);
		if (held[i])
			check_gone(run, "get_vm_area", held[i]);
	}
	kvfree(held);
}

static void found_race(struct run *run)
{
	unsigned int rounds = arg(run, "rounds", 20000);

	if (resolve_find(run))
		run_threads(run, 4, find_race, &rounds);
}

/* ---- from an NMI ---- */

#ifdef CONFIG_X86_64

/* Whether those of the area that holds @at are these, or those of something larger. */
static bool is_bounded(const void *at, const void *start, unsigned long size)
{
	struct vmap_area *va = static_call(test_find_vmap_area)((unsigned long)at);

	return va && va->va_start <= (unsigned long)start &&
	       va->va_end >= (unsigned long)start + size;
}

struct known {
	const void *addr;
	unsigned long size;
};

/* One NMI's questions, and all answers. */
static struct {
	bool asked, over;
	int cpu;
	struct known kept, fresh;
	unsigned long exact, bounded, wrong;
} nmi;

static int on_nmi(unsigned int type, struct pt_regs *regs)
{
	if (!READ_ONCE(nmi.asked))
		return NMI_DONE;
	if (is_exact(nmi.kept.addr + 100, nmi.kept.addr, nmi.kept.size))
		nmi.exact++;
	else
		nmi.wrong++;
	/* Nobody has asked about this one before, and there is no memory here. */
	if (is_bounded(nmi.fresh.addr, nmi.fresh.addr, nmi.fresh.size))
		nmi.bounded++;
	else
		nmi.wrong++;
	WRITE_ONCE(nmi.asked, false);
	return NMI_HANDLED;
}

/* The first thread sends NMIs to the CPU where the second one allocates, asks and frees. */
static void send_or_suffer(struct run *run, unsigned int thread, void *data)
{
	unsigned int i, rounds = *(unsigned int *)data, few = 20;

	if (thread) {
		WRITE_ONCE(nmi.cpu, raw_smp_processor_id());
		while (!READ_ONCE(nmi.over) && !interrupted())
			find_race(run, thread, &few);
		return;
	}
	while (READ_ONCE(nmi.cpu) < 0 && !interrupted())
		udelay(10);
	for (i = 0; i < rounds && !interrupted(); i++) {
		unsigned long waits = 0;

		nmi.fresh.size = (1 + i % 5) * PAGE_SIZE;
		nmi.fresh.addr = vmapcache_vmalloc(nmi.fresh.size);
		if (!expect(run, nmi.fresh.addr, "no memory"))
			break;
		/* The handler sees the rest, too. */
		smp_store_release(&nmi.asked, true);
		__apic_send_IPI_mask(cpumask_of(READ_ONCE(nmi.cpu)), NMI_VECTOR);
		/* As above, the other way round. */
		while (smp_load_acquire(&nmi.asked) && waits++ < 100000)
			udelay(10);
		WRITE_ONCE(nmi.asked, false);
		vmapcache_vfree(nmi.fresh.addr);
		if (!expect(run, waits < 100000, "NMI %u never came", i))
			break;
	}
	WRITE_ONCE(nmi.over, true);
}

/* rounds=500: find_vmap_area() in NMIs, beside a task that allocates and asks on that CPU. */
static void found_in_nmi(struct run *run)
{
	unsigned int rounds = arg(run, "rounds", 500);

	memset(&nmi, 0, sizeof(nmi));
	nmi.cpu = -1;
	nmi.kept.size = 3 * PAGE_SIZE;
	nmi.kept.addr = vmapcache_vmalloc(nmi.kept.size);
	if (expect(run, nmi.kept.addr, "no memory") && resolve_find(run) &&
	    expect(run, is_exact(nmi.kept.addr, nmi.kept.addr, nmi.kept.size), "before any NMI") &&
	    expect(run, !register_nmi_handler(NMI_LOCAL, on_nmi, 0, "vmapcache_test"), "handler")) {
		run_threads(run, 2, send_or_suffer, &rounds);
		unregister_nmi_handler(NMI_LOCAL, "vmapcache_test");
	}
	vmapcache_vfree(nmi.kept.addr);
	expect(run, !nmi.wrong, "%lu wrong answers", nmi.wrong);
	expect(run, nmi.exact == rounds && nmi.bounded == rounds, "of %u, %lu exact, %lu bounded",
	       rounds, nmi.exact, nmi.bounded);
}

#else

static void found_in_nmi(struct run *run)
{
	note(run, "unsupported 1");
}

#endif

/* ---- vrealloc() and kvrealloc() ---- */

/* Looks at the area that *@arg is, and puts its caller there. */
static bool take_caller(const struct vmapcache_area *area, void *arg)
{
	const void **found = arg;

	if (area->addr != *found)
		return true;
	*found = area->caller;
	return false;
}

static void in_tree_vreallocs(struct run *run)
{
	const void *caller;
	u8 *p = vmapcache_vmalloc(3 * PAGE_SIZE), *q;

	if (!expect(run, p, "no memory"))
		return;
	sign(p, 3, 1);
	q = vrealloc(p, 9 * PAGE_SIZE, GFP_KERNEL);
	if (!expect(run, q && q != p && signed_by(q, 3, 1) == 3, "larger"))
		return;
	caller = q;
	vmapcache_walk(q, take_caller, &caller);
	expect(run, within_module((unsigned long)caller, THIS_MODULE),
	       "the caller is %pS", caller);
	p = kvrealloc(q, 2 * PAGE_SIZE, GFP_KERNEL);
	if (!expect(run, p && signed_by(p, 2, 1) == 2, "smaller"))
		return;
	p = kvrealloc(p, 4 * PAGE_SIZE, GFP_KERNEL);
	if (!expect(run, p && signed_by(p, 2, 1) == 2, "larger again"))
		return;
	expect(run, !vrealloc(p, 0, GFP_KERNEL), "to nothing");
}

/* ---- VM_FLUSH_RESET_PERMS ---- */

DEFINE_STATIC_CALL_RET0(test_set_memory_ro, set_memory_ro);
DEFINE_STATIC_CALL_RET0(test_set_memory_rw, set_memory_rw);
DEFINE_STATIC_CALL_RET0(test_set_memory_rox, set_memory_ro);
DEFINE_STATIC_CALL_RET0(test_set_memory_nx, set_memory_ro);
DEFINE_STATIC_CALL_RET0(test_poke, copy_to_kernel_nofault);

static bool can_write(void *addr)
{
	return !static_call(test_poke)(addr, "x", 1);
}

static bool resolve_permissions(struct run *run)
{
	void *ro = address_of("set_memory_ro"), *rw = address_of("set_memory_rw");
	void *poke = address_of("copy_to_kernel_nofault");

	if (!expect(run, ro && rw && poke, "the kernel has no such functions") ||
	    !resolve_find(run))
		return false;
	static_call_update(test_set_memory_ro, ro);
	static_call_update(test_set_memory_rw, rw);
	static_call_update(test_poke, poke);
	return true;
}

/* rounds=20: read-only areas that ask for it get their pages' permissions back when they go. */
static void reset_perms(struct run *run)
{
	unsigned int i, rounds = arg(run, "rounds", 20);

	if (!resolve_permissions(run))
		return;
	for (i = 0; i < rounds; i++) {
		unsigned int pages = i & 1 ? 40 : 2, tries;
		u64 areas;
		u8 *p = vmapcache_vmalloc(pages * PAGE_SIZE);
		struct vm_struct *vm = static_call(test_find_vm_area)(p);
		struct page *last;

		if (!expect(run, p && vm, "round %u", i))
			return;
		/* As set_vm_flush_reset_perms(), which modules cannot call. */
		vm->flags |= VM_FLUSH_RESET_PERMS;
		last = vmalloc_to_page(p + (pages - 1) * PAGE_SIZE);
		get_page(last);
		expect(run, !static_call(test_set_memory_ro)((unsigned long)p, pages), "round %u", i);
		expect(run, !can_write(p + (pages - 1) * PAGE_SIZE), "the area in round %u", i);
		expect(run, !can_write(page_address(last)), "its page in round %u", i);
		if (i % 3)
			vfree(p);
		else
			kvfree_atomic(p);
		/* A work item may have to do it. */
		for (areas = 1, tries = 0; areas && tries < 100; tries++) {
			vmapcache_counter("areas", &areas);
			msleep(20);
		}
		expect(run, !readable(p), "the area is there in round %u", i);
		expect(run, can_write(page_address(last)), "the page is read-only after round %u", i);
		put_page(last);
	}
}

/* A part of a huge page becomes read-only, and the rest stays as it was. */
static void split_huge(struct run *run)
{
	unsigned long pages = 2 * PTRS_PER_PTE, at = PTRS_PER_PTE + 100;
	u8 *p;

	if (!resolve_permissions(run))
		return;
	p = vmapcache_vmalloc_huge_node(pages * PAGE_SIZE, GFP_KERNEL, NUMA_NO_NODE);
	if (!expect(run, p, "no memory"))
		return;
	note(run, "huge %u", in_huge_page(p + at * PAGE_SIZE));
	sign(p, pages, 3);
	/* Some processors refuse to split them. */
	if (!static_call(test_set_memory_ro)((unsigned long)p + at * PAGE_SIZE, 2)) {
		note(run, "split 1");
		expect(run, !in_huge_page(p + at * PAGE_SIZE), "not split");
		expect(run, !can_write(p + at * PAGE_SIZE), "the first page");
		expect(run, !can_write(p + (at + 2) * PAGE_SIZE - 1), "the last page");
		expect(run, can_write(p + at * PAGE_SIZE - 1), "before them");
		expect(run, can_write(p + (at + 2) * PAGE_SIZE + 9), "behind them");
		vmapcache_vm_unmap_aliases();
		expect(run, !can_write(p + at * PAGE_SIZE), "after a flush");
	}
	/* The pages go back as they came: their mapping by the kernel itself is writable again. */
	static_call(test_set_memory_rw)((unsigned long)p + at * PAGE_SIZE, 2);
	p[at * PAGE_SIZE - 1] = 0;
	vmapcache_vfree(p);
	vmapcache_drain();
	expect(run, !readable(p), "the area is there");
	expect(run, !readable(p + at * PAGE_SIZE), "its split part is there");
}

/*
 * The kernel frees page tables of ours: set_memory_rox() of x86 puts a huge page in the place of 512 PTEs that are
 * alike.
 */
static void collapse(struct run *run)
{
	void *rox = address_of("set_memory_rox"), *nx = address_of("set_memory_nx");
	unsigned long pages = 2 * PTRS_PER_PTE, left = 3 * PTRS_PER_PTE / 2, i;
	struct page *last;
	void *small[64];
	u8 *p;

	if (!resolve_permissions(run))
		return;
	/* Elsewhere it is an inline function, or leaves the tables alone. */
	if (!rox || !nx || !IS_ENABLED(CONFIG_X86_64))
		return;
	static_call_update(test_set_memory_rox, rox);
	static_call_update(test_set_memory_nx, nx);
	p = vmapcache_vmalloc_aligned(pages * PAGE_SIZE, PMD_SIZE, GFP_KERNEL, NUMA_NO_NODE, NULL);
	if (!expect(run, p, "no memory"))
		return;
	expect(run, !in_huge_page(p), "it did not ask for a huge page");
	sign(p, pages, 4);
	expect(run, !static_call(test_set_memory_rox)((unsigned long)p, pages), "to executable");
	note(run, "collapsed %u", in_huge_page(p) + in_huge_page(p + PMD_SIZE));
	static_call(test_set_memory_nx)((unsigned long)p, pages);
	static_call(test_set_memory_rw)((unsigned long)p, pages);
	expect(run, signed_by(p, pages, 4) == pages, "its contents");
	/* A huge page stays whole, wherever it comes from. */
	expect(run, vmapcache_vrealloc(p, left * PAGE_SIZE, GFP_KERNEL) == p, "cut");
	expect(run, signed_by(p, left, 4) == left, "its contents after the cut");
	last = vmalloc_to_page(p + (pages - 1) * PAGE_SIZE);
	expect(run, !in_huge_page(p + PMD_SIZE) || (last && page_count(last) == 1),
	       "a part of a huge page went");
	vmapcache_vfree(p);
	vmapcache_drain();
	expect(run, !readable(p), "the area is there");
	expect(run, !readable(p + PMD_SIZE), "its second half is there");
	for (i = 0; i < ARRAY_SIZE(small); i++) {
		small[i] = vmapcache_vmalloc((i % 9 + 1) * PAGE_SIZE);
		if (expect(run, small[i], "no memory"))
			sign(small[i], i % 9 + 1, i);
	}
	for (i = 0; i < ARRAY_SIZE(small); i++) {
		size_t nr = i % 9 + 1;

		if (small[i])
			expect(run, signed_by(small[i], nr, i) == nr, "area %lu", i);
		vmapcache_vfree(small[i]);
	}
	vmapcache_drain();
}

/* Leaves a read-only area behind, pinned; and a reference to its page, whose frame it notes. */
static void leak_read_only(struct run *run)
{
	u8 *p = vmapcache_vmalloc(PAGE_SIZE);
	struct vm_struct *vm;
	struct page *page;

	if (!resolve_permissions(run) || !expect(run, p, "no memory"))
		return;
	vm = static_call(test_find_vm_area)(p);
	if (!expect(run, vm && vmapcache_pin(p).word, "no vm_struct, or no pin"))
		return;
	vm->flags |= VM_FLUSH_RESET_PERMS;
	page = vmalloc_to_page(p);
	get_page(page);
	expect(run, !static_call(test_set_memory_ro)((unsigned long)p, 1), "to read-only");
	expect(run, !can_write(page_address(page)), "the page is not read-only");
	note(run, "frame %lu", page_to_pfn(page));
}

/* frame=: the page that leak_read_only() left behind can be written again. */
static void writable(struct run *run)
{
	struct page *page = pfn_to_page(arg(run, "frame", 0));

	if (!resolve_permissions(run))
		return;
	expect(run, page_count(page) == 1, "%d references", page_count(page));
	if (expect(run, can_write(page_address(page)), "the page is read-only"))
		put_page(page);
}

/* ---- /proc/kcore ---- */

static struct {
	void *area;
	unsigned int pages;
} held[4];

static struct page **held_pages;

static void release(struct run *run)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(held); i++) {
		vfree(held[i].area);
		held[i].area = NULL;
	}
	pages_free(held_pages, 5);
	held_pages = NULL;
}

/* Holds signed areas until `kcore_release`, and notes where they are. */
static void hold(struct run *run)
{
	unsigned int i;

	held_pages = pages_alloc(5);
	if (!expect(run, held_pages, "no memory"))
		return;
	held[0].area = vmapcache_vmalloc(3 * PAGE_SIZE);
	held[0].pages = 3;
	held[1].area = vmapcache_vmalloc(600 * PAGE_SIZE);
	held[1].pages = 600;
	held[2].area = vmapcache_vmap(held_pages, 3, VM_MAP, PAGE_KERNEL);
	held[2].pages = 3;
	held[3].area = vmapcache_vm_map_ram(held_pages + 3, 2, NUMA_NO_NODE);
	held[3].pages = 2;
	for (i = 0; i < ARRAY_SIZE(held); i++) {
		if (!expect(run, held[i].area, "area %u", i))
			continue;
		sign(held[i].area, held[i].pages, i);
		note(run, "area_%u %lu", i, (unsigned long)held[i].area);
		note(run, "pages_%u %u", i, held[i].pages);
	}
}

DEFINE_STATIC_CALL_RET0(test_vread_iter, vread_iter);

static void read_across(struct run *run, const char *from, size_t count)
{
	char *buffer = kvzalloc(count, GFP_KERNEL);
	struct kvec vec = { .iov_base = buffer, .iov_len = count };
	struct iov_iter iter;
	long got;

	if (!expect(run, buffer, "no memory"))
		return;
	iov_iter_kvec(&iter, ITER_DEST, &vec, 1, count);
	got = static_call(test_vread_iter)(&iter, from, count);
	expect(run, got == count, "%ld bytes of %zu", got, count);
	kvfree(buffer);
}

/* start= end=: reads ranges that are partly in the arena, whose bounds these are, or all around it. */
static void read_edges(struct run *run)
{
	const char *start = (void *)(unsigned long)arg(run, "start", 0);
	const char *end = (void *)(unsigned long)arg(run, "end", 0);
	void *vread = address_of("vread_iter");

	if (!expect(run, vread && start && end > start, "no arena"))
		return;
	static_call_update(test_vread_iter, vread);
	read_across(run, start - 100, 200);
	read_across(run, start - 2 * PAGE_SIZE - 1, 5 * PAGE_SIZE);
	read_across(run, end - 100, 200);
	read_across(run, end - 3 * PAGE_SIZE, 5 * PAGE_SIZE + 7);
	read_across(run, start, SZ_1M);
	read_across(run, start - PAGE_SIZE, PAGE_SIZE);
	read_across(run, end, PAGE_SIZE);
}

/* ---- costs ---- */

/* Nanoseconds for a hundred times @what, of the best of some tries; instructions in a VM that counts them. */
#define COST(what)							\
({									\
	u64 best = U64_MAX, took;					\
	unsigned int try, i;						\
									\
	for (try = 0; try < 50; try++) {				\
		took = ktime_get_ns();					\
		for (i = 0; i < 100; i++) {				\
			what;						\
		}							\
		took = ktime_get_ns() - took;				\
		best = min(best, took);					\
	}								\
	best;								\
})

/*
 * Counts what three things cost: a call that a guard lets through, a free that a guard serves, and a check
 * of 4 KiB by hardened usercopy. The check is at the start of a small area, and in the middle of one of
 * 4 MiB. The in-tree allocator cuts its addresses into zones of 64 KiB, one node after the other, and looks
 * for an area node by node.
 */
static void guard_costs(struct run *run)
{
	const unsigned long large = SZ_4M;
	void *ours = vmapcache_vmalloc(2 * PAGE_SIZE), *in_tree = vmalloc(2 * PAGE_SIZE);
	void *large_ours = vmapcache_vmalloc(large), *large_in_tree = vmalloc(large);
	/* A constant size would need no check. */
	unsigned long size = arg(run, "size", PAGE_SIZE);
	int i;

	/* So that addresses come from the stock, as they do in the long run. */
	for (i = 0; i < 20000; i++)
		vmapcache_vfree(vmapcache_vmalloc(PAGE_SIZE));
	if (expect(run, ours && in_tree && large_ours && large_in_tree, "no memory")) {
		note(run, "possible_cpus %u", num_possible_cpus());
		note(run, "nothing %llu", COST(barrier()));
		note(run, "vfree_null %llu", COST(vfree(NULL)));
		note(run, "vmalloc_vfree %llu", COST(vfree(vmalloc(PAGE_SIZE))));
		note(run, "ours_vfree_ours %llu", COST(vmapcache_vfree(vmapcache_vmalloc(PAGE_SIZE))));
		if (arg(run, "guards", 0))
			note(run, "ours_vfree %llu", COST(vfree(vmapcache_vmalloc(PAGE_SIZE))));
		note(run, "usercopy_ours %llu", COST(check_object_size(ours, size, true)));
		note(run, "usercopy_in_tree %llu", COST(check_object_size(in_tree, size, true)));
		note(run, "usercopy_large_ours %llu", COST(check_object_size(large_ours + large / 2, size, true)));
		note(run, "usercopy_large_in_tree %llu",
		     COST(check_object_size(large_in_tree + large / 2, size, true)));
	}
	vmapcache_vfree(ours);
	vfree(in_tree);
	vmapcache_vfree(large_ours);
	vfree(large_in_tree);
}

const struct test_case guards_cases[] = {
	{ "foreign_frees", foreign_frees },
	{ "aliases", aliases },
	{ "found", found },
	{ "found_everywhere", found_everywhere },
	{ "found_race", found_race },
	{ "found_in_nmi", found_in_nmi },
	{ "in_tree_vreallocs", in_tree_vreallocs },
	{ "reset_perms", reset_perms },
	{ "split_huge", split_huge },
	{ "collapse", collapse },
	{ "leak_read_only", leak_read_only },
	{ "writable", writable },
	{ "kcore_hold", hold },
	{ "kcore_release", release },
	{ "read_edges", read_edges },
	{ "guard_costs", guard_costs },
	{}
};
