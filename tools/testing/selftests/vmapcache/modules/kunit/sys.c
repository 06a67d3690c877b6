// SPDX-License-Identifier: GPL-2.0
/*
 * The C side of the KUnit suites, and that of the room rust/sys, which they use as vmapcache.ko does.
 */
#include "bug.c"
#include "lock.c"
#include "percpu.c"
#include "slot.c"

#include <kunit/test-bug.h>
#include <kunit/test.h>
#include <linux/sched.h>

#include "kunit.h"

/**
 * vc_kunit_fail() - fail the test of this thread, and end the thread
 * @file: where in the source
 * @line: where in @file
 * @message: why
 *
 * Context: Task context, may sleep.
 */
void vc_kunit_fail(const char *file, int line, const char *message)
{
	const struct kunit_loc place = { .file = file, .line = line };
	const struct kunit_fail_assert assertion = {};
	struct kunit *test = kunit_get_current_test();

	if (!test) {
		pr_err("%s:%d: %s, and no test runs\n", file, line, message);
		return;
	}
	__kunit_do_failed_assertion(test, &place, KUNIT_ASSERTION, &assertion.assert,
				    kunit_fail_assert_format, "%s\n", message);
	__kunit_abort(test);
}

/**
 * vc_kunit_say() - add a line to the log of the test of this thread
 * @message: the line
 *
 * Context: Task context, may sleep.
 */
void vc_kunit_say(const char *message)
{
	struct kunit *test = kunit_get_current_test();

	if (test)
		kunit_info(test, "%s\n", message);
}

/**
 * vc_kunit_run_on() - move this thread to another CPU, and keep it there
 * @number: which of the CPUs that are online; those that there are, over and over
 *
 * Context: Task context, sleeps.
 */
void vc_kunit_run_on(unsigned int number)
{
	unsigned int cpu = cpumask_nth(number % num_online_cpus(), cpu_online_mask);

	if (cpu < nr_cpu_ids)
		set_cpus_allowed_ptr(current, cpumask_of(cpu));
}

/**
 * vc_kunit_atomic() - let this thread not sleep from now on, or sleep again
 * @atomic: whether it must not; by turns
 *
 * Context: Task context.
 */
void vc_kunit_atomic(bool atomic)
{
	if (atomic)
		preempt_disable();
	else
		preempt_enable();
}

/**
 * vc_kunit_may_sleep() - have the kernel warn if nobody may sleep here
 *
 * Context: Task context, may sleep.
 */
void vc_kunit_may_sleep(void)
{
	might_sleep();
}

/**
 * vc_kunit_yield() - let others run
 *
 * Context: Task context, sleeps.
 */
void vc_kunit_yield(void)
{
	cond_resched();
}
