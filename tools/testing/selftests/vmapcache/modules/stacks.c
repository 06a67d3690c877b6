// SPDX-License-Identifier: GPL-2.0
/*
 * Whose stacks are in the arena.
 */
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include <vmapcache.h>

#include "vmapcache_test.h"

/* Notes how many kernel threads have a stack in the arena. */
static void kernel_stacks(struct run *run)
{
	struct task_struct *process, *task;
	unsigned int found = 0;

	rcu_read_lock();
	for_each_process_thread(process, task) {
		/* Its address alone: nobody looks into it. */
		void *stack = READ_ONCE(task->stack);

		found += task->flags & PF_KTHREAD && stack && vmapcache_find_vm_area(stack, NULL);
	}
	rcu_read_unlock();
	note(run, "kernel_threads %u", found);
}

const struct test_case stacks_cases[] = {
	{ "kernel_stacks", kernel_stacks },
	{}
};
