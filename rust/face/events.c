// SPDX-License-Identifier: GPL-2.0
/*
 * The worker that purges, and how rust/va wakes it; and what the kernel tells us: memory
 * pressure, exhaustion of the vmalloc space, CPUs that go offline. rust/face/events.rs does
 * the work.
 */
#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/cpuhotplug.h>
#include <linux/irq_work.h>
#include <linux/notifier.h>
#include <linux/shrinker.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "context.h"
#include "exports.h"
#include "face.h"
#include "symbols.h"

static struct workqueue_struct *queue;
static struct shrinker *shrinker;
static int cpu_state;
static DECLARE_WAIT_QUEUE_HEAD(unpinned);

static void wake_last(struct irq_work *work)
{
	wake_up_all(&unpinned);
}
/* With PREEMPT_RT, in a thread. */
static DEFINE_IRQ_WORK(wake_work, wake_last);

static void purge(struct work_struct *work)
{
	vc_rs_purge();
}
static DECLARE_DELAYED_WORK(purge_work, purge);

static void finish_deferred(struct work_struct *work)
{
	vc_rs_finish_deferred();
}
static DECLARE_WORK(deferred_work, finish_deferred);

static void trim(struct work_struct *work)
{
	vc_rs_trim();
}
static DECLARE_WORK(trim_work, trim);

/*
 * A task that asks the other users of the vmalloc range passes them one of these words. Our own
 * callback knows by its address that we asked.
 */
static unsigned long asked[BITS_PER_LONG];
static unsigned long asking;

static int space_exhausted(struct notifier_block *nb, unsigned long action, void *freed)
{
	/* We have done our part, and would wait for ourselves. */
	if (freed >= (void *)asked && freed < (void *)(asked + ARRAY_SIZE(asked)))
		return NOTIFY_DONE;
	vc_rs_space_exhausted();
	return NOTIFY_OK;
}
static struct notifier_block purge_notifier = { .notifier_call = space_exhausted };

static int cpu_dead(unsigned int cpu)
{
	vc_rs_cpu_dead(cpu);
	return 0;
}

static unsigned long count_objects(struct shrinker *s, struct shrink_control *sc)
{
	return vc_rs_shrink_count() ?: SHRINK_EMPTY;
}

static unsigned long scan_objects(struct shrinker *s, struct shrink_control *sc)
{
	return vc_rs_shrink(sc->nr_to_scan) ?: SHRINK_STOP;
}

/**
 * vc_events_start() - register for all events
 *
 * Context: Task context, may sleep. The callbacks must be ready.
 * Return: 0 or an error; then nothing is registered.
 */
int vc_events_start(void)
{
	int err;

	queue = alloc_workqueue("vmapcache", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!queue)
		return -ENOMEM;
	err = vc_names_start();
	if (err)
		goto err_queue;

	/* Called on another CPU, after the CPU has gone. */
	cpu_state = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "mm/vmapcache:dead",
					      NULL, cpu_dead);
	if (cpu_state < 0) {
		err = cpu_state;
		goto err_names;
	}

	shrinker = shrinker_alloc(0, "vmapcache");
	if (!shrinker) {
		err = -ENOMEM;
		goto err_cpu;
	}
	shrinker->count_objects = count_objects;
	shrinker->scan_objects = scan_objects;

	err = register_vmap_purge_notifier(&purge_notifier);
	if (err)
		goto err_shrinker;
	shrinker_register(shrinker);
	return 0;

err_shrinker:
	shrinker_free(shrinker);
err_cpu:
	cpuhp_remove_state_nocalls(cpu_state);
err_names:
	vc_names_stop();
err_queue:
	destroy_workqueue(queue);
	return err;
}

/**
 * vc_events_stop() - unregister, and wait for all events that run
 *
 * Context: Task context, sleeps. Once, after vc_events_start() succeeded; nobody
 * may call vc_kick_purge() or vc_kick_deferred() any more.
 */
void vc_events_stop(void)
{
	shrinker_free(shrinker);
	unregister_vmap_purge_notifier(&purge_notifier);
	cpuhp_remove_state_nocalls(cpu_state);
	vc_names_stop();
	/* The last purge has waited for this one, which may ask for the other. */
	WARN_ON(flush_work(&deferred_work));
	cancel_work_sync(&trim_work);
	cancel_delayed_work_sync(&purge_work);
	irq_work_sync(&wake_work);
	destroy_workqueue(queue);
}

/**
 * vc_kick_purge() - have vc_rs_purge() called soon
 *
 * Context: Any but NMI.
 */
void vc_kick_purge(void)
{
	/* A tick later: areas freed meanwhile share the flush. */
	queue_delayed_work(queue, &purge_work, 1);
}

/**
 * vc_kick_deferred() - have vc_rs_finish_deferred() called soon
 *
 * Context: Any but NMI.
 */
void vc_kick_deferred(void)
{
	queue_work(queue, &deferred_work);
}

/**
 * vc_kick_trim() - have vc_rs_trim() called soon
 *
 * Context: Any but NMI.
 */
void vc_kick_trim(void)
{
	/* Not on our own queue, whose rescuer it would keep from purges: it waits for readers. */
	queue_work(system_dfl_wq, &trim_work);
}

/**
 * vc_wait_deferred() - wait until the work item has finished what it has begun
 *
 * Context: Task context, sleeps. Not from the work item.
 */
void vc_wait_deferred(void)
{
	flush_work(&deferred_work);
}

/**
 * vc_ask_others() - ask drivers that keep mappings which they could do without
 *
 * As the in-tree allocator does before it fails, by the same chain: see
 * register_vmap_purge_notifier().
 *
 * Context: Task context, sleeps.
 * Return: whether one of them has freed something.
 */
bool vc_ask_others(void)
{
	struct blocking_notifier_head *chain = vc_purge_chain();
	unsigned int i = find_first_zero_bit(&asking, BITS_PER_LONG);
	bool freed;

	/* If no word is left, other tasks have just asked. */
	if (!chain || i >= BITS_PER_LONG || test_and_set_bit_lock(i, &asking))
		return false;
	asked[i] = 0;
	blocking_notifier_call_chain(chain, 0, &asked[i]);
	freed = asked[i] > 0;
	clear_bit_unlock(i, &asking);
	return freed;
}

/**
 * vc_wait_last() - wait until the area of a ticket has one pin left
 * @ticket: for vc_rs_is_last()
 *
 * Context: Task context, sleeps.
 */
void vc_wait_last(const void *ticket)
{
	wait_event(unpinned, vc_rs_is_last(ticket));
}

/**
 * vc_wake_last() - some freed area has fewer pins
 *
 * Context: Any but NMI.
 */
void vc_wake_last(void)
{
	if (!wq_has_sleeper(&unpinned))
		return;
	if (vc_is_raw())
		irq_work_queue(&wake_work);
	else
		wake_up_all(&unpinned);
}
