// SPDX-License-Identifier: GPL-2.0
/*
 * The C side of rust/sys/kernel/percpu.rs and rust/sys/kernel/preempt.rs, which explain it.
 */
#include <linux/build_bug.h>
#include <linux/cpumask.h>
#include <linux/log2.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>

#include "sys.h"

/* What one CPU finds its value by. */
struct door {
	void *behind;
};

/**
 * vc_doors_new() - a door for each CPU, all open to @behind
 *
 * Context: Process context, sleeps.
 * Return: their per-CPU address, or 0.
 */
unsigned long vc_doors_new(void *behind)
{
	struct door __percpu *doors = alloc_percpu(struct door);
	unsigned int cpu;

	if (!doors)
		return 0;
	for_each_possible_cpu(cpu)
		per_cpu_ptr(doors, cpu)->behind = behind;
	return (__force unsigned long)doors;
}

/**
 * vc_doors_free() - frees doors that nobody uses
 *
 * Context: Process context.
 */
void vc_doors_free(unsigned long doors)
{
	free_percpu((__force struct door __percpu *)doors);
}

/**
 * vc_door_set() - opens the door of @cpu to @behind
 *
 * Context: Any.
 */
void vc_door_set(unsigned long doors, unsigned int cpu, void *behind)
{
	if (cpu_possible(cpu))
		/* Pairs with the load in vc_cpu_enter(), and in rust/sys/kernel/preempt.rs. */
		smp_store_release(&per_cpu_ptr((__force struct door __percpu *)doors, cpu)->behind,
				  behind);
}

/**
 * vc_cpu_enter() - stay on this CPU until vc_cpu_exit()
 *
 * Context: Any.
 * Return: what is behind the CPU's door.
 */
void *vc_cpu_enter(unsigned long doors)
{
	preempt_disable();
	/* Pairs with vc_door_set(). */
	return smp_load_acquire(&this_cpu_ptr((__force struct door __percpu *)doors)->behind);
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
 * Changes no register: its caller's compiler does not see the call.
 *
 * Context: Preemption is on, and a task waits for this CPU.
 */
__no_caller_saved_registers void vc_preempt_schedule(void)
{
#ifdef CONFIG_PREEMPTION
	__preempt_schedule();
#endif
}

/* rust/sys/kernel/preempt.rs relies on this if it does not call these functions. */
#if defined(CONFIG_X86_64) && defined(CONFIG_PREEMPTION)
static_assert(__has_attribute(__no_caller_saved_registers__));
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
