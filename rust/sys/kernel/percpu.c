// SPDX-License-Identifier: GPL-2.0
/*
 * The C side of rust/sys/kernel/percpu.rs and rust/sys/kernel/preempt.rs, which explain it.
 */
#include <linux/build_bug.h>
#include <linux/cpumask.h>
#include <linux/log2.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>

#include "sys.h"

/**
 * vc_cpu_enter() - stay on this CPU until vc_cpu_exit()
 *
 * Context: Any.
 * Return: the CPU's number.
 */
unsigned int vc_cpu_enter(void)
{
	preempt_disable();
	return smp_processor_id();
}

/**
 * vc_cpu_exit() - undo vc_cpu_enter()
 *
 * Context: Any.
 */
void vc_cpu_exit(void)
{
	preempt_enable();
}

/**
 * vc_preempt_schedule() - reschedule, as preempt_enable() does when the count has become 0
 *
 * Context: Preemption is on, and a task waits for this CPU.
 */
void vc_preempt_schedule(void)
{
#ifdef CONFIG_PREEMPTION
	__preempt_schedule();
#endif
}

/* rust/sys/kernel/preempt.rs relies on this if it does not call these functions. */
#if defined(CONFIG_X86_64) && defined(CONFIG_PREEMPTION)
static_assert(PREEMPT_OFFSET == 1);
static_assert(PREEMPT_ENABLED == PREEMPT_NEED_RESCHED);
#ifdef CONFIG_HAS_SEPARATE_PREEMPT_RESCHED_BITS
static_assert(sizeof(__preempt_count) == 8);
static_assert(ilog2((u64)PREEMPT_NEED_RESCHED) == 63);
#else
static_assert(sizeof(__preempt_count) == 4);
static_assert(ilog2((u64)PREEMPT_NEED_RESCHED) == 31);
#endif
static_assert(sizeof(cpu_number) == 4);
#endif

/**
 * vc_cpu_hint() - the CPU that this code ran on a moment ago
 *
 * Context: Any.
 */
unsigned int vc_cpu_hint(void)
{
	return raw_smp_processor_id();
}

/**
 * vc_cpu_count() - CPU numbers are below this
 *
 * Context: Any.
 */
unsigned int vc_cpu_count(void)
{
	return nr_cpu_ids;
}

/**
 * vc_cpus_online() - CPUs that run now
 *
 * Context: Any.
 */
unsigned int vc_cpus_online(void)
{
	return num_online_cpus();
}

/**
 * vc_cpu_wait_owners() - wait until every region between vc_cpu_enter() and
 * vc_cpu_exit() that runs now has ended
 *
 * Context: Task context, sleeps.
 */
void vc_cpu_wait_owners(void)
{
	synchronize_rcu_expedited();
}

/**
 * vc_cpu_report_owner() - warn: a region on @cpu outlived vc_cpu_wait_owners()
 *
 * Context: Any.
 */
void vc_cpu_report_owner(unsigned int cpu)
{
	WARN_ONCE(1, "vmapcache: CPU %u still uses its stock\n", cpu);
}
