/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The exported functions ask these questions about the context of their callers.
 */
#ifndef VMAPCACHE_CONTEXT_H
#define VMAPCACHE_CONTEXT_H

#include <linux/bug.h>
#include <linux/hardirq.h>
#include <linux/irqflags.h>

/* Whether a free in this context cannot clear page tables at once. */
static inline bool vc_must_defer(void)
{
	return in_interrupt() || irqs_disabled();
}

/* Work items cannot be queued from an NMI. */
static inline bool vc_refuse_nmi(unsigned long caller)
{
	return WARN_ONCE(in_nmi(), "vmapcache: free or unpin in an NMI, by %pS; it has no effect\n",
			 (void *)caller);
}

#endif /* VMAPCACHE_CONTEXT_H */
