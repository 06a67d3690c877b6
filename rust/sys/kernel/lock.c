// SPDX-License-Identifier: GPL-2.0
/*
 * The raw spinlock of rust/sys/kernel/sync.rs.
 */
#include <linux/lockdep.h>
#include <linux/spinlock.h>

#include "sys.h"

/**
 * vc_lock_init() - make a lock
 * @lock: a raw_spinlock_t
 * @name: its name for lockdep, for ever
 * @key: its class for lockdep, for ever
 *
 * Context: Any.
 */
void vc_lock_init(void *lock, const char *name, void *key)
{
	raw_spinlock_t *raw = lock;

#ifdef CONFIG_DEBUG_SPINLOCK
	__raw_spin_lock_init(raw, name, key, LD_WAIT_SPIN);
#else
	raw_spin_lock_init(raw);
#endif
}

/**
 * vc_lock() - take a lock
 * @lock: a raw_spinlock_t
 *
 * Context: Any where nobody who holds it is interrupted. Spins.
 */
void vc_lock(void *lock)
{
	raw_spin_lock((raw_spinlock_t *)lock);
}

/**
 * vc_lock_try() - take a lock if it is free
 * @lock: a raw_spinlock_t
 *
 * Context: Any.
 */
bool vc_lock_try(void *lock)
{
	return raw_spin_trylock((raw_spinlock_t *)lock);
}

/**
 * vc_unlock() - let go of a lock
 * @lock: a raw_spinlock_t that this code has taken
 *
 * Context: Any.
 */
void vc_unlock(void *lock)
{
	raw_spin_unlock((raw_spinlock_t *)lock);
}

/**
 * vc_lock_held() - have lockdep check that this code has a lock
 * @lock: a raw_spinlock_t
 *
 * Context: Any.
 */
void vc_lock_held(void *lock)
{
	lockdep_assert_held((raw_spinlock_t *)lock);
}
