// SPDX-License-Identifier: GPL-2.0
/*
 * How rust/sys/kernel/slot.rs waits for its readers.
 */
#include <linux/rcupdate.h>

#include "sys.h"

/*
 * If a kernel with preemption has no RCU Tasks, synchronize_rcu_tasks() is synchronize_rcu() there, which does not
 * wait for a preempted reader.
 */
#if defined(CONFIG_PREEMPTION) && !defined(CONFIG_TASKS_RCU)
#error "vmapcache needs CONFIG_TASKS_RCU, which CONFIG_KPROBES brings with CONFIG_PREEMPTION"
#endif

/**
 * vc_wait_for_readers() - wait until all code has ended that runs now and does not sleep
 *
 * Context: Task context, sleeps.
 */
void vc_wait_for_readers(void)
{
	/* For readers in tasks, preempted or not. */
	synchronize_rcu_tasks();
	/* For readers in interrupts, which may have come in where a task counts as asleep. */
	synchronize_rcu();
}
