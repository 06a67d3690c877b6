// SPDX-License-Identifier: GPL-2.0
/*
 * Hooks: functions of ours in the place of in-tree functions.
 *
 * The nop at the entry of an in-tree function becomes a jump to a function of the same
 * prototype here (an ftrace direct call in JMP mode, on arm64 one whose first instructions make
 * the call a jump). That function is entered with the
 * caller's registers and stack. It reaches the in-tree function, at the instruction behind the
 * nop, by a static call: see symbols.h.
 *
 * A hook that can sleep or return to its caller counts its task in a word per CPU (begin,
 * end); one that passes a call on ends in a jump. So nobody is in a hook any more when
 * vc_hooks_take_off() returns.
 */
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "hooks.h"
#include "pages.h"
#include "symbols.h"

#ifdef VC_HOOKS

static unsigned long entry_of(const struct vc_hook *hook)
{
	return ftrace_jmp_set((unsigned long)hook->function);
}

/**
 * vc_hook_inside() - how many tasks are in hooks
 * @inside: their words
 *
 * Context: Any.
 */
long vc_hook_inside(const long __percpu *inside)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(inside, cpu));
	return sum;
}

/**
 * vc_hook_put_on() - let our function take the calls of the in-tree one
 * @hook: the hook; its state is set
 *
 * Context: Task context, sleeps.
 * Return: NULL, or in a few words why that is not possible.
 */
const char *vc_hook_put_on(struct vc_hook *hook)
{
	unsigned long nop = static_call(vc_ftrace_location)(vc_symbol_address(hook->name));
	int err;

	hook->state = "none";
	/* ThinLTO inlines small functions alone in other files. */
	if (IS_ENABLED(CONFIG_LTO_CLANG_FULL))
		return "with LTO_CLANG_FULL, callers in the kernel may have it inlined";
	if (!nop)
		return "this kernel has no such function, or it cannot be traced";
	/* Nobody may turn hooks off by kernel.ftrace_enabled. */
	hook->ops.flags = FTRACE_OPS_FL_PERMANENT;
	err = ftrace_set_filter_ip(&hook->ops, nop, 0, 0);
	if (!err) {
		__static_call_update(hook->key, hook->trampoline,
				     (void *)(nop + MCOUNT_INSN_SIZE));
		err = register_ftrace_direct(&hook->ops, entry_of(hook));
	}
	if (!err) {
		hook->state = "on";
		return NULL;
	}
	ftrace_free_filter(&hook->ops);
	if (err == -EBUSY) {
		hook->state = "busy";
		return "a BPF program, a livepatch, a kprobe with a post_handler or another direct call has it";
	}
	hook->state = "failed";
	return err == -ENOMEM ? "no memory" : "ftrace refuses it";
}

/**
 * vc_hooks_take_off() - give all calls back to the in-tree functions
 * @hooks: the hooks
 * @nr: how many
 * @inside: the words in which their tasks count themselves
 *
 * Each removal waits for all tasks to leave what it removes, a tenth of a second or more,
 * if the ops is marked as dynamic memory. One such wait at the end serves all.
 *
 * Context: Task context, sleeps until no task is in a hook.
 */
void vc_hooks_take_off(struct vc_hook *hooks, unsigned int nr, const long __percpu *inside)
{
	struct vc_hook *last = NULL, *hook;
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (vc_hook_is_on(&hooks[i]))
			last = &hooks[i];
	for (i = 0; i < nr; i++) {
		hook = &hooks[i];
		if (!vc_hook_is_on(hook))
			continue;
		if (hook != last)
			hook->ops.flags &= ~FTRACE_OPS_FL_DYNAMIC;
		WARN_ON(unregister_ftrace_direct(&hook->ops, entry_of(hook), false));
	}
	for (i = 0; i < nr; i++) {
		ftrace_free_filter(&hooks[i].ops);
		hooks[i].state = "off";
	}
	if (!last)
		return;
	/* All tasks that came by a jump have counted themselves by now, or are through. */
	while (vc_hook_inside(inside))
		schedule_timeout_uninterruptible(1);
	/* Those that have just counted themselves out leave the code, and what they were told. */
	synchronize_rcu_tasks();
}

#endif
