// SPDX-License-Identifier: GPL-2.0
/*
 * RCU and work items. No interrupt and no scheduler run here: each CPU calls kernel_pause() between
 * two operations, and work that is due, and callbacks whose grace period is over, run there.
 */
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched/clock.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <asm/msr.h>

#include "native.h"
#include "rest.h"

/* ---- time ---- */

static u64 ticks_per_jiffy;


/* If not 0, time is what this says, and goes on at each pause: so that counts repeat exactly. */
static u64 made_up, step;

static u64 time(void)
{
	return step ? made_up : rdtsc();
}

u64 local_clock(void)
{
	return time();
}

void kernel_clock(unsigned long long ticks_per_second)
{
	ticks_per_jiffy = ticks_per_second / HZ;
}

/* From now on a jiffy is this number of pauses. */
void kernel_time_by_pauses(unsigned long pauses_per_jiffy)
{
	made_up = rdtsc();
	step = ticks_per_jiffy / pauses_per_jiffy;
}

/* ---- CPUs ---- */

/* What a CPU writes at each pause; the others read it while they wait for a grace period. */
static struct {
	unsigned long pauses;
	bool runs;
	unsigned long seen;
} ____cacheline_aligned cpus[CPUS_MAX];

void kernel_cpu_runs(unsigned int cpu, int runs)
{
	/* What it did before, it has done when it no longer runs. */
	smp_store_release(&cpus[cpu].runs, runs);
}

/* ---- RCU ---- */

void __rcu_read_lock(void)
{
	current->rcu_read_lock_nesting++;
	barrier();
}

void __rcu_read_unlock(void)
{
	barrier();
	current->rcu_read_lock_nesting--;
}

/*
 * Callbacks that came before the current grace period began, and those that came later. The word in
 * front of the lock is all that a CPU reads at a pause if there is none.
 */
static unsigned long waiting;
static DEFINE_SPINLOCK(rcu_lock);
static struct rcu_head *now, *next, **now_end = &now, **next_end = &next;
static bool under_way;
static unsigned long completed;
int rcu_scheduler_active = 2;

void call_rcu(struct rcu_head *head, rcu_callback_t func)
{
	head->func = func;
	head->next = NULL;
	spin_lock(&rcu_lock);
	*next_end = head;
	next_end = &head->next;
	WRITE_ONCE(waiting, waiting + 1);
	spin_unlock(&rcu_lock);
}

static bool all_have_paused(void)
{
	unsigned int cpu;

	for (cpu = 0; cpu < nr_cpu_ids; cpu++)
		if (READ_ONCE(cpus[cpu].runs) && READ_ONCE(cpus[cpu].pauses) == cpus[cpu].seen)
			return false;
	return true;
}

static struct rcu_head *end_grace_period(void)
{
	struct rcu_head *done = NULL;
	unsigned int cpu;

	if (!spin_trylock(&rcu_lock))
		return NULL;
	if (under_way && all_have_paused()) {
		done = now;
		now = NULL;
		now_end = &now;
		under_way = false;
		completed++;
	}
	if (!under_way && next) {
		now = next;
		now_end = next_end;
		next = NULL;
		next_end = &next;
		under_way = true;
		for (cpu = 0; cpu < nr_cpu_ids; cpu++)
			cpus[cpu].seen = READ_ONCE(cpus[cpu].pauses);
	}
	spin_unlock(&rcu_lock);
	return done;
}

static void run_callbacks(void)
{
	struct rcu_head *head = end_grace_period(), *after;
	unsigned long number = 0;

	for (; head; head = after) {
		after = head->next;
		number++;
		head->func(head);
	}
	if (number) {
		spin_lock(&rcu_lock);
		WRITE_ONCE(waiting, waiting - number);
		spin_unlock(&rcu_lock);
	}
}

unsigned long get_state_synchronize_rcu(void)
{
	/* The grace period after the one that may be under way. */
	return READ_ONCE(completed) + 2;
}

bool poll_state_synchronize_rcu(unsigned long state)
{
	return READ_ONCE(completed) >= state;
}

void get_state_synchronize_rcu_full(struct rcu_gp_seq *state)
{
	state->norm = get_state_synchronize_rcu();
}

bool poll_state_synchronize_rcu_full(struct rcu_gp_seq *state)
{
	return poll_state_synchronize_rcu(state->norm);
}

/*
 * Waits until each other CPU is outside of every region with preemption off, which it is within a
 * fraction of a microsecond: nobody interrupts these CPUs.
 */
void synchronize_rcu_expedited(void)
{
	unsigned int cpu;

	host_barrier();
	for (cpu = 0; cpu < nr_cpu_ids; cpu++) {
		unsigned long *count = (void *)(at_preempt_count + __per_cpu_offset[cpu]);

		while (cpu != smp_processor_id() && READ_ONCE(*count) & ~PREEMPT_NEED_RESCHED)
			host_yield();
	}
	host_barrier();
}

/* ---- work items ---- */

#define WORKS	4096

static struct {
	struct work_struct *work;
	u64 due;
} works[WORKS];
static unsigned int number_of_works;
/* The earliest, so that a pause without anything to do is one load; 0 means none. */
static u64 earliest;
static DEFINE_SPINLOCK(works_lock);

struct workqueue_struct *system_percpu_wq = (void *)1, *system_highpri_wq = (void *)1;

static void look_for_earliest(void)
{
	u64 least = 0;
	unsigned int i;

	for (i = 0; i < number_of_works; i++)
		if (!least || works[i].due < least)
			least = works[i].due;
	WRITE_ONCE(earliest, least);
}

static bool queue(struct work_struct *work, unsigned long delay)
{
	if (test_and_set_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work)))
		return false;
	spin_lock(&works_lock);
	if (number_of_works == WORKS)
		host_fatal("too many work items");
	works[number_of_works].work = work;
	works[number_of_works++].due = time() + delay * ticks_per_jiffy;
	look_for_earliest();
	spin_unlock(&works_lock);
	return true;
}

bool queue_work_on(int cpu, struct workqueue_struct *wq, struct work_struct *work)
{
	return queue(work, 0);
}

bool queue_delayed_work_on(int cpu, struct workqueue_struct *wq, struct delayed_work *work,
			   unsigned long delay)
{
	return queue(&work->work, delay);
}

bool mod_delayed_work_on(int cpu, struct workqueue_struct *wq, struct delayed_work *work,
			 unsigned long delay)
{
	return !queue(&work->work, delay);
}

static void after_grace_period(struct rcu_head *head)
{
	queue(&container_of(head, struct rcu_work, rcu)->work, 0);
}

bool queue_rcu_work(struct workqueue_struct *wq, struct rcu_work *work)
{
	if (test_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(&work->work)))
		return false;
	call_rcu(&work->rcu, after_grace_period);
	return true;
}

/* Runs the first item that is due; or @which, due or not. */
static bool run_one(struct work_struct *which)
{
	struct work_struct *work = NULL;
	u64 now_ticks = time();
	unsigned int i;

	spin_lock(&works_lock);
	for (i = 0; i < number_of_works; i++) {
		if (which ? works[i].work == which : works[i].due <= now_ticks) {
			work = works[i].work;
			works[i] = works[--number_of_works];
			look_for_earliest();
			break;
		}
	}
	spin_unlock(&works_lock);
	if (!work)
		return false;
	clear_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work));
	work->func(work);
	return true;
}

bool flush_work(struct work_struct *work)
{
	/* If another CPU runs it, this waits for less than it should: only purges flush here. */
	while (test_bit(WORK_STRUCT_PENDING_BIT, work_data_bits(work)))
		if (!run_one(work))
			host_yield();
	return true;
}

void kernel_pause(void)
{
	unsigned int cpu = smp_processor_id();
	u64 due;

	WRITE_ONCE(cpus[cpu].pauses, cpus[cpu].pauses + 1);
	if (unlikely(step))
		made_up += step;
	if (unlikely(READ_ONCE(waiting)))
		run_callbacks();
	due = READ_ONCE(earliest);
	if (unlikely(due) && due <= time())
		while (run_one(NULL))
			;
}

/* ---- mutexes: the uncontended path of kernel/locking/mutex.c ---- */

void mutex_lock(struct mutex *lock)
{
	long free = 0;

	while (!atomic_long_try_cmpxchg_acquire(&lock->owner, &free, (long)current)) {
		free = 0;
		host_yield();
	}
}

int mutex_trylock(struct mutex *lock)
{
	long free = 0;

	return atomic_long_try_cmpxchg_acquire(&lock->owner, &free, (long)current);
}

void mutex_unlock(struct mutex *lock)
{
	long owner = (long)current;

	if (!atomic_long_try_cmpxchg_release(&lock->owner, &owner, 0))
		host_fatal("a mutex was not its owner's");
}
