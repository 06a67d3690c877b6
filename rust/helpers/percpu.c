// SPDX-License-Identifier: GPL-2.0
/*
 * The machinery below rust/percpu.rs, which explains it.
 */
#include <linux/cpumask.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>

#include "helpers.h"

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
