// SPDX-License-Identifier: GPL-2.0
/*
 * A module that calls nothing, with code for its name to be found at any address where
 * leaker.c may have been.
 */
#include <linux/module.h>

#ifdef CONFIG_ARM64
#define JUMP	"b"
#else
#define JUMP	"jmp"
#endif

static noinline void innocent(void)
{
	asm volatile(JUMP " 1f\n\t.skip 3000, 0xcc\n1:");
}

static noinline __init void innocent_at_init(void)
{
	asm volatile(JUMP " 1f\n\t.skip 3000, 0xcc\n1:");
}

static int __init innocent_init(void)
{
	innocent_at_init();
	innocent();
	return 0;
}
module_init(innocent_init);

static void __exit innocent_exit(void)
{
	innocent();
}
module_exit(innocent_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("vmapcache developers");
MODULE_DESCRIPTION("Comes to the address of another module");
