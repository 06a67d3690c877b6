// SPDX-License-Identifier: GPL-2.0
/*
 * Guards: in-tree functions with addresses of vmapcache, in many contexts, and what the
 * areas beside them look like afterwards.
 */
#include <linux/irq_work.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

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
 * counts flushes of ours by vm_unmap_aliases() after one free ("once"), and by a hundred more ("more").
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
	__free_page(page);
}

const struct test_case guards_cases[] = {
	{ "foreign_frees", foreign_frees },
	{ "aliases", aliases },
	{}
};
