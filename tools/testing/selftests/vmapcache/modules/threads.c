// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that run at once and end together.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/slab.h>

#include "vmapcache_test.h"

struct crew {
	struct run *run;
	void (*fn)(struct run *run, unsigned int thread, void *data);
	void *data;
	struct completion go, all_done;
	atomic_t left;
	bool called_off;
};

struct worker {
	struct crew *crew;
	unsigned int number;
	struct task_struct *task;
};

static int work(void *data)
{
	struct worker *worker = data;
	struct crew *crew = worker->crew;

	wait_for_completion(&crew->go);
	if (!READ_ONCE(crew->called_off))
		crew->fn(crew->run, worker->number, crew->data);
	if (atomic_dec_and_test(&crew->left))
		complete(&crew->all_done);
	/* The creator holds a reference and joins with kthread_stop(). */
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

bool run_threads(struct run *run, unsigned int count,
		 void (*fn)(struct run *run, unsigned int thread, void *data), void *data)
{
	struct worker *workers = kcalloc(count, sizeof(*workers), GFP_KERNEL);
	struct crew crew = { .run = run, .fn = fn, .data = data };
	unsigned int i, cpu = cpumask_first(cpu_online_mask);

	init_completion(&crew.go);
	init_completion(&crew.all_done);
	atomic_set(&crew.left, 1);
	for (i = 0; workers && i < count; i++) {
		workers[i] = (struct worker){ .crew = &crew, .number = i };
		workers[i].task = kthread_create(work, &workers[i], "vmapcache_test/%u", i);
		if (IS_ERR(workers[i].task)) {
			crew.called_off = true;
			break;
		}
		kthread_bind(workers[i].task, cpu);
		get_task_struct(workers[i].task);
		atomic_inc(&crew.left);
		wake_up_process(workers[i].task);
		cpu = cpumask_next_wrap(cpu, cpu_online_mask);
	}
	complete_all(&crew.go);
	if (!workers)
		return expect(run, workers, "no memory for threads");
	count = i;
	/* A thread that is told to stop before it ran would never run. */
	if (!atomic_dec_and_test(&crew.left) && wait_for_completion_killable(&crew.all_done)) {
		give_up();
		wait_for_completion(&crew.all_done);
	}
	for (i = 0; i < count; i++) {
		kthread_stop(workers[i].task);
		put_task_struct(workers[i].task);
	}
	kfree(workers);
	return expect(run, !crew.called_off, "thread %u could not be made", count);
}
