// SPDX-License-Identifier: GPL-2.0
/*
 * A livepatch of vunmap(), or with function=vmap of that, which passes each call on.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <linux/vmalloc.h>

static char *function = "vunmap";
module_param(function, charp, 0444);

DEFINE_STATIC_CALL_NULL(vunmap_behind_its_nop, vunmap);
DEFINE_STATIC_CALL_RET0(vmap_behind_its_nop, vmap);

static notrace void patched_vunmap(const void *addr)
{
	static_call(vunmap_behind_its_nop)(addr);
}

static notrace void *patched_vmap(struct page **pages, unsigned int count, unsigned long flags,
				  pgprot_t prot)
{
	return static_call(vmap_behind_its_nop)(pages, count, flags, prot);
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
	struct kprobe probe = { .symbol_name = function };
	int err = register_kprobe(&probe);

	if (err)
		return err;
	unregister_kprobe(&probe);
	if (strcmp(function, "vmap")) {
		static_call_update(vunmap_behind_its_nop, (void *)probe.addr + MCOUNT_INSN_SIZE);
	} else {
		static_call_update(vmap_behind_its_nop, (void *)probe.addr + MCOUNT_INSN_SIZE);
		functions[0] = (struct klp_func){ .old_name = "vmap", .new_func = patched_vmap };
	}
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
MODULE_DESCRIPTION("A livepatch of vunmap() or vmap(), for tests of vmapcache");
