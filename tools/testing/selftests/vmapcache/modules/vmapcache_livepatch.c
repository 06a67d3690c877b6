// SPDX-License-Identifier: GPL-2.0
/*
 * A livepatch of vunmap(), which passes each call on.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <linux/vmalloc.h>

DEFINE_STATIC_CALL_NULL(behind_the_nop, vunmap);

static notrace void patched_vunmap(const void *addr)
{
	static_call(behind_the_nop)(addr);
}

static struct klp_func functions[] = {
	{ .old_name = "vunmap", .new_func = patched_vunmap },
	{}
};

static struct klp_object objects[] = {
	{ .funcs = functions },
	{}
};

static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objects };

static int __init livepatch_init(void)
{
	struct kprobe probe = { .symbol_name = "vunmap" };
	int err = register_kprobe(&probe);

	if (err)
		return err;
	unregister_kprobe(&probe);
	static_call_update(behind_the_nop, (void *)probe.addr + MCOUNT_INSN_SIZE);
	return klp_enable_patch(&patch);
}
module_init(livepatch_init);

static void __exit livepatch_exit(void)
{
}
module_exit(livepatch_exit);

MODULE_INFO(livepatch, "Y");
MODULE_LICENSE("GPL");
MODULE_AUTHOR("vmapcache developers");
MODULE_DESCRIPTION("A livepatch of vunmap(), for tests of vmapcache's guards");
