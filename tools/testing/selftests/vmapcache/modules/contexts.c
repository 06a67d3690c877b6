// SPDX-License-Identifier: GPL-2.0
/*
 * Each exported function, and each in-tree function that has a guard, in a hard interrupt, a
 * softirq and an NMI. A function that may not be called there has no effect.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#ifdef CONFIG_X86_64
#include <asm/apic.h>
#include <asm/nmi.h>
#endif

#include <vmapcache.h>

#include "vmapcache_test.h"

enum context { HARD, SOFT, NMI, CONTEXTS };

static const char *const context_names[] = { "a hard interrupt", "a softirq", "an NMI" };

#define NOWHERE		0
#define NOT_IN_NMI	(BIT(HARD) | BIT(SOFT))
#define ANYWHERE	(NOT_IN_NMI | BIT(NMI))
#define WHERE_KMALLOC	(IS_ENABLED(CONFIG_PREEMPT_RT) ? BIT(SOFT) : NOT_IN_NMI)

/* An allocation that kmalloc() never serves. */
#define HUGE_SIZE	(2 * KMALLOC_MAX_SIZE)

/* What there is to call functions with, and what came of it. */
struct subject {
	struct page *page;
	void *memory, *shown, *ram, *space;
	struct vmapcache_pin held, taken;
	void *got;
	bool served;
};

struct question {
	const char *name;
	unsigned int allowed;	/* contexts */
	void (*ask)(struct subject *s);
	/* The address that the function frees. NULL: ask() sets `got` or `served`. */
	void *(*freed)(struct subject *s);
};

static void *memory(struct subject *s)
{
	return s->memory;
}

static void *shown(struct subject *s)
{
	return s->shown;
}

static void *ram(struct subject *s)
{
	return s->ram;
}

static void *space(struct subject *s)
{
	return s->space;
}

#define ASK(name, statement)							\
static void ask_##name(struct subject *s)					\
{										\
	statement;								\
}

static bool count_one(const struct vmapcache_area *area, void *arg)
{
	*(bool *)arg = true;
	return false;
}

static u64 counted(const char *name)
{
	u64 value = 0;

	vmapcache_counter(name, &value);
	return value;
}

static u32 limit_of_lazy(void)
{
	u32 value = 0;

	vmapcache_get_switch("lazy_max_pages", &value);
	return value;
}

/* True if @call flushes: there is something lazy. */
#define FLUSHES(call)								\
({										\
	u64 before = counted("flushes");					\
										\
	call;									\
	counted("flushes") != before;						\
})

ASK(vmalloc, s->got = vmapcache_vmalloc(PAGE_SIZE))
ASK(vzalloc, s->got = vmapcache_vzalloc(PAGE_SIZE))
ASK(vmalloc_node, s->got = vmapcache_vmalloc_node(PAGE_SIZE, NUMA_NO_NODE))
ASK(vmalloc_gfp, s->got = vmapcache_vmalloc_gfp(PAGE_SIZE, GFP_ATOMIC))
ASK(vmalloc_aligned, s->got = vmapcache_vmalloc_aligned(PAGE_SIZE, 1, GFP_NOWAIT, NUMA_NO_NODE, NULL))
ASK(vmalloc_huge_node, s->got = vmapcache_vmalloc_huge_node(PAGE_SIZE, GFP_ATOMIC, NUMA_NO_NODE))
ASK(vmalloc_user, s->got = vmapcache_vmalloc_user(PAGE_SIZE))
ASK(vmalloc_32, s->got = vmapcache_vmalloc_32(PAGE_SIZE))
ASK(vmalloc_32_user, s->got = vmapcache_vmalloc_32_user(PAGE_SIZE))
ASK(vrealloc, s->got = vmapcache_vrealloc(NULL, PAGE_SIZE, GFP_ATOMIC))
/* Smaller, which needs no memory. */
ASK(vrealloc_node_align, s->served = vmapcache_vrealloc_node_align(s->memory, PAGE_SIZE, 1,
	GFP_ATOMIC, NUMA_NO_NODE))
ASK(vrealloc_to_nothing, s->got = vmapcache_vrealloc(s->memory, 0, GFP_ATOMIC))
ASK(vfree, vmapcache_vfree(s->memory))
ASK(vfree_atomic, vmapcache_vfree_atomic(s->memory))
ASK(vfree_sync, vmapcache_vfree_sync(s->memory))
ASK(vmap, s->got = vmapcache_vmap(&s->page, 1, VM_MAP, PAGE_KERNEL))
ASK(vunmap, vmapcache_vunmap(s->shown))
ASK(vm_map_ram, s->got = vmapcache_vm_map_ram(&s->page, 1, NUMA_NO_NODE))
ASK(vm_unmap_ram, vmapcache_vm_unmap_ram(s->ram, 1))
ASK(vm_unmap_aliases, s->served = FLUSHES(vmapcache_vm_unmap_aliases()))
ASK(get_vm_area, s->got = vmapcache_get_vm_area(PAGE_SIZE, VM_MAP))
ASK(get_vm_area_aligned, s->got = vmapcache_get_vm_area_aligned(PAGE_SIZE, 1, VM_MAP, NULL))
ASK(free_vm_area, vmapcache_free_vm_area(s->space))
ASK(find_vm_area, s->served = vmapcache_find_vm_area(s->memory + 1, NULL) == s->memory)
ASK(owns, s->served = vmapcache_owns(s->memory) && !vmapcache_owns(s))
/* Refused in any case, so that no vma is needed. The script looks for the line. */
ASK(remap, vmapcache_remap_vmalloc_range_partial(NULL, 0, s->memory, 0, 0))
ASK(either_vfree, vmapcache_either_vfree(s->memory))
ASK(either_vfree_atomic, vmapcache_either_vfree_atomic(s->memory))
ASK(either_vunmap, vmapcache_either_vunmap(s->shown))
ASK(either_vm_unmap_ram, vmapcache_either_vm_unmap_ram(s->ram, 1))
ASK(kvmalloc, s->got = vmapcache_kvmalloc(HUGE_SIZE, 1, GFP_ATOMIC | __GFP_NOWARN, NUMA_NO_NODE))
ASK(kvmalloc_small, s->got = vmapcache_kvmalloc(100, 1, GFP_ATOMIC, NUMA_NO_NODE))
ASK(kvrealloc, s->served = vmapcache_kvrealloc(s->memory, PAGE_SIZE, 1, GFP_ATOMIC, NUMA_NO_NODE))
ASK(kvfree, vmapcache_kvfree(s->memory))
ASK(vfree_rcu, vmapcache_vfree_rcu(s->memory, s->memory + 64))
ASK(purge, s->served = FLUSHES(vmapcache_purge()))
ASK(drain, s->served = FLUSHES(vmapcache_drain()))
ASK(counter, s->served = counted("areas") >= 4)
ASK(get_switch, s->served = limit_of_lazy() > 0)
ASK(set_switch, s->served = !vmapcache_set_switch("lazy_max_pages", limit_of_lazy()))
ASK(pin, s->taken = vmapcache_pin(s->memory); s->served = s->taken.word)
ASK(walk, vmapcache_walk(NULL, count_one, &s->served))

static void ask_unpin(struct subject *s)
{
	u64 word = s->held.word;

	vmapcache_unpin(&s->held);
	s->served = s->held.word != word;
}

/* Through guards. */
ASK(in_tree_vfree, vfree(s->memory))
ASK(in_tree_kvfree, kvfree(s->memory))
ASK(in_tree_vunmap, vunmap(s->shown))
ASK(in_tree_vm_unmap_ram, vm_unmap_ram(s->ram, 1))
ASK(in_tree_vrealloc, s->served = vrealloc(s->memory, PAGE_SIZE, GFP_ATOMIC))

#define OURS(name, allowed, ...)	{ "vmapcache_" #name, allowed, ask_##name, ##__VA_ARGS__ }

static const struct question questions[] = {
	OURS(vmalloc, NOWHERE),
	OURS(vzalloc, NOWHERE),
	OURS(vmalloc_node, NOWHERE),
	OURS(vmalloc_gfp, NOWHERE),
	OURS(vmalloc_aligned, NOWHERE),
	OURS(vmalloc_huge_node, NOWHERE),
	OURS(vmalloc_user, NOWHERE),
	OURS(vmalloc_32, NOWHERE),
	OURS(vmalloc_32_user, NOWHERE),
	OURS(vrealloc, NOWHERE),
	OURS(vrealloc_node_align, NOWHERE),
	{ "vmapcache_vrealloc, size 0", NOT_IN_NMI, ask_vrealloc_to_nothing, memory },
	OURS(vfree, NOT_IN_NMI, memory),
	OURS(vfree_atomic, NOT_IN_NMI, memory),
	OURS(vfree_sync, NOWHERE, memory),
	OURS(vmap, NOWHERE),
	OURS(vunmap, NOWHERE, shown),
	OURS(vm_map_ram, NOWHERE),
	OURS(vm_unmap_ram, NOWHERE, ram),
	OURS(vm_unmap_aliases, NOWHERE),
	OURS(get_vm_area, NOWHERE),
	OURS(get_vm_area_aligned, NOWHERE),
	OURS(free_vm_area, NOWHERE, space),
	OURS(find_vm_area, ANYWHERE),
	OURS(owns, ANYWHERE),
	{ "vmapcache_remap_vmalloc_range_partial", NOWHERE, ask_remap },
	OURS(either_vfree, NOT_IN_NMI, memory),
	OURS(either_vfree_atomic, NOT_IN_NMI, memory),
	OURS(either_vunmap, NOWHERE, shown),
	OURS(either_vm_unmap_ram, NOWHERE, ram),
	OURS(kvmalloc, NOWHERE),
	{ "vmapcache_kvmalloc, 100 bytes", WHERE_KMALLOC, ask_kvmalloc_small },
	OURS(kvrealloc, NOWHERE),
	OURS(kvfree, NOT_IN_NMI, memory),
	OURS(vfree_rcu, NOT_IN_NMI, memory),
	OURS(purge, NOWHERE),
	OURS(drain, NOWHERE),
	OURS(counter, ANYWHERE),
	OURS(get_switch, ANYWHERE),
	OURS(set_switch, NOWHERE),
	OURS(pin, ANYWHERE),
	OURS(unpin, NOT_IN_NMI),
	OURS(walk, ANYWHERE),
};

static const struct question in_tree_questions[] = {
	{ "vfree", NOT_IN_NMI, ask_in_tree_vfree, memory },
	{ "kvfree", NOT_IN_NMI, ask_in_tree_kvfree, memory },
	{ "vunmap", NOWHERE, ask_in_tree_vunmap, shown },
	{ "vm_unmap_ram", NOWHERE, ask_in_tree_vm_unmap_ram, ram },
	{ "vrealloc", NOWHERE, ask_in_tree_vrealloc },
};

/* ---- the contexts ---- */

static struct {
	const struct question *question;
	struct subject *subject;
	bool right;	/* this was the context that was asked for */
	bool done;
} job;

static void do_job(bool right)
{
	job.right = right;
	job.question->ask(job.subject);
	/* Pairs with the acquire in reach(): the task sees all of it. */
	smp_store_release(&job.done, true);
}

static void in_hard_interrupt(struct irq_work *unused)
{
	do_job(in_hardirq());
}
static struct irq_work hard_job;

static void in_softirq_context(struct tasklet_struct *unused)
{
	do_job(in_serving_softirq());
}
static DECLARE_TASKLET(soft_job, in_softirq_context);

#ifdef CONFIG_X86_64

static bool wanted;

static int on_nmi(unsigned int type, struct pt_regs *regs)
{
	if (!xchg(&wanted, false))
		return NMI_DONE;
	do_job(in_nmi());
	return NMI_HANDLED;
}

static bool prepare_nmi(void)
{
	return !register_nmi_handler(NMI_LOCAL, on_nmi, 0, "vmapcache_contexts");
}

static void end_nmi(void)
{
	unregister_nmi_handler(NMI_LOCAL, "vmapcache_contexts");
}

static void send_nmi(void)
{
	WRITE_ONCE(wanted, true);
	__apic_send_IPI_mask(cpumask_of(get_cpu()), NMI_VECTOR);
	put_cpu();
}

#else

static bool prepare_nmi(void)
{
	return true;
}

static void end_nmi(void)
{
}

/* Nobody comes. */
static void send_nmi(void)
{
}

#endif

static bool can_reach(enum context context)
{
	return context != NMI || IS_ENABLED(CONFIG_X86_64);
}

/* Has @question asked in @context, and waits. False if it never was. */
static bool reach(const struct question *question, struct subject *s, enum context context)
{
	unsigned int tries;

	job.question = question;
	job.subject = s;
	job.done = false;
	if (context == HARD)
		irq_work_queue(&hard_job);
	else if (context == SOFT)
		tasklet_schedule(&soft_job);
	else
		send_nmi();
	/* Pairs with the release in do_job(). */
	for (tries = 0; !smp_load_acquire(&job.done) && tries < 20000; tries++)
		usleep_range(100, 500);
	return job.done && job.right;
}

/* ---- subjects ---- */

static bool prepare(struct run *run, struct subject *s)
{
	*s = (struct subject){ .page = alloc_page(GFP_KERNEL) };
	if (!expect(run, s->page, "no memory"))
		return false;
	s->memory = vmapcache_vmalloc(2 * PAGE_SIZE);
	s->shown = vmapcache_vmap(&s->page, 1, VM_MAP, PAGE_KERNEL);
	s->ram = vmapcache_vm_map_ram(&s->page, 1, NUMA_NO_NODE);
	s->space = vmapcache_get_vm_area(PAGE_SIZE, VM_MAP);
	s->held = vmapcache_pin(s->space);
	/* So that something is lazy. */
	vmapcache_vfree(vmapcache_vmalloc(PAGE_SIZE));
	return expect(run, s->memory && s->shown && s->ram && s->space && s->held.word,
		      "no memory");
}

static bool is_there(const void *addr)
{
	return addr && vmapcache_find_vm_area(addr, NULL) == addr;
}

static void free_subject(struct subject *s)
{
	vmapcache_unpin(&s->taken);
	if (s->held.word != U64_MAX)
		vmapcache_unpin(&s->held);
	vmapcache_kvfree(s->got);
	if (is_there(s->memory))
		vmapcache_vfree(s->memory);
	if (is_there(s->shown))
		vmapcache_vunmap(s->shown);
	if (is_there(s->ram))
		vmapcache_vm_unmap_ram(s->ram, 1);
	if (is_there(s->space))
		vmapcache_free_vm_area(s->space);
	if (s->page)
		__free_page(s->page);
}

static bool was_served(const struct question *question, struct subject *s, bool wanted)
{
	unsigned int tries;

	if (!question->freed)
		return s->served || s->got;
	/* One after a grace period comes later. */
	for (tries = 0; is_there(question->freed(s)) && tries < (wanted ? 5000 : 20); tries++)
		usleep_range(500, 1000);
	return !is_there(question->freed(s));
}

static void ask_in(struct run *run, const struct question *question, enum context context)
{
	bool wanted = question->allowed & BIT(context), served;
	struct subject s;

	if (prepare(run, &s) &&
	    expect(run, reach(question, &s, context), "%s: %s was never reached", question->name,
		   context_names[context])) {
		served = was_served(question, &s, wanted);
		expect(run, served == wanted, "%s in %s was %s", question->name,
		       context_names[context], served ? "served" : "refused");
	}
	free_subject(&s);
}

static void ask_all(struct run *run, const struct question *list, unsigned int count)
{
	enum context context;
	unsigned int i;

	for (context = HARD; context < CONTEXTS; context++)
		for (i = 0; can_reach(context) && i < count && !interrupted(); i++)
			ask_in(run, &list[i], context);
}

/*
 * in_tree=0: all exported functions, and with in_tree=1 those of the kernel that have a guard, in
 * each context.
 */
static void contexts(struct run *run)
{
	if (!expect(run, prepare_nmi(), "no handler for NMIs"))
		return;
	init_hard_irq_work(&hard_job, in_hard_interrupt);
	ask_all(run, questions, ARRAY_SIZE(questions));
	if (arg(run, "in_tree", 0))
		ask_all(run, in_tree_questions, ARRAY_SIZE(in_tree_questions));
	end_nmi();
	irq_work_sync(&hard_job);
	tasklet_kill(&soft_job);
	note(run, "nmi %d", can_reach(NMI));
}

const struct test_case contexts_cases[] = {
	{ "contexts", contexts },
	{}
};
