// SPDX-License-Identifier: GPL-2.0
/*
 * TLB flushes: a probe counts them on the function that both allocators call; and a
 * reader sees old pages if one is missing. On arm64 that function is inline, so that
 * only vmapcache's own count is left.
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

#ifdef CONFIG_X86_64

static int on_flush(struct kprobe *probe, struct pt_regs *regs)
{
	long from_api = *(unsigned long *)regs->sp - (unsigned long)vmapcache_vmap;

	/* A module's text is in one piece, and the in-tree caller's is far away. */
	atomic64_inc(abs(from_api) < (long)SZ_1M ? &flushes_ours : &flushes_others);
	return 0;
}

static struct kprobe probe;

static bool probe_begin(struct run *run)
{
	int err;

	atomic64_set(&flushes_ours, 0);
	atomic64_set(&flushes_others, 0);
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

#else

static u64 flushes_before;

static bool probe_begin(struct run *run)
{
	int err = vmapcache_counter("flushes", &flushes_before);

	return expect(run, !err, "the counter: %d", err);
}

static void probe_end(void)
{
	u64 flushes = flushes_before;

	vmapcache_counter("flushes", &flushes);
	atomic64_set(&flushes_ours, flushes - flushes_before);
}

#endif

/* ---- an old translation that is still used ---- */

#define COLOURS	4
#define HUGE	700	/* more than the kernel flushes page by page */

static const unsigned int wall_pages[] = { 1, 1, 2, 3, 5, 33, 34, HUGE };

/* One place, which is always of the same size, but need not be at the same address. */
struct wall {
	/* What is mapped now; odd while it changes. */
	unsigned int version;
	u64 *addr;
	unsigned int colour;
};

struct palette {
	struct page *page[COLOURS];
	struct page **pages[COLOURS];	/* that page, HUGE times */
	unsigned int rounds;
	struct wall walls[ARRAY_SIZE(wall_pages)];
	bool over;
	unsigned long reads, stale, reused;
};

static void paint(struct run *run, struct palette *palette)
{
	unsigned int i, nr, colour;
	struct wall *wall;
	u64 *p;

	for (i = 0; i < palette->rounds && !interrupted(); i++) {
		nr = i % ARRAY_SIZE(wall_pages);
		colour = i / ARRAY_SIZE(wall_pages) % COLOURS;
		wall = &palette->walls[nr];
		/* From here on any read is right. */
		WRITE_ONCE(wall->version, 2 * i + 1);
		/* The readers see that before anything is unmapped. */
		smp_mb();
		vmapcache_vunmap(wall->addr);
		p = vmapcache_vmap(palette->pages[colour], wall_pages[nr], VM_MAP, PAGE_KERNEL);
		palette->reused += p && p == wall->addr;
		WRITE_ONCE(wall->addr, p);
		if (!expect(run, p, "round %u", i))
			break;
		WRITE_ONCE(wall->colour, colour);
		/* Pairs with the readers' acquire. */
		smp_store_release(&wall->version, 2 * i + 2);
		udelay(i % 20);
	}
	WRITE_ONCE(palette->over, true);
	for (nr = 0; nr < ARRAY_SIZE(wall_pages); nr++) {
		WRITE_ONCE(palette->walls[nr].version, 1);
		/* As above. */
		smp_mb();
		vmapcache_vunmap(palette->walls[nr].addr);
	}
}

static void look_at(struct palette *palette, struct wall *wall, unsigned long page)
{
	/* Pairs with the painter's release. */
	unsigned int version = smp_load_acquire(&wall->version), colour;
	u64 *p = READ_ONCE(wall->addr), seen;

	colour = READ_ONCE(wall->colour);
	/* A page that is gone faults: that is right, too. */
	if (!p || copy_from_kernel_nofault(&seen, p + page * (PAGE_SIZE / sizeof(*p)), sizeof(seen)))
		return;
	/* Read before the version is looked at again. */
	smp_rmb();
	if (version & 1 || READ_ONCE(wall->version) != version)
		return;
	palette->reads++;
	palette->stale += seen != colour + 1;
}

static void look(struct palette *palette)
{
	unsigned int i;

	while (!READ_ONCE(palette->over) && !interrupted()) {
		for (i = 0; i < ARRAY_SIZE(wall_pages); i++) {
			look_at(palette, &palette->walls[i], 0);
			look_at(palette, &palette->walls[i], wall_pages[i] - 1);
		}
	}
}

static void paint_or_look(struct run *run, unsigned int thread, void *data)
{
	if (thread)
		look(data);
	else
		paint(run, data);
}

/*
 * rounds=10000: one CPU maps pages at several places, unmaps them, and maps pages of
 * another colour there: single pages, and more than the kernel flushes page by page.
 * Another CPU reads. It never sees an old colour after a new one was mapped.
 */
static void stale_tlb(struct run *run)
{
	struct palette *palette = kzalloc(sizeof(*palette), GFP_KERNEL);
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
	if (probe_begin(run)) {
		run_threads(run, 2, paint_or_look, palette);
		probe_end();
	}
	/* The next case must not meet addresses that were not flushed. */
	vmapcache_vm_unmap_aliases();
	note(run, "reads %lu", palette->reads);
	note(run, "reused %lu", palette->reused);
	note(run, "flushes %lld", atomic64_read(&flushes_ours));
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

/* allocator= count=200000: how many flushes this many frees of one page cost. */
static void flush_count(struct run *run)
{
	const struct allocator *a = allocator_of(run);
	unsigned int i, count = arg(run, "count", 200000);
	struct page *page = alloc_page(GFP_KERNEL);

	if (!expect(run, page, "no memory"))
		return;
	if (probe_begin(run)) {
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
