// SPDX-License-Identifier: GPL-2.0
/*
 * Pins: an area stays mapped while somebody holds a pin, and no longer.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/slab.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

static bool mapped_after_flush(const void *addr)
{
	vmapcache_vm_unmap_aliases();
	return readable(addr);
}

/* Which areas can be pinned, and that a free waits for the last pin. */
static void pins(struct run *run)
{
	u8 *p = vmapcache_vmalloc(4 * PAGE_SIZE);
	struct vmapcache_pin start, inner, last;

	if (!expect(run, p, "4 pages"))
		return;
	sign(p, 4, 3);
	start = vmapcache_pin(p);
	inner = vmapcache_pin(p + PAGE_SIZE + 17);
	last = vmapcache_pin(p + 4 * PAGE_SIZE - 1);
	expect(run, start.word && inner.word && last.word, "an address inside could not be pinned");
	expect(run, !vmapcache_pin(p + 4 * PAGE_SIZE).word, "the guard page was pinned");
	expect(run, !vmapcache_pin(NULL).word, "NULL was pinned");
	expect(run, !vmapcache_pin(run).word, "the heap was pinned");
	vmapcache_unpin(&last);

	vmapcache_vfree(p);
	expect(run, !vmapcache_pin(p).word, "pinned after its free");
	expect(run, mapped_after_flush(p), "gone while held twice");
	expect(run, signed_by(p, 4, 3) == 4, "changed while held twice");
	vmapcache_unpin(&start);
	expect(run, mapped_after_flush(p), "gone while held once");
	expect(run, signed_by(p, 4, 3) == 4, "changed while held once");
	vmapcache_unpin(&inner);
	expect(run, !mapped_after_flush(p), "mapped after the last unpin");
}

/* Unpins of areas that are gone, or of pins given back: counted, and without effect. */
static void stale_pins(struct run *run)
{
	unsigned int i, tries, rounds = arg(run, "rounds", 20), counted = 0;

	for (i = 0; i < rounds; i++) {
		u8 *p = vmapcache_vmalloc(PAGE_SIZE), *q;
		struct vmapcache_pin stale, copy, pin;

		if (!expect(run, p, "round %u", i))
			return;
		stale = vmapcache_pin(p);
		copy = stale;
		vmapcache_unpin(&stale);
		/* Twice, while the area lives. */
		vmapcache_unpin(&stale);
		counted++;
		expect(run, readable(p), "round %u", i);
		vmapcache_vfree(p);

		/* The same address, and with it the same descriptor? */
		for (tries = 0, q = NULL; tries < 100; tries++) {
			q = vmapcache_vmalloc(PAGE_SIZE);
			if (q == p || !q)
				break;
			vmapcache_vfree(q);
		}
		if (q != p) {
			vmapcache_vfree(tries < 100 ? q : NULL);
			continue;
		}
		note(run, "reused %u", tries);
		pin = vmapcache_pin(q);
		expect(run, pin.word != copy.word, "a pin of the new area equals that of the old");
		vmapcache_unpin(&stale);
		/* A copy of a pin of another life. */
		vmapcache_unpin(&copy);
		counted += 2;
		vmapcache_vfree(q);
		expect(run, mapped_after_flush(q), "a stale pin gave back that of another life");
		vmapcache_unpin(&pin);
		expect(run, !mapped_after_flush(q), "mapped after the last unpin");
	}
	vmapcache_unpin(&(struct vmapcache_pin){ ~0ULL });
	vmapcache_unpin(&(struct vmapcache_pin){ 1 });
	vmapcache_unpin(&(struct vmapcache_pin){ 1ULL << 63 });
	note(run, "stale %u", counted + 3);
}

/* Of two pins of one area one is given back twice: the other one holds. */
static void twice(struct run *run)
{
	u8 *p = vmapcache_vmalloc(PAGE_SIZE);
	struct vmapcache_pin a, b;

	if (!expect(run, p, "no area"))
		return;
	a = vmapcache_pin(p);
	b = vmapcache_pin(p);
	sign(p, 1, 7);
	vmapcache_vfree(p);
	vmapcache_unpin(&a);
	vmapcache_unpin(&a);
	vmapcache_unpin(&a);
	expect(run, mapped_after_flush(p), "gone while held once");
	expect(run, signed_by(p, 1, 7) == 1, "changed while held once");
	vmapcache_unpin(&b);
	expect(run, !mapped_after_flush(p), "mapped after the last unpin");
}

struct sync_free {
	void *area;
	struct vmapcache_pin pin;
	ktime_t unpinned;
	bool atomic;
};

static void unpin_late(struct run *run, unsigned int thread, void *data)
{
	struct sync_free *free = data;

	if (thread) {
		msleep(150);
		free->unpinned = ktime_get();
		/* Then nobody can clear the PTEs here. */
		if (free->atomic)
			preempt_disable();
		vmapcache_unpin(&free->pin);
		if (free->atomic)
			preempt_enable();
	} else {
		vmapcache_vfree_sync(free->area);
		expect(run, free->unpinned && ktime_after(ktime_get(), free->unpinned),
		       "vfree_sync did not wait for the pin");
		expect(run, !mapped_after_flush(free->area), "mapped after vfree_sync");
	}
}

static void sync_free(struct run *run)
{
	struct sync_free free = {};
	unsigned int i;

	for (i = 0; i < 6 && !interrupted(); i++) {
		free.area = vmapcache_vmalloc(3 * PAGE_SIZE);
		if (!expect(run, free.area, "no area"))
			return;
		free.pin = vmapcache_pin(free.area);
		free.unpinned = 0;
		free.atomic = i % 2;
		run_threads(run, 2, unpin_late, &free);
	}

	/* Without a pin there is nothing to wait for. */
	free.area = vmapcache_vmalloc(PAGE_SIZE);
	vmapcache_vfree_sync(free.area);
	expect(run, !mapped_after_flush(free.area), "mapped after vfree_sync");
}

/* ---- pins against frees ---- */

#define SLOTS	8
#define MAGIC	0x5eed000000000000ULL

struct race {
	void *slot[SLOTS];
	unsigned int rounds;
	bool over;
	atomic64_t pinned, missed, held_while_freed;
};

static void free_and_reuse(struct run *run, struct race *race)
{
	unsigned int i, slot;

	for (i = 0; i < race->rounds && !interrupted(); i++) {
		u64 *p, *old;

		slot = i % SLOTS;
		old = race->slot[slot];
		/* Others may go on reading it: the pin must hold it. */
		if (old) {
			if (i % 3 == 0)
				vmapcache_vfree_sync(old);
			else
				vmapcache_vfree(old);
		}
		p = vmapcache_vzalloc((i % 3 + 1) * PAGE_SIZE);
		WRITE_ONCE(race->slot[slot], NULL);
		if (!expect(run, p, "round %u", i))
			break;
		p[PAGE_SIZE / sizeof(*p) - 1] = MAGIC + i;
		/* Pairs with the readers' acquire: a reader of the first word sees the last. */
		smp_store_release(p, MAGIC + i);
		/* Pairs with the acquire of a slot. */
		smp_store_release(&race->slot[slot], p);
	}
	WRITE_ONCE(race->over, true);
}

static void pin_and_read(struct run *run, struct race *race, unsigned int thread)
{
	unsigned int slot = thread, i;

	while (!READ_ONCE(race->over) && !interrupted()) {
		u64 *p, first, last;
		struct vmapcache_pin pin;

		slot = (slot + 1) % SLOTS;
		/* Pairs with the release of a new area. */
		p = smp_load_acquire(&race->slot[slot]);
		if (!p)
			continue;
		pin = vmapcache_pin(p);
		if (!pin.word) {
			atomic64_inc(&race->missed);
			continue;
		}
		/* Pairs with the release of the first word. */
		first = smp_load_acquire(p);
		for (i = 0; i < 20; i++) {
			/* Zero: the new area at this address, not signed yet. */
			last = READ_ONCE(p[PAGE_SIZE / sizeof(*p) - 1]);
			if (!first) {
				/* As above. */
				first = smp_load_acquire(p);
				continue;
			}
			expect(run, (first & ~0xffffffffULL) == MAGIC, "pinned and read %llx",
			       first);
			if (i)
				expect(run, last == first, "pinned, and %llx turned into %llx",
				       first, last);
			last = READ_ONCE(*p);
			if (!expect(run, last == first, "pinned, and %llx turned into %llx", first,
				    last))
				break;
		}
		if (READ_ONCE(race->slot[slot]) != p)
			atomic64_inc(&race->held_while_freed);
		atomic64_inc(&race->pinned);
		vmapcache_unpin(&pin);
	}
}

static void race_thread(struct run *run, unsigned int thread, void *data)
{
	if (thread)
		pin_and_read(run, data, thread);
	else
		free_and_reuse(run, data);
}

/*
 * rounds=20000: one thread frees areas and allocates new ones, the others pin what
 * they find and read it for a while.
 */
static void pin_race(struct run *run)
{
	struct race *race = kzalloc(sizeof(*race), GFP_KERNEL);
	unsigned int i;

	if (!expect(run, race, "no memory"))
		return;
	race->rounds = arg(run, "rounds", 20000);
	run_threads(run, num_online_cpus() + 1, race_thread, race);
	for (i = 0; i < SLOTS; i++)
		vmapcache_vfree(race->slot[i]);
	note(run, "pinned %lld", atomic64_read(&race->pinned));
	note(run, "missed %lld", atomic64_read(&race->missed));
	note(run, "held_while_freed %lld", atomic64_read(&race->held_while_freed));
	expect(run, atomic64_read(&race->pinned) > 100, "hardly anything was pinned");
	kfree(race);
}

const struct test_case pins_cases[] = {
	{ "pins", pins },
	{ "stale_pins", stale_pins },
	{ "twice", twice },
	{ "sync_free", sync_free },
	{ "pin_race", pin_race },
	{}
};
