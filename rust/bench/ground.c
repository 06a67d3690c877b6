// SPDX-License-Identifier: GPL-2.0
/*
 * The laboratory's C: Rust cannot call what it needs here. It starts kernel threads bound to a
 * CPU, calls the scheduler's inline functions, counts TLB flushes by a probe, and measures how
 * long a task keeps a CPU from others.
 */
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/perf_event.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <uapi/linux/sched/types.h>

#include <vmapcache.h>

#include "bench.h"
#include "symbols.h"

unsigned long long vc_bench_now(void)
{
	return local_clock();
}

bool vc_bench_signal(void)
{
	return signal_pending(current);
}

void vc_bench_resched(void)
{
	cond_resched();
}

/* Yields this CPU to a task that waits for it. */
void vc_bench_yield(void)
{
	schedule();
}

/* For requests that must not sleep. PREEMPT_RT serves these only with preemption on. */
void vc_bench_preempt(bool on)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		return;
	if (on)
		preempt_enable();
	else
		preempt_disable();
}

/*
 * CPU time of the calling thread. The scheduler updates it when a thread yields, so this yields
 * first. Otherwise it would be as old as the last tick.
 */
unsigned long long vc_bench_cpu_time(void)
{
	schedule();
	return READ_ONCE(current->se.sum_exec_runtime);
}

unsigned int vc_bench_cpus(void)
{
	return num_online_cpus();
}

/* A kernel thread that runs one Rust function and can be waited for. */
struct vc_bench_thread {
	struct completion done;
	void (*fn)(void *data);
	void *data;
};

static int thread_fn(void *arg)
{
	struct vc_bench_thread *t = arg;

	t->fn(t->data);
	/* The last instruction runs outside of this module, so that it can be unloaded. */
	kthread_complete_and_exit(&t->done, 0);
}

/*
 * Starts @fn with @data on the @nth online CPU; after the last CPU it counts from the first one
 * again. @data must live until vc_bench_thread_end() has returned. May sleep.
 */
struct vc_bench_thread *vc_bench_thread_start(void (*fn)(void *data), void *data,
							    unsigned int nth)
{
	struct vc_bench_thread *t = kzalloc(sizeof(*t), GFP_KERNEL);
	struct task_struct *task;
	unsigned int cpu;

	if (!t)
		return NULL;
	init_completion(&t->done);
	t->fn = fn;
	t->data = data;
	task = kthread_create(thread_fn, t, "vcbench/%u", nth);
	if (IS_ERR(task)) {
		kfree(t);
		return NULL;
	}
	cpu = cpumask_nth(nth % num_online_cpus(), cpu_online_mask);
	if (cpu < nr_cpu_ids)
		kthread_bind(task, cpu);
	wake_up_process(task);
	return t;
}

/* Waits up to 100 ms: 1 if the thread is done, 0 if not yet, -ERESTARTSYS on a signal. */
int vc_bench_thread_wait(struct vc_bench_thread *t)
{
	long left = wait_for_completion_interruptible_timeout(&t->done, HZ / 10);

	if (left <= 0)
		return left;
	/* The next caller finds it done, too. */
	complete_all(&t->done);
	return 1;
}

/* Waits for the thread, however long it takes, and forgets it. */
void vc_bench_thread_end(struct vc_bench_thread *t)
{
	wait_for_completion(&t->done);
	kfree(t);
}

/*
 * Counts calls of flush_tlb_kernel_range(): those that come from vmapcache.ko, and all others. The
 * probe makes the call slower, so it exists only while a pass counts flushes, and such a pass is
 * not timed.
 */
static atomic_long_t flushes_own;
static atomic_long_t flushes_other;
/* vmapcache.ko stays loaded as long as this module, which calls it. */
static struct module *vmapcache;

static int flush_seen(struct kprobe *p, struct pt_regs *regs)
{
#ifdef VMAPCACHE_FLUSH_IS_INLINE
	/* There is no function to probe: register_kprobe() refuses. */
	unsigned long caller = 0;
#else
	/* At the first instruction the return address is on top of the stack. */
	unsigned long caller = regs_get_kernel_stack_nth(regs, 0);
#endif

	if (within_module(caller, vmapcache))
		atomic_long_inc(&flushes_own);
	else
		atomic_long_inc(&flushes_other);
	return 0;
}

static struct kprobe flush_probe;
static int flush_probe_error;

static void put_probe_on(struct work_struct *work)
{
	flush_probe_error = register_kprobe(&flush_probe);
}

static void take_probe_off(struct work_struct *work)
{
	unregister_kprobe(&flush_probe);
}

/*
 * In a work item, so that allocations which fail on request, in this task, do not fail there: a probe
 * that the kernel cannot take off for want of memory stays behind, and its module goes.
 */
static void in_work_item(work_func_t change)
{
	struct work_struct work;

	INIT_WORK_ONSTACK(&work, change);
	queue_work(system_dfl_wq, &work);
	flush_work(&work);
	destroy_work_on_stack(&work);
}

int vc_bench_flushes_start(void)
{
	scoped_guard(rcu)
		vmapcache = static_call(vc___module_address)((unsigned long)vmapcache_vfree);
	if (!vmapcache)
		return -ENOENT;
	atomic_long_set(&flushes_own, 0);
	atomic_long_set(&flushes_other, 0);
	/* register_kprobe() wants a fresh one each time. */
	flush_probe = (struct kprobe){
		.symbol_name = "flush_tlb_kernel_range",
		.pre_handler = flush_seen,
	};
	in_work_item(put_probe_on);
	return flush_probe_error;
}

void vc_bench_flushes_stop(unsigned long *own, unsigned long *other)
{
	in_work_item(take_probe_off);
	*own = atomic_long_read(&flushes_own);
	*other = atomic_long_read(&flushes_other);
}

/**
 * vc_bench_instructions_start() - count the calling thread's instructions
 *
 * Context: Task context, may sleep.
 * Return: the counter, or NULL if the processor has no free one.
 */
struct perf_event *vc_bench_instructions_start(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.pinned = 1,
		.exclude_user = 1,
		.exclude_hv = 1,
	};
	struct perf_event *event;

	event = perf_event_create_kernel_counter(&attr, -1, current, NULL, NULL);
	return IS_ERR(event) ? NULL : event;
}

unsigned long long vc_bench_instructions_read(struct perf_event *event)
{
	u64 enabled, running;

	return perf_event_read_value(event, &enabled, &running);
}

void vc_bench_instructions_stop(struct perf_event *event)
{
	perf_event_release_kernel(event);
}

/*
 * The watch: a real-time thread that wakes up every 200 us and looks how late it is. It is late
 * if somebody held the CPU with preemption or interrupts off. The same watch serves both
 * allocators, and knows nothing of either.
 */
#define WATCH_NS (200 * NSEC_PER_USEC)

unsigned long long vc_bench_watch(const bool *stop)
{
	u64 latest = 0;
	s64 late;
	ktime_t due;

	sched_set_fifo(current);
	while (!READ_ONCE(*stop)) {
		due = ktime_add_ns(ktime_get(), WATCH_NS);
		set_current_state(TASK_UNINTERRUPTIBLE);
		schedule_hrtimeout(&due, HRTIMER_MODE_ABS);
		late = ktime_to_ns(ktime_sub(ktime_get(), due));
		if (late > 0 && late > latest)
			latest = late;
	}
	sched_set_normal(current, 0);
	return latest;
}

/**
 * vc_bench_open() - open a file of procfs for reading
 * @path: its path, as the calling task sees it
 *
 * Context: Task context, may sleep; in the task whose root folder has procfs, so not in a kernel
 * thread.
 * Return: the file, or NULL.
 */
struct file *vc_bench_open(const char *path)
{
	struct file *file = filp_open(path, O_RDONLY, 0);

	return IS_ERR(file) ? NULL : file;
}

void vc_bench_close(struct file *file)
{
	filp_close(file, NULL);
}

/**
 * vc_bench_read() - read a whole file from its beginning, as a user's read() would
 * @file: from vc_bench_open(); one thread at a time
 * @buf: where each piece goes, over the one before
 * @len: bytes of @buf
 *
 * Context: Task context, may sleep.
 * Return: the number of bytes read, or an error.
 */
long vc_bench_read(struct file *file, void *buf, unsigned long len)
{
	ssize_t n, sum = 0;
	loff_t pos = 0;

	while ((n = kernel_read(file, buf, len, &pos)) > 0) {
		sum += n;
		cond_resched();
	}
	return n < 0 ? n : sum;
}

/* Module information that the module! macro cannot give. */
MODULE_VERSION(VMAPCACHE_VERSION);
