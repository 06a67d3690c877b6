// SPDX-License-Identifier: GPL-2.0
/*
 * Spinlocks that count. program/patch.c puts them in the place of the kernel's own when locks are
 * counted; times are measured with the real ones.
 */
#include <linux/irqflags.h>
#include <linux/spinlock.h>
#include <asm/tsc.h>

#include "native.h"
#include "rest.h"

struct lock_count lock_counts[LOCK_COUNTS];
int counting_locks;

static struct lock_count *count_of(const void *lock)
{
	unsigned int at = (u32)((unsigned long)lock >> 2) * 2654435761U % LOCK_COUNTS;

	for (;;) {
		const void *there = cmpxchg(&lock_counts[at].lock, NULL, lock);

		if (!there || there == lock)
			return &lock_counts[at];
		at = (at + 1) % LOCK_COUNTS;
	}
}

static void taken(raw_spinlock_t *lock, bool waited)
{
	struct lock_count *count;

	if (!counting_locks)
		return;
	count = count_of(lock);
	count->taken++;
	count->contended += waited;
	count->since = rdtsc();
}

static void released(raw_spinlock_t *lock)
{
	struct lock_count *count;
	unsigned long held;

	if (!counting_locks)
		return;
	count = count_of(lock);
	held = rdtsc() - count->since;
	if (count->since && held > count->longest)
		count->longest = held;
	count->since = 0;
}

static bool try_it(raw_spinlock_t *lock)
{
	return !atomic_read(&lock->raw_lock.val) &&
	       !atomic_cmpxchg_acquire(&lock->raw_lock.val, 0, 1);
}

void counting_spin_lock(raw_spinlock_t *lock)
{
	bool waited = false;

	preempt_disable();
	while (!try_it(lock)) {
		waited = true;
		cpu_relax();
	}
	taken(lock, waited);
}

int counting_spin_trylock(raw_spinlock_t *lock)
{
	preempt_disable();
	if (!try_it(lock)) {
		preempt_enable();
		return 0;
	}
	taken(lock, false);
	return 1;
}

void counting_spin_unlock(raw_spinlock_t *lock)
{
	released(lock);
	atomic_set_release(&lock->raw_lock.val, 0);
	preempt_enable();
}

/* There are no interrupts here. */
unsigned long counting_spin_lock_irqsave(raw_spinlock_t *lock)
{
	counting_spin_lock(lock);
	return 0;
}

void counting_spin_unlock_irqrestore(raw_spinlock_t *lock, unsigned long flags)
{
	counting_spin_unlock(lock);
}
