// SPDX-License-Identifier: GPL-2.0
/*
 * Everything at once, for the given time. The actions of a thread depend on the seed and
 * its number alone.
 */
#include <linux/ktime.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/sysrq.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

#define SLOTS		96
#define SHARED		16
#define LARGEST		(SZ_64M >> PAGE_SHIFT)
#define PALETTE		64

/* How an area was allocated, and its content. */
struct piece {
	void *addr;
	u64 seed;
	struct vmapcache_pin pin;
	unsigned int pages;
	unsigned int whole;	/* of them asked for to the last byte: signed, or shown */
	bool mapped;		/* shows pages of the palette */
};

struct torture {
	ktime_t end;
	u64 seed;
	struct page **palette;
	struct page **many;	/* the palette again and again, LARGEST times */
	/* Areas on their way to the thread that frees them, perhaps on another CPU. */
	struct piece *shared[SHARED];
	atomic64_t operations, refused, handed, in_interrupt;
	/* Checks that the number of operations grows. */
	struct delayed_work watchdog;
	struct run *run;
	u64 seen;
	unsigned int still, patience;
};

static u64 word(unsigned int page)
{
	return page * 0x9e3779b97f4a7c15ULL + 1;
}

/* The signature of an area of its own, or the palette's where it shows that. */
static void check(struct run *run, const struct piece *piece)
{
	unsigned int i, ok;

	if (!piece->mapped) {
		ok = signed_by(piece->addr, piece->whole, piece->seed);
	} else {
		for (i = 0; i < piece->whole; i += piece->whole > 500 ? 97 : 1)
			if (*(u64 *)(piece->addr + i * PAGE_SIZE) != word(i % PALETTE))
				break;
		ok = min(i, piece->whole);
	}
	expect(run, ok == piece->whole, "page %u of %u of an area, mapped %d", ok, piece->whole,
	       piece->mapped);
}

static void free_now(void *addr)
{
	vmapcache_vfree_atomic(addr);
}

static void let_go(struct run *run, struct torture *torture, struct piece *piece, u32 how)
{
	if (!piece->addr)
		return;
	check(run, piece);
	switch (how % 6) {
	case 0:
		vmapcache_vfree_atomic(piece->addr);
		break;
	case 1:
		atomic64_inc(&torture->in_interrupt);
		smp_call_function_single(cpumask_any(cpu_online_mask), free_now, piece->addr, 1);
		break;
	case 2:
		if (!piece->pin.word) {
			vmapcache_vfree_sync(piece->addr);
			break;
		}
		fallthrough;
	default:
		vmapcache_vfree(piece->addr);
	}
	if (piece->pin.word) {
		/* Freed, and yet mapped. */
		check(run, piece);
		vmapcache_unpin(&piece->pin);
	}
	*piece = (struct piece){};
}

static void take_up(struct run *run, struct torture *torture, struct rnd_state *rnd,
		    struct piece *piece)
{
	u32 how = below(rnd, 100);
	unsigned int shift = how < 2 ? 14 : how < 10 ? 9 : 4;
	bool huge = how == 99;

	/* Mostly small; own pages cost memory and time, so the large ones are shown, but for a few huge pages. */
	piece->pages = huge ? PTRS_PER_PTE + 1 + below(rnd, PTRS_PER_PTE) :
			      1 + below(rnd, 1 << below(rnd, shift + 1));
	piece->seed = prandom_u32_state(rnd);
	piece->mapped = how < 40 || (piece->pages > 512 && !huge);
	piece->whole = piece->pages;
	if (!piece->mapped) {
		gfp_t gfp = how < 50 ? GFP_NOWAIT | __GFP_NOWARN : GFP_KERNEL | __GFP_NOWARN;
		unsigned long size = piece->pages * PAGE_SIZE - below(rnd, PAGE_SIZE);

		piece->whole = size >> PAGE_SHIFT;
		if (huge)
			piece->addr = vmapcache_vmalloc_huge_node(size, gfp, NUMA_NO_NODE);
		else if (how < 60)
			piece->addr = vmapcache_vmalloc_aligned(size, PAGE_SIZE << below(rnd, 10),
								gfp, NUMA_NO_NODE, NULL);
		else
			piece->addr = vmapcache_vmalloc_gfp(size, gfp);
	} else if (how % 2) {
		piece->addr = vmapcache_vmap(torture->many, piece->pages, VM_MAP, PAGE_KERNEL_RO);
	} else {
		piece->addr = vmapcache_vm_map_ram(torture->many, piece->pages, NUMA_NO_NODE);
	}
	if (!piece->addr) {
		atomic64_inc(&torture->refused);
		*piece = (struct piece){};
		return;
	}
	expect(run, !readable(piece->addr + piece->pages * PAGE_SIZE), "no guard page after %u",
	       piece->pages);
	if (!piece->mapped)
		sign(piece->addr, piece->whole, piece->seed);
	if (below(rnd, 8) == 0) {
		piece->pin = vmapcache_pin(piece->addr + below(rnd, piece->pages) * PAGE_SIZE);
		expect(run, piece->pin.word, "a live area could not be pinned");
	}
}

static bool ascending(const struct vmapcache_area *area, void *arg)
{
	const void **floor = arg;

	if (area->addr < *floor) {
		*floor = NULL;
		return false;
	}
	*floor = area->addr + area->size + PAGE_SIZE;
	return true;
}

static void torture_thread(struct run *run, unsigned int thread, void *data)
{
	struct torture *torture = data;
	struct piece *pieces = kvcalloc(SLOTS, sizeof(*pieces), GFP_KERNEL);
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, torture->seed * 1000 + thread);
	while (pieces && !run->failures && ktime_before(ktime_get(), torture->end) &&
	       !interrupted()) {
		struct piece *piece = &pieces[below(&rnd, SLOTS)], *other;
		u32 what = below(&rnd, 1000);

		atomic64_inc(&torture->operations);
		if (what < 5) {
			const void *floor = (void *)1;

			vmapcache_walk(NULL, ascending, &floor);
			expect(run, floor, "a walk went back");
		} else if (what < 10) {
			vmapcache_vm_unmap_aliases();
		} else if (what < 60) {
			/* Gives it to another thread, and takes the one that was left here. */
			other = kmemdup(piece, sizeof(*piece), GFP_KERNEL);
			if (!other)
				continue;
			other = xchg(&torture->shared[below(&rnd, SHARED)], other);
			*piece = other ? *other : (struct piece){};
			kfree(other);
			atomic64_inc(&torture->handed);
		} else if (piece->addr) {
			let_go(run, torture, piece, prandom_u32_state(&rnd));
		} else {
			take_up(run, torture, &rnd, piece);
		}
	}
	for (i = 0; pieces && i < SLOTS; i++)
		let_go(run, torture, &pieces[i], i);
	kvfree(pieces);
}

#define WATCH	(5 * HZ)

/* If nothing happens for long, that is a failure, reported while it lasts. */
static void watch(struct work_struct *work)
{
	struct torture *torture = container_of(to_delayed_work(work), struct torture, watchdog);
	u64 now = atomic64_read(&torture->operations);

	torture->still = now == torture->seen ? torture->still + 1 : 0;
	torture->seen = now;
	if (torture->still >= torture->patience) {
		failed(torture->run, __FILE_NAME__, __LINE__, "no progress after %llu operations",
		       now);
		pr_warn("torture: no progress for %u s: BUG? What each task waits for:\n",
			torture->still * WATCH / HZ);
		handle_sysrq('w');
		give_up();
		return;
	}
	schedule_delayed_work(&torture->watchdog, WATCH);
}

/* seconds=10 seed=1 threads=4 patience=30 */
static void torture(struct run *run)
{
	struct torture *torture = kzalloc(sizeof(*torture), GFP_KERNEL);
	unsigned int i;

	if (!expect(run, torture, "no memory"))
		return;
	torture->seed = arg(run, "seed", 1);
	torture->palette = pages_alloc(PALETTE);
	torture->many = kvmalloc_array(LARGEST, sizeof(*torture->many), GFP_KERNEL);
	if (!expect(run, torture->palette && torture->many, "no memory"))
		goto out;
	for (i = 0; i < PALETTE; i++)
		*(u64 *)page_address(torture->palette[i]) = word(i);
	for (i = 0; i < LARGEST; i++)
		torture->many[i] = torture->palette[i % PALETTE];
	torture->end = ktime_add_ms(ktime_get(), arg(run, "seconds", 10) * MSEC_PER_SEC);
	torture->run = run;
	torture->patience = DIV_ROUND_UP(arg(run, "patience", 30) * HZ, WATCH);
	INIT_DELAYED_WORK(&torture->watchdog, watch);
	schedule_delayed_work(&torture->watchdog, WATCH);
	run_threads(run, arg(run, "threads", 2 * num_online_cpus()), torture_thread, torture);
	cancel_delayed_work_sync(&torture->watchdog);
	for (i = 0; i < SHARED; i++) {
		if (torture->shared[i])
			let_go(run, torture, torture->shared[i], i);
		kfree(torture->shared[i]);
	}
	note(run, "operations %lld", atomic64_read(&torture->operations));
	note(run, "refused %lld", atomic64_read(&torture->refused));
	note(run, "handed %lld", atomic64_read(&torture->handed));
	note(run, "in_interrupt %lld", atomic64_read(&torture->in_interrupt));
out:
	kvfree(torture->many);
	pages_free(torture->palette, PALETTE);
	kfree(torture);
}

const struct test_case torture_cases[] = {
	{ "torture", torture },
	{}
};
