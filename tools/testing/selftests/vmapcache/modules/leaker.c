// SPDX-License-Identifier: GPL-2.0
/*
 * A module that leaks two areas: one from its __init code, which goes as soon as that has
 * run, and one from the rest of its code.
 */
#include <linux/module.h>
#include <linux/printk.h>

#include <vmapcache.h>

static noinline void *leak_later(void)
{
	void *area = vmapcache_get_vm_area(3 * PAGE_SIZE, VM_MAP);

	/* Not a tail call: the caller is this function. */
	barrier();
	return area;
}

static noinline __init void *leak_at_init(void)
{
	void *area = vmapcache_get_vm_area(2 * PAGE_SIZE, VM_MAP);

	barrier();
	return area;
}

static int __init leaker_init(void)
{
	return leak_at_init() && leak_later() ? 0 : -ENOMEM;
}
module_init(leaker_init);

static void __exit leaker_exit(void)
{
}
module_exit(leaker_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("vmapcache developers");
MODULE_DESCRIPTION("Leaks areas of vmapcache");
