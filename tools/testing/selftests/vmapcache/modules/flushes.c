// SPDX-License-Identifier: GPL-2.0
/*
 * TLB flushes: counted, and left out on purpose, by a probe on the function that
 * both allocators end in. So no build of vmapcache needs a switch that breaks it.
 */
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

static atomic64_t flushes_ours, flushes_others;
static bool leave_out;

static int on_flush(struct kprobe *probe, struct pt_regs *regs)
{
	long from_api = *(unsigned long *)regs->sp - (unsigned long)vmapcache_vmap;

	/* The text of a module lies together, and the in-tree caller's far away. */
	if (abs(from_api) >= (long)SZ_1M) {
		atomic64_inc(&flushes_others);
		return 0;
	}
	atomic64_inc(&flushes_ours);
	/* From here to here. */
	if (READ_ONCE(leave_out))
		regs->si = regs->di;
	return 0;
}

static struct kprobe probe;

static bool probe_begin(struct run *run, bool without)
{
	int err;

	atomic64_set(&flushes_ours, 0);
	atomic64_set(&flushes_others, 0);
	leave_out = without;
	probe = (struct kprobe){
		.symbol_name = "flush_tlb_kernel_range",
		.pre_handler = on_flush,
	};
	err = register_kprobe(&probe);
	return expect(run, !err, "the probe: %d", err);
}

static void probe_end(void)
{
	unregister_kprobe(&probe);
}

/* ---- an old translation that is still used ---- */

#define COLOURS	4
#define HUGE	700	/* above what is flushed page by page */

struct palette {
	struct page *page[COLOURS];
	struct page **pages[COLOURS];	/* that page, HUGE times */
	unsigned int rounds;

	/* What is mapped now; odd while it changes. */
	unsigned int version;
	u64 *addr;
	unsigned int count, colour;

	bool over;
	unsigned long reads, stale, reused;
};

static void paint(struct run *run, struct palette *palette)
{
	static const unsigned int counts[] = { 1, 1, 2, 5, 1, 33, 1, 34, 3, HUGE };
	u64 *last = NULL;
	unsigned int i;

	for (i = 0; i < palette->rounds && !interrupted(); i++) {
		unsigned int colour = i % COLOURS, count = counts[i % ARRAY_SIZE(counts)];
		u64 *p = vmapcache_vmap(palette->pages[colour], count, VM_MAP, PAGE_KERNEL);

		if (!expect(run, p, "round %u", i))
			break;
		palette->reused += p == last;
		last = p;
		WRITE_ONCE(palette->addr, p);
		WRITE_ONCE(palette->count, count);
		WRITE_ONCE(palette->colour, colour);
		/* Pairs with the readers' acquire. */
		smp_store_release(&palette->version, 2 * i + 2);
		udelay(i % 20);
		/* From here on whatever is read is right. */
		WRITE_ONCE(palette->version, 2 * i + 3);
		/* The readers see that before anything is unmapped. */
		smp_mb();
		vmapcache_vunmap(p);
	}
	WRITE_ONCE(palette->over, true);
}

static void look_at(struct run *run, struct palette *palette)
{
	while (!READ_ONCE(palette->over) && !interrupted()) {
		/* Pairs with the painter's release. */
		unsigned int version = smp_load_acquire(&palette->version), colour, i;
		u64 *p = READ_ONCE(palette->addr), seen;

		colour = READ_ONCE(palette->colour);
		i = READ_ONCE(palette->count);
		if (!p || !i)
			continue;
		/* First and last page; a page that is gone faults, which is right too. */
		p = version & 8 ? p : p + (i - 1) * (PAGE_SIZE / sizeof(*p));
		if (copy_from_kernel_nofault(&seen, p, sizeof(seen)))
			continue;
		/* Read before the version is looked at again. */
		smp_rmb();
		if (version & 1 || READ_ONCE(palette->version) != version)
			continue;
		palette->reads++;
		palette->stale += seen != colour + 1;
	}
}

static void paint_or_look(struct run *run, unsigned int thread, void *data)
{
	if (thread)
		look_at(run, data);
	else
		paint(run, data);
}

/*
 * rounds=10000 flush=1: one CPU reads what another maps there, unmaps and maps anew
 * with a page of another colour. flush=0 leaves the flushes out: then old colours are
 * to be seen, or the test shows nothing.
 */
static void stale_tlb(struct run *run)
{
	struct palette *palette = kzalloc(sizeof(*palette), GFP_KERNEL);
	bool flush = arg(run, "flush", 1);
	unsigned int i, j;

	if (!expect(run, palette, "no memory"))
		return;
	palette->rounds = arg(run, "rounds", 10000);
	for (i = 0; i < COLOURS; i++) {
		palette->page[i] = alloc_page(GFP_KERNEL);
		palette->pages[i] = kvmalloc_array(HUGE, sizeof(struct page *), GFP_KERNEL);
		if (!expect(run, palette->page[i] && palette->pages[i], "no memory"))
			goto out;
		*(u64 *)page_address(palette->page[i]) = i + 1;
		for (j = 0; j < HUGE; j++)
			palette->pages[i][j] = palette->page[i];
	}
	if (probe_begin(run, !flush)) {
		run_threads(run, 2, paint_or_look, palette);
		probe_end();
	}
	/* What was not flushed must not be met again by whoever comes next. */
	vmapcache_vm_unmap_aliases();
	note(run, "reads %lu", palette->reads);
	note(run, "stale %lu", palette->stale);
	note(run, "reused %lu", palette->reused);
	note(run, "flushes %lld", atomic64_read(&flushes_ours));
	if (flush)
		expect(run, !palette->stale, "%lu of %lu reads saw an old colour", palette->stale,
		       palette->reads);
out:
	for (i = 0; i < COLOURS; i++) {
		kvfree(palette->pages[i]);
		if (palette->page[i])
			__free_page(palette->page[i]);
	}
	kfree(palette);
}

/* allocator= count=200000: how many flushes that many frees of a page each cost. */
static void flush_count(struct run *run)
{
	const struct allocator *a = allocator_of(run);
	unsigned int i, count = arg(run, "count", 200000);
	struct page *page = alloc_page(GFP_KERNEL);

	if (!expect(run, page, "no memory"))
		return;
	if (probe_begin(run, false)) {
		for (i = 0; i < count; i++) {
			void *p = a->map(&page, 1);

			if (!expect(run, p, "area %u", i))
				break;
			a->unmap(p);
			if (i % 64 == 0 && interrupted())
				break;
		}
		probe_end();
	}
	note(run, "flushes %lld", a == &allocator_ours ? atomic64_read(&flushes_ours) :
	     atomic64_read(&flushes_others));
	__free_page(page);
}

const struct test_case flushes_cases[] = {
	{ "stale_tlb", stale_tlb },
	{ "flush_count", flush_count },
	{}
};
