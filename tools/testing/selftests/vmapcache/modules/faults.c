// SPDX-License-Identifier: GPL-2.0
/*
 * Calls whose inner allocations fail: the first, the second, ... until none failed in
 * a call; and random calls while the kernel's own fault injection is on.
 */
#include <linux/fault-inject.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

#ifdef CONFIG_FAULT_INJECTION

#define HELD		512
/* More than a huge page has. */
#define PAGES_MOST	600
/* No call allocates more often than that. */
#define NTH_MOST	5000

struct held {
	void *addr;
	struct page **given;	/* shown; still the caller's */
	unsigned int pages;
	u64 seed;
	bool shows;
};

struct faults {
	struct run *run;
	struct held held[HELD];
	unsigned int nr_held;
	unsigned int nth;
	bool at_random;
	/* Of all calls. */
	unsigned int failures, hits;
};

/* From here on, allocations of this task fail. */
static void arm(struct faults *f)
{
	if (f->at_random)
		current->make_it_fail = 1;
	else
		current->fail_nth = f->nth;
}

/* Ends that. True if one has failed; with random faults nobody knows. */
static bool disarm(struct faults *f)
{
	bool hit = !f->at_random && !current->fail_nth;

	current->make_it_fail = 0;
	current->fail_nth = 0;
	f->hits += hit;
	return hit || f->at_random;
}

/* After a call: true if an allocation failed, or may have. Only then may the call fail. */
static bool settle(struct faults *f, const char *what, unsigned int pages, void *addr)
{
	bool hit = disarm(f);

	expect(f->run, addr || hit, "%s of %u pages failed, and no allocation had", what, pages);
	f->failures += !addr;
	return hit;
}

static void keep(struct faults *f, void *addr, unsigned int pages, struct page **given, bool shows)
{
	struct held *held = &f->held[f->nr_held++];

	*held = (struct held){ addr, given, pages, f->nr_held * 7919 + f->nth, shows };
	expect(f->run, !readable(addr + pages * PAGE_SIZE), "no guard page");
	sign(addr, pages, held->seed);
}

static bool let_go(struct faults *f, struct held *held, u32 how)
{
	struct vmapcache_pin pin = vmapcache_pin(how % 5 == 0 ? held->addr : NULL);
	unsigned long ok = signed_by(held->addr, held->pages, held->seed);
	bool hit;

	expect(f->run, ok == held->pages, "page %lu of %u", ok, held->pages);
	/* None of this may fail, whatever its allocations do. */
	arm(f);
	if (held->shows && how & 1)
		vmapcache_vm_unmap_ram(held->addr, held->pages);
	else if (held->shows)
		vmapcache_vunmap(held->addr);
	else if (how & 1)
		vmapcache_vfree_atomic(held->addr);
	else if (how & 2 && !pin.word)
		vmapcache_vfree_sync(held->addr);
	else
		vmapcache_vfree(held->addr);
	if (how & 64)
		vmapcache_vm_unmap_aliases();
	vmapcache_unpin(&pin);
	hit = disarm(f);
	pages_free(held->given, held->pages);
	*held = f->held[--f->nr_held];
	return hit;
}

static gfp_t flags_of(u32 how)
{
	static const gfp_t flags[] = {
		GFP_KERNEL, GFP_KERNEL | __GFP_ZERO, GFP_NOWAIT, GFP_ATOMIC, GFP_NOFS, GFP_NOIO,
		GFP_KERNEL | __GFP_RETRY_MAYFAIL, GFP_KERNEL | __GFP_NORETRY,
	};

	return flags[how % ARRAY_SIZE(flags)] | __GFP_NOWARN;
}

static bool try_flags(struct faults *f, unsigned int pages, u32 how, bool huge)
{
	bool blocking = gfpflags_allow_blocking(flags_of(how));
	void *addr;
	bool hit;

	/* If it fails there, it must not sleep either: debug kernels see to that. */
	if (!blocking)
		preempt_disable();
	arm(f);
	addr = huge ? vmapcache_vmalloc_huge_node(pages * PAGE_SIZE, flags_of(how), NUMA_NO_NODE) :
		      vmapcache_vmalloc_gfp(pages * PAGE_SIZE, flags_of(how));
	if (!blocking)
		preempt_enable();
	hit = settle(f, huge ? "vmalloc_huge" : "vmalloc", pages, addr);
	if (addr)
		keep(f, addr, pages, NULL, false);
	return hit;
}

static bool try_vmalloc(struct faults *f, unsigned int pages, u32 how)
{
	return try_flags(f, pages, how, false);
}

static bool try_huge(struct faults *f, unsigned int pages, u32 how)
{
	return try_flags(f, pages, how, true);
}

static bool try_vzalloc(struct faults *f, unsigned int pages, u32 how)
{
	void *addr;
	bool hit;

	arm(f);
	addr = vmapcache_vzalloc(pages * PAGE_SIZE);
	hit = settle(f, "vzalloc", pages, addr);
	if (addr) {
		expect(f->run, !memchr_inv(addr, 0, pages * PAGE_SIZE), "%u pages", pages);
		keep(f, addr, pages, NULL, false);
	}
	return hit;
}

static bool try_aligned(struct faults *f, unsigned int pages, u32 how)
{
	unsigned long align = PAGE_SIZE << how % 10;
	void *addr;
	bool hit;

	arm(f);
	addr = vmapcache_vmalloc_aligned(pages * PAGE_SIZE, align, flags_of(how), NUMA_NO_NODE,
					 NULL);
	hit = settle(f, "vmalloc_aligned", pages, addr);
	if (addr) {
		expect(f->run, IS_ALIGNED((unsigned long)addr, align), "%lx", align);
		keep(f, addr, pages, NULL, false);
	}
	return hit;
}

static bool try_vrealloc(struct faults *f, unsigned int pages, u32 how)
{
	void *small = vmapcache_vmalloc(PAGE_SIZE), *addr;
	bool hit;

	if (!expect(f->run, small, "a page"))
		return false;
	sign(small, 1, pages);
	arm(f);
	addr = vmapcache_vrealloc(small, (pages + 1) * PAGE_SIZE, flags_of(how));
	hit = settle(f, "vrealloc", pages, addr);
	expect(f->run, signed_by(addr ?: small, 1, pages) == 1, "contents lost, moved %d", !!addr);
	if (addr)
		keep(f, addr, pages + 1, NULL, false);
	else
		vmapcache_vfree(small);
	return hit;
}

static bool try_vmap(struct faults *f, unsigned int pages, u32 how)
{
	struct page **given = pages_alloc(pages);
	unsigned long flags = VM_MAP | (how & 1 ? VM_MAP_PUT_PAGES : 0);
	void *addr;
	bool hit;

	if (!expect(f->run, given, "no memory"))
		return false;
	arm(f);
	addr = vmapcache_vmap(given, pages, flags, PAGE_KERNEL);
	hit = settle(f, "vmap", pages, addr);
	/* The area takes them over only if the call succeeds. */
	if (addr)
		keep(f, addr, pages, how & 1 ? NULL : given, !(how & 1));
	else
		pages_free(given, pages);
	return hit;
}

static bool try_vm_map_ram(struct faults *f, unsigned int pages, u32 how)
{
	struct page **given = pages_alloc(pages);
	void *addr;
	bool hit;

	if (!expect(f->run, given, "no memory"))
		return false;
	arm(f);
	addr = vmapcache_vm_map_ram(given, pages, NUMA_NO_NODE);
	hit = settle(f, "vm_map_ram", pages, addr);
	if (addr)
		keep(f, addr, pages, given, true);
	else
		pages_free(given, pages);
	return hit;
}

static bool count_area(const struct vmapcache_area *area, void *arg)
{
	++*(unsigned int *)arg;
	return true;
}

/* Calls that cannot fail. */
static bool try_others(struct faults *f, unsigned int pages, u32 how)
{
	void *addr = f->nr_held ? f->held[how % f->nr_held].addr : NULL;
	unsigned int seen = 0;
	bool hit;
	struct vmapcache_pin pin;

	arm(f);
	pin = vmapcache_pin(addr);
	vmapcache_vm_unmap_aliases();
	vmapcache_walk(NULL, count_area, &seen);
	vmapcache_unpin(&pin);
	hit = disarm(f);
	expect(f->run, !addr || pin.word, "no pin");
	expect(f->run, !addr || seen, "a walk saw nothing");
	if (f->nr_held)
		hit |= let_go(f, &f->held[how % f->nr_held], how);
	return hit;
}

static bool (*const calls[])(struct faults *f, unsigned int pages, u32 how) = {
	try_vmalloc, try_huge, try_vzalloc, try_aligned, try_vrealloc, try_vmap, try_vm_map_ram,
	try_others,
};

static struct faults *faults_new(struct run *run)
{
	struct faults *f = kvzalloc(sizeof(*f), GFP_KERNEL);

	if (expect(run, f, "no memory"))
		f->run = run;
	return f;
}

static void free_all(struct faults *f)
{
	while (f->nr_held)
		let_go(f, &f->held[f->nr_held - 1], f->nr_held);
}

/*
 * Each call in several sizes. Areas stay for a while, so that the next call always
 * needs new memory: descriptors, windows of the index, page tables.
 */
static void nth_faults(struct run *run)
{
	static const unsigned int sizes[] = { 1, 5, 70, PAGES_MOST };
	struct faults *f = faults_new(run);
	unsigned int call, size, how, passes = 0, deepest = 0;

	for (call = 0; f && call < ARRAY_SIZE(calls); call++) {
		for (size = 0; size < ARRAY_SIZE(sizes); size++) {
			for (how = 0; how < 8 && !run->failures && !interrupted(); how++) {
				bool hit = true;

				for (f->nth = 1; hit && f->nth < NTH_MOST; f->nth++) {
					hit = calls[call](f, sizes[size], how);
					deepest = max(deepest, f->nth);
					if (run->failures || interrupted())
						break;
					if (f->nr_held > 24)
						free_all(f);
				}
				expect(run, !hit, "call %u, %u pages, flags %u: no end", call,
				       sizes[size], how);
				passes++;
			}
		}
		free_all(f);
	}
	if (f) {
		note(run, "passes %u", passes);
		note(run, "deepest %u", deepest);
		note(run, "hits %u", f->hits);
		note(run, "failed %u", f->failures);
	}
	kvfree(f);
}

/* operations=5000 seed=1: under the kernel's own fault injection. */
static void random_faults(struct run *run)
{
	struct faults *f = faults_new(run);
	unsigned int operations = arg(run, "operations", 5000), i;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, arg(run, "seed", 1));
	if (f)
		f->at_random = true;
	for (i = 0; f && i < operations && !run->failures && !interrupted(); i++) {
		u32 how = prandom_u32_state(&rnd), pages = 1 + below(&rnd, 1 << below(&rnd, 9));

		calls[below(&rnd, ARRAY_SIZE(calls))](f, pages, how);
		while (f->nr_held > HELD / 4)
			let_go(f, &f->held[below(&rnd, f->nr_held)], prandom_u32_state(&rnd));
	}
	if (f) {
		free_all(f);
		note(run, "operations %u", i);
		note(run, "failed %u", f->failures);
	}
	kvfree(f);
}

#else

static void nth_faults(struct run *run)
{
	failed(run, __FILE_NAME__, __LINE__, "this kernel is without CONFIG_FAULT_INJECTION");
}

#define random_faults	nth_faults

#endif

/* For kmemleak to find: more than the slab's per-CPU arrays still point to, where it looks. */
static void lose_memory(struct run *run)
{
	unsigned int i;

	for (i = 0; i < 1000; i++)
		expect(run, kmalloc(96, GFP_KERNEL), "no memory");
}

const struct test_case faults_cases[] = {
	{ "nth_faults", nth_faults },
	{ "random_faults", random_faults },
	{ "lose_memory", lose_memory },
	{}
};
