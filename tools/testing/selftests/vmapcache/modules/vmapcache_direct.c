// SPDX-License-Identifier: GPL-2.0
/*
 * Somebody else's ftrace direct call on vunmap(), as a BPF program or a livepatch may have one. It
 * passes each call on.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <linux/vmalloc.h>

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_JMP

DEFINE_STATIC_CALL_NULL(behind_the_nop, vunmap);

static struct ftrace_ops ops;

static notrace void pass_on(const void *addr)
{
	static_call(behind_the_nop)(addr);
}

static int __init direct_call_init(void)
{
	struct kprobe probe = { .symbol_name = "vunmap" };
	unsigned long nop;
	int err;

	err = register_kprobe(&probe);
	if (err)
		return err;
	unregister_kprobe(&probe);
	nop = (unsigned long)probe.addr;
	static_call_update(behind_the_nop, (void *)(nop + MCOUNT_INSN_SIZE));
	err = ftrace_set_filter_ip(&ops, nop, 0, 0);
	if (!err)
		err = register_ftrace_direct(&ops, ftrace_jmp_set((unsigned long)pass_on));
	if (err)
		ftrace_free_filter(&ops);
	return err;
}

static void __exit direct_call_exit(void)
{
	unregister_ftrace_direct(&ops, ftrace_jmp_set((unsigned long)pass_on), true);
	synchronize_rcu_tasks();
}

#else

static int __init direct_call_init(void)
{
	return -EOPNOTSUPP;
}

static void __exit direct_call_exit(void)
{
}

#endif

module_init(direct_call_init);
module_exit(direct_call_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("vmapcache developers");
MODULE_DESCRIPTION("An ftrace direct call on vunmap(), for tests of vmapcache's guards");
