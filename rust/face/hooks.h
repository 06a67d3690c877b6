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

/* arm64 has no JMP mode, and needs none. The code behind the nop has no landing pad for BTI. */
#if defined(CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS) && \
	(defined(CONFIG_DYNAMIC_FTRACE_WITH_JMP) || \
	 (defined(CONFIG_ARM64) && !defined(CONFIG_ARM64_BTI_KERNEL)))
#define VC_HOOKS
#endif

/* The options that hooks need, for the log of a kernel that lacks them. */
#ifdef CONFIG_ARM64
#define VC_HOOKS_NEED	"CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS without CONFIG_ARM64_BTI_KERNEL"
#else
#define VC_HOOKS_NEED	"CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS and _WITH_JMP"
#endif

#ifdef VC_HOOKS

/**
 * struct vc_hook - a function of ours in the place of an in-tree function
 * @name: the in-tree function
 * @state: "on", or why not
 * @function: ours, or what comes before it
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
#ifdef CONFIG_ARM64
	void *ours;
#endif
};

/*
 * VC_HOOK_ENTRY() - what of @ours comes first
 *
 * On arm64 a direct call is a call: the address behind it is in the link register, and the caller's
 * in x9. A function begins with the latter in the link register, and so does the in-tree one behind its
 * nop. The hint is a landing pad. ftrace may branch here from afar.
 */
#ifdef CONFIG_ARM64
#define VC_HOOK_ENTRY(ours)							\
	void vc_entry_of_##ours(void);						\
	asm(".pushsection .text, \"ax\"\n"					\
	    "	.type	vc_entry_of_" #ours ", %function\n"			\
	    "vc_entry_of_" #ours ":\n"						\
	    "	hint	#34\n"							\
	    "	mov	x30, x9\n"						\
	    "	b	" #ours "\n"						\
	    "	.size	vc_entry_of_" #ours ", . - vc_entry_of_" #ours "\n"	\
	    ".popsection\n")
/* The compiler must keep @ours, and its name. */
#define VC_HOOK_BEGINS(_ours)	.function = vc_entry_of_##_ours, .ours = _ours
#else
#define VC_HOOK_ENTRY(ours)	static_assert(__same_type(ours, ours))
#define VC_HOOK_BEGINS(_ours)	.function = _ours
#endif

/* The hook @ours replaces @theirs, whose prototype it must have. */
#define VC_HOOK(ours, theirs)							\
{									\
	.name = #theirs,						\
	.state = "off",							\
	VC_HOOK_BEGINS(ours) + BUILD_BUG_ON_ZERO(!__same_type(ours, theirs)), \
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
