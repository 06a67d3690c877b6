// SPDX-License-Identifier: GPL-2.0
/*
 * unaware.ko: a user of vmap(), vm_map_ram() and vmalloc() that knows nothing of
 * vmapcache: for the tests of takeover.
 *
 * The parameter "do" takes a line:
 *
 *	hold KIND COUNT PAGES	allocates COUNT areas of PAGES pages, and signs each page
 *	check			fails if a signature has changed
 *	release			checks, and frees all
 *	faults KIND PAGES	holds such areas while the 1st, 2nd, ... inner allocation of each
 *				call fails, until none has, and frees others so; fails if a call does
 *	start THREADS		threads allocate, sign, check and free, until "stop"
 *	start-faulty THREADS	the same, and one inner allocation of each call may fail
 *	stop			fails if anything was wrong
 *	costs			measures pairs of allocation and free of one page
 *
 * and shows what was counted since the module was loaded.
 */
#include <linux/cleanup.h>
#include <linux/fault-inject.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

enum kind { VMAP, VM_MAP_RAM, GIVEN, VMALLOC, ATOMIC, USER, KVMALLOC, KVREALLOC, DMA32, HUGE, KINDS };

static const char * const kinds[] = {
	[VMAP] = "vmap",
	[VM_MAP_RAM] = "vm_map_ram",
	[GIVEN] = "given",
	[VMALLOC] = "vmalloc",
	[ATOMIC] = "atomic",
	[USER] = "user",
	[KVMALLOC] = "kvmalloc",
	[KVREALLOC] = "kvrealloc",
	[DMA32] = "dma32",
	[HUGE] = "huge",
};

#define HELD_MAX	4096
#define PAGES_MAX	2048
#define THREADS_MAX	8

struct held {
	void *addr;
	struct page **pages;	/* shown by the area; those that are given go with it */
	unsigned int nr;
	enum kind kind;
	u64 seed;
};

static DEFINE_MUTEX(lock);
static struct held held[HELD_MAX];
static unsigned int holds;
static struct task_struct *threads[THREADS_MAX];

static atomic64_t allocated[KINDS], refused, rounds, wrong, hits;

/* ---- inner allocations that fail ---- */

#ifdef CONFIG_FAULT_INJECTION

static const bool has_faults = true;

/* The nth allocation of this task from here on fails; 0: none does. */
static void arm(unsigned int nth)
{
	current->fail_nth = nth;
}

/* Ends that. True if one has failed. */
static bool disarm(unsigned int nth)
{
	bool hit = nth && !current->fail_nth;

	current->fail_nth = 0;
	if (hit)
		atomic64_inc(&hits);
	return hit;
}

#else

static const bool has_faults;

static void arm(unsigned int nth)
{
}

static bool disarm(unsigned int nth)
{
	return false;
}

#endif

/* ---- areas ---- */

static void pages_put(struct page **pages, unsigned int nr)
{
	unsigned int i;

	for (i = 0; pages && i < nr; i++)
		if (pages[i])
			__free_page(pages[i]);
	kvfree(pages);
}

static struct page **pages_get(unsigned int nr)
{
	struct page **pages = kcalloc(nr, sizeof(*pages), GFP_KERNEL);
	unsigned int i;

	for (i = 0; pages && i < nr; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		if (!pages[i]) {
			pages_put(pages, nr);
			return NULL;
		}
	}
	return pages;
}

static void *get(struct held *h)
{
	unsigned long size = h->nr * PAGE_SIZE;

	switch (h->kind) {
	case VMAP:
		return vmap(h->pages, h->nr, VM_MAP, PAGE_KERNEL);
	case VM_MAP_RAM:
		return vm_map_ram(h->pages, h->nr, NUMA_NO_NODE);
	case GIVEN:
		return vmap(h->pages, h->nr, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
	case VMALLOC:
		return vmalloc(size);
	case ATOMIC:
		return __vmalloc(size, GFP_NOWAIT | __GFP_NOWARN);
	case USER:
		return vmalloc_user(size);
	case KVMALLOC:
		return kvmalloc(size, GFP_KERNEL);
	case KVREALLOC:
		return kvrealloc(NULL, size, GFP_NOWAIT | __GFP_NOWARN);
	case DMA32:
		return vmalloc_32(size);
	case HUGE:
		return vmalloc_huge(size, GFP_KERNEL);
	default:
		return NULL;
	}
}

/* Only get() may meet the fault; *hit, if wanted, says whether it has. */
static bool take(struct held *h, unsigned int nth, bool *hit)
{
	unsigned int i;
	bool was_hit;

	h->pages = NULL;
	if (h->kind == VMAP || h->kind == VM_MAP_RAM || h->kind == GIVEN) {
		h->pages = pages_get(h->nr);
		if (!h->pages)
			return false;
	}
	/* kvmalloc() of a page is kmalloc(), and nothing stands in for that. */
	if (h->kind == KVMALLOC && h->nr == 1)
		nth = 0;
	arm(nth);
	h->addr = get(h);
	was_hit = disarm(nth);
	if (hit)
		*hit = was_hit;
	if (!h->addr) {
		atomic64_inc(&refused);
		pages_put(h->pages, h->nr);
		h->pages = NULL;
		return false;
	}
	atomic64_inc(&allocated[h->kind]);
	for (i = 0; i < h->nr; i++)
		*(u64 *)(h->addr + i * PAGE_SIZE) = h->seed + i;
	return true;
}

static bool is_intact(const struct held *h)
{
	unsigned int i;

	for (i = 0; i < h->nr; i++) {
		if (*(u64 *)(h->addr + i * PAGE_SIZE) != h->seed + i) {
			atomic64_inc(&wrong);
			return false;
		}
	}
	return true;
}

static bool give(struct held *h)
{
	bool intact = is_intact(h);

	switch (h->kind) {
	case VMAP:
		vunmap(h->addr);
		break;
	case VM_MAP_RAM:
		vm_unmap_ram(h->addr, h->nr);
		break;
	case KVMALLOC:
	case KVREALLOC:
		kvfree(h->addr);
		break;
	default:
		vfree(h->addr);
	}
	if (h->kind != GIVEN)
		pages_put(h->pages, h->nr);
	h->addr = NULL;
	return intact;
}

/* ---- hold, check, release ---- */

static int hold(char *args)
{
	unsigned int count, nr;
	char name[16];
	int kind;

	if (sscanf(args, "%15s %u %u", name, &count, &nr) != 3 || !nr || nr > PAGES_MAX)
		return -EINVAL;
	kind = match_string(kinds, KINDS, name);
	if (kind < 0)
		return kind;
	while (count--) {
		struct held *h = &held[holds];

		if (holds == HELD_MAX)
			return -ENOSPC;
		h->kind = kind;
		h->nr = nr;
		h->seed = holds * 0x10001ULL;
		if (!take(h, 0, NULL))
			return -ENOMEM;
		holds++;
	}
	return 0;
}

/* Areas stay, so that each call needs memory of its own: a descriptor, page tables. */
static int faults(char *args)
{
	unsigned int nth, pages;
	char name[16];
	bool hit;
	int kind;

	if (!has_faults)
		return -EOPNOTSUPP;
	if (sscanf(args, "%15s %u", name, &pages) != 2 || !pages || pages > PAGES_MAX)
		return -EINVAL;
	kind = match_string(kinds, KINDS, name);
	if (kind < 0)
		return kind;
	for (nth = 1, hit = true; hit; nth++) {
		struct held *h = &held[holds];

		if (holds == HELD_MAX)
			return -ENOSPC;
		*h = (struct held){ .kind = kind, .nr = pages, .seed = holds * 0x10001ULL };
		if (!take(h, nth, &hit))
			return -ENOMEM;
		holds++;
	}
	for (nth = 1, hit = true; hit; nth++) {
		struct held h = { .kind = kind, .nr = pages, .seed = nth };

		if (!take(&h, 0, NULL))
			return -ENOMEM;
		arm(nth);
		if (!give(&h)) {
			disarm(nth);
			return -EIO;
		}
		hit = disarm(nth);
	}
	return 0;
}

static int check(void)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < holds; i++)
		if (!is_intact(&held[i]))
			err = -EIO;
	return err;
}

static int release(void)
{
	int err = 0;

	while (holds)
		if (!give(&held[--holds]))
			err = -EIO;
	return err;
}

/* ---- start, stop ---- */

#define SLOTS	32
/* No call of the threads allocates more often. */
#define NTH_MOST	40

static bool faulty;

static int work(void *data)
{
	static const enum kind mix[] = { VMAP, VM_MAP_RAM, VMALLOC, KVMALLOC, GIVEN, USER, ATOMIC };
	struct held *slots = kcalloc(SLOTS, sizeof(*slots), GFP_KERNEL);
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, (unsigned long)data);
	while (slots && !kthread_should_stop()) {
		struct held *h = &slots[prandom_u32_state(&rnd) % SLOTS];

		if (h->addr)
			give(h);
		h->kind = mix[prandom_u32_state(&rnd) % ARRAY_SIZE(mix)];
		h->nr = 1 + prandom_u32_state(&rnd) % 24;
		h->seed = prandom_u32_state(&rnd);
		take(h, faulty ? 1 + prandom_u32_state(&rnd) % NTH_MOST : 0, NULL);
		atomic64_inc(&rounds);
		/* Whoever waits for tasks to leave code must not wait for this loop's end. */
		cond_resched_tasks_rcu_qs();
	}
	for (i = 0; slots && i < SLOTS; i++)
		if (slots[i].addr)
			give(&slots[i]);
	kfree(slots);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static void stop_all(void)
{
	unsigned int i;

	for (i = 0; i < THREADS_MAX; i++) {
		if (threads[i])
			kthread_stop(threads[i]);
		threads[i] = NULL;
	}
}

static int start(const char *args, bool with_faults)
{
	unsigned int count, i;

	if (kstrtouint(args, 10, &count) || !count || count > THREADS_MAX || threads[0])
		return -EINVAL;
	if (with_faults && !has_faults)
		return -EOPNOTSUPP;
	faulty = with_faults;
	for (i = 0; i < count; i++) {
		struct task_struct *task = kthread_run(work, (void *)(i + 1UL), "unaware/%u", i);

		if (IS_ERR(task)) {
			stop_all();
			return PTR_ERR(task);
		}
		threads[i] = task;
	}
	return 0;
}

static int stop(void)
{
	stop_all();
	return atomic64_read(&wrong) ? -EIO : 0;
}

/* ---- costs ---- */

static u64 costs[KINDS];

/*
 * The best of many tries, in ns. In a VM of scripts/vm --instructions, where the clock counts
 * instructions, that is their number.
 */
static u64 cost(struct held *h)
{
	u64 best = U64_MAX, took;
	unsigned int i, j;

	for (i = 0; i < 50; i++) {
		took = ktime_get_ns();
		for (j = 0; j < 20; j++) {
			h->addr = get(h);
			if (!h->addr)
				return U64_MAX;
			if (h->kind == VMAP)
				vunmap(h->addr);
			else if (h->kind == VM_MAP_RAM)
				vm_unmap_ram(h->addr, h->nr);
			else
				vfree(h->addr);
		}
		took = ktime_get_ns() - took;
		best = min(best, took);
	}
	return best / 20;
}

static int measure(void)
{
	static const enum kind measured[] = { VMAP, VM_MAP_RAM, VMALLOC, USER };
	struct held h = { .nr = 1, .pages = pages_get(1) };
	unsigned int i;

	if (!h.pages)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(measured); i++) {
		h.kind = measured[i];
		costs[h.kind] = cost(&h);
	}
	pages_put(h.pages, 1);
	return 0;
}

/* ---- the parameter ---- */

static int do_set(const char *value, const struct kernel_param *kp)
{
	char *line __free(kfree) = kstrdup(value, GFP_KERNEL);
	char *args, *verb;

	if (!line)
		return -ENOMEM;
	args = strim(line);
	verb = strsep(&args, " ");
	guard(mutex)(&lock);
	if (!strcmp(verb, "hold") && args)
		return hold(args);
	if (!strcmp(verb, "check"))
		return check();
	if (!strcmp(verb, "release"))
		return release();
	if (!strcmp(verb, "faults") && args)
		return faults(args);
	if (!strcmp(verb, "start") && args)
		return start(args, false);
	if (!strcmp(verb, "start-faulty") && args)
		return start(args, true);
	if (!strcmp(verb, "stop"))
		return stop();
	if (!strcmp(verb, "costs"))
		return measure();
	return -EINVAL;
}

static int do_get(char *buffer, const struct kernel_param *kp)
{
	int len = 0, i;

	for (i = 0; i < KINDS; i++)
		len += sysfs_emit_at(buffer, len, "%s %lld\n", kinds[i],
				     atomic64_read(&allocated[i]));
	for (i = 0; i < KINDS; i++)
		if (costs[i])
			len += sysfs_emit_at(buffer, len, "cost_%s %llu\n", kinds[i], costs[i]);
	len += sysfs_emit_at(buffer, len, "hits %lld\n", atomic64_read(&hits));
	len += sysfs_emit_at(buffer, len, "refused %lld\n", atomic64_read(&refused));
	len += sysfs_emit_at(buffer, len, "rounds %lld\n", atomic64_read(&rounds));
	return len + sysfs_emit_at(buffer, len, "wrong %lld\n", atomic64_read(&wrong));
}

static const struct kernel_param_ops do_ops = { .set = do_set, .get = do_get };
module_param_cb(do, &do_ops, NULL, 0600);

static int __init unaware_init(void)
{
	return 0;
}
module_init(unaware_init);

static void __exit unaware_exit(void)
{
	stop_all();
	release();
}
module_exit(unaware_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("vmapcache developers");
MODULE_DESCRIPTION("Allocates by in-tree functions alone, for tests of vmapcache's takeover");
