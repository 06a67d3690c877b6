/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The exported functions and the hooks ask these questions about the context of their callers,
 * and about their flags.
 */
#ifndef VMAPCACHE_CONTEXT_H
#define VMAPCACHE_CONTEXT_H

#include <linux/bug.h>
#include <linux/gfp.h>
#include <linux/hardirq.h>
#include <linux/irqflags.h>
#include <linux/preempt.h>

/* The flags that mm/vmalloc.c supports. */
#define VC_GFP_SUPPORTED (GFP_KERNEL | GFP_ATOMIC | GFP_NOWAIT | __GFP_NOFAIL | __GFP_ZERO | \
			  __GFP_NORETRY | __GFP_RETRY_MAYFAIL | GFP_NOFS | GFP_NOIO | \
			  GFP_KERNEL_ACCOUNT | GFP_USER | __GFP_NOLOCKDEP | __GFP_SKIP_KASAN | \
			  __GFP_NOWARN)

/*
 * Whether this is a place where PREEMPT_RT allows raw spinlocks alone: nothing that allocates or
 * frees memory, and no wake_up().
 */
static inline bool vc_is_raw(void)
{
	return IS_ENABLED(CONFIG_PREEMPT_RT) && !preemptible();
}

/* Whether a free in this context cannot clear page tables at once. */
static inline bool vc_must_defer(void)
{
	return in_interrupt() || irqs_disabled() || vc_is_raw();
}

/* Whether a function that may sleep has no business here. */
static inline bool vc_is_atomic(void)
{
	return !in_task() || vc_is_raw();
}

/* Such a place, for a message. */
static inline const char *vc_place(void)
{
	if (in_nmi())
		return "in an NMI";
	return in_task() ? "with preemption off" : "in an interrupt";
}

/*
 * For a function that may sleep: true in a hard interrupt, a softirq or an NMI, and with
 * PREEMPT_RT also with preemption off, after one warning for each function. Only debug kernels
 * would notice by themselves.
 */
#define VC_REFUSE_INTERRUPT(function, caller)					\
	WARN_ONCE(vc_is_atomic(), "vmapcache: %s() %s, by %pS; it has no effect\n", \
		  function, vc_place(), (void *)(caller))

/* The same for one that may be called in interrupts. Work items cannot be queued from an NMI. */
#define VC_REFUSE_NMI(function, caller)						\
	WARN_ONCE(in_nmi(), "vmapcache: %s() in an NMI, by %pS; it has no effect\n", \
		  function, (void *)(caller))

/* The same for one that calls kmalloc(). */
#define VC_REFUSE_RAW(function, caller)						\
	WARN_ONCE(in_nmi() || vc_is_raw(), "vmapcache: %s() %s, by %pS; it has no effect\n", \
		  function, vc_place(), (void *)(caller))

#endif /* VMAPCACHE_CONTEXT_H */
