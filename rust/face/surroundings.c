// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's functions for rust/face/surroundings.rs.
 */
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>

#include "face.h"

/**
 * vc_may_sleep() - whether this context may sleep
 *
 * Context: Any.
 */
bool vc_may_sleep(void)
{
	return preemptible() && !rcu_preempt_depth();
}

/**
 * vc_now() - nanoseconds of this CPU's clock
 *
 * Context: Any.
 */
unsigned long long vc_now(void)
{
	return local_clock();
}

/**
 * vc_resched() - let others run
 *
 * Context: Task context, may sleep.
 */
void vc_resched(void)
{
	cond_resched();
}

/**
 * vc_total_pages() - the machine's pages of memory
 *
 * Context: Any.
 */
unsigned long vc_total_pages(void)
{
	return totalram_pages();
}

/**
 * vc_wait_for_memory() - give other tasks time to free memory
 * @nth: how often this caller has waited; the first time is a tick, and the longest
 *	 a tenth of a second
 *
 * Context: Task context, sleeps; a signal does not end it.
 */
void vc_wait_for_memory(unsigned int nth)
{
	schedule_timeout_uninterruptible(clamp(1L << min(nth, 16U), 1L, HZ / 10 + 1L));
}
