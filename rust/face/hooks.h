/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions of ours in the place of in-tree functions, for the C files of this room.
 */
#ifndef VMAPCACHE_HOOKS_H
#define VMAPCACHE_HOOKS_H

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/ftrace.h>
#include <linux/percpu.h>
#include <linux/static_call.h>

#if defined(CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS) && defined(CONFIG_DYNAMIC_FTRACE_WITH_JMP)
#define VC_HOOKS
#endif

#ifdef VC_HOOKS

/**
 * struct vc_hook - a function of ours in the place of an in-tree function
 * @name: the in-tree function
 * @state: "on", or why not
 * @function: ours
 * @key: of the static call to the in-tree function, behind its nop
 * @trampoline: of the same static call
 * @ops: the direct call
 */
struct vc_hook {
	const char *name;
	const char *state;
	void *function;
	struct static_call_key *key;
	void *trampoline;
	struct ftrace_ops ops;
};

/* The hook @ours replaces @theirs, whose prototype it must have. */
#define VC_HOOK(ours, theirs)							\
{									\
	.name = #theirs,						\
	.state = "off",							\
	.function = ours +						\
		BUILD_BUG_ON_ZERO(!__same_type(ours, theirs)),		\
	.key = &STATIC_CALL_KEY(vc_##theirs),				\
	.trampoline = STATIC_CALL_TRAMP_ADDR(vc_##theirs),		\
}

static inline bool vc_hook_is_on(const struct vc_hook *hook)
{
	return hook->ops.flags & FTRACE_OPS_FL_ENABLED;
}

const char *vc_hook_put_on(struct vc_hook *hook);
void vc_hooks_take_off(struct vc_hook *hooks, unsigned int nr, const long __percpu *inside);

/* A task counts itself while it is in a hook and may sleep there, or return from there. */
static __always_inline void vc_hook_begin(long __percpu *inside)
{
	this_cpu_inc(*inside);
	/* Counted before anything else happens, for tasks that are preempted here. */
	barrier();
}

static __always_inline void vc_hook_end(long __percpu *inside)
{
	barrier();
	this_cpu_dec(*inside);
}

long vc_hook_inside(const long __percpu *inside);

#endif /* VC_HOOKS */

#endif /* VMAPCACHE_HOOKS_H */
