// SPDX-License-Identifier: GPL-2.0
/*
 * Somebody else's ftrace direct call on vunmap(), or with function=vmap on that, as a BPF program or
 * a livepatch may have one. It passes each call on. With kprobe=1 a kprobe with a post_handler in its
 * place, which ftrace takes for something that changes where a call goes.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <linux/vmalloc.h>

/* arm64 has no JMP mode. */
#if defined(CONFIG_DYNAMIC_FTRACE_WITH_JMP) || \
	(defined(CONFIG_ARM64) && defined(CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS) && \
	 !defined(CONFIG_ARM64_BTI_KERNEL))

static char *function = "vunmap";
module_param(function, charp, 0444);

static bool kprobe;
module_param(kprobe, bool, 0444);
MODULE_PARM_DESC(kprobe, "A kprobe on vunmap() with a post_handler instead of the direct call");

static bool was_hit;

static void after(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
	was_hit = true;
}

static struct kprobe with_post_handler = { .symbol_name = "vunmap", .post_handler = after };

static int put_kprobe(void)
{
	int err = register_kprobe(&with_post_handler);

	if (err)
		return err;
	vunmap(NULL);
	if (READ_ONCE(was_hit))
		return 0;
	/* Some kernels forget that ftrace has refused it. */
	unregister_kprobe(&with_post_handler);
	return -EBUSY;
}

DEFINE_STATIC_CALL_NULL(vunmap_behind_its_nop, vunmap);
DEFINE_STATIC_CALL_RET0(vmap_behind_its_nop, vmap);

static struct ftrace_ops ops;

static notrace __used void pass_vunmap_on(const void *addr)
{
	static_call(vunmap_behind_its_nop)(addr);
}

static notrace __used void *pass_vmap_on(struct page **pages, unsigned int count, unsigned long flags,
				  pgprot_t prot)
{
	return static_call(vmap_behind_its_nop)(pages, count, flags, prot);
}

#ifdef CONFIG_ARM64
/*
 * ftrace calls: the caller's return address, which a function begins with in the link register, is in x9.
 * The nop that ftrace replaces is a function's second instruction.
 */
typeof(pass_vunmap_on) enter_pass_vunmap_on;
typeof(pass_vmap_on) enter_pass_vmap_on;

#define ENTRY(name)							\
	asm(".pushsection .text, \"ax\"\n"				\
	    "enter_" #name ":\n"					\
	    "	hint	#34\n"						\
	    "	mov	x30, x9\n"					\
	    "	b	" #name "\n"					\
	    ".popsection\n")
ENTRY(pass_vunmap_on);
ENTRY(pass_vmap_on);
#define ENTER(name)		enter_##name
#define NOP_BEHIND_ENTRY	AARCH64_INSN_SIZE
#else
#define ENTER(name)		name
#define NOP_BEHIND_ENTRY	0
#endif

static unsigned long pass_on(void)
{
	return ftrace_jmp_set(strcmp(function, "vmap") ? (unsigned long)ENTER(pass_vunmap_on) :
							 (unsigned long)ENTER(pass_vmap_on));
}

static int __init direct_call_init(void)
{
	struct kprobe probe = { .symbol_name = function };
	unsigned long nop;
	int err;

	if (kprobe)
		return put_kprobe();
	err = register_kprobe(&probe);
	if (err)
		return err;
	unregister_kprobe(&probe);
	nop = (unsigned long)probe.addr + NOP_BEHIND_ENTRY;
	if (strcmp(function, "vmap"))
		static_call_update(vunmap_behind_its_nop, (void *)(nop + MCOUNT_INSN_SIZE));
	else
		static_call_update(vmap_behind_its_nop, (void *)(nop + MCOUNT_INSN_SIZE));
	err = ftrace_set_filter_ip(&ops, nop, 0, 0);
	if (!err)
		err = register_ftrace_direct(&ops, pass_on());
	if (err)
		ftrace_free_filter(&ops);
	return err;
}

static void __exit direct_call_exit(void)
{
	if (kprobe) {
		unregister_kprobe(&with_post_handler);
		return;
	}
	unregister_ftrace_direct(&ops, pass_on(), true);
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
MODULE_DESCRIPTION("An ftrace direct call on vunmap() or vmap(), for tests of vmapcache");
