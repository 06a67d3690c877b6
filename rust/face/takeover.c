// SPDX-License-Identifier: GPL-2.0
/*
 * Takeover: vmap(), vm_map_ram() and vmalloc() of callers that know nothing of vmapcache are
 * served from the arena, as long as somebody wants that.
 *
 * Each function of the table below has a hook (hooks.c). The hook serves a call from the arena,
 * or lets it through to the in-tree function and counts why. If the arena cannot serve a
 * call, the in-tree function does: so takeover makes no caller fail. The guards serve frees,
 * and a companion is the vm_struct of an area.
 *
 * Documentation/takeover.rst says what is served, and how to use it.
 *
 * Rules:
 *
 *  1. All guards are on before the first hook is, and stay on until no area is left.
 *  2. Hooks are put on once. After that one word, `wanted`, turns takeover on and off.
 *  3. While takeover is on, or somebody holds an area that it made, the module holds a
 *     reference to itself. The areas are those whose caller has the mark VC_UNAWARE.
 *  4. The in-tree allocator serves vmapcache itself, which may need that memory longer than
 *     the arena is there.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/gfp.h>
#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "companion.h"
#include "context.h"
#include "exports.h"
#include "face.h"
#include "hooks.h"
#include "pages.h"
#include "symbols.h"

static const char * const targets[] = {
	[VC_TAKE_VMAP] = "vmap",
	[VC_TAKE_VM_MAP_RAM] = "vm_map_ram",
	[VC_TAKE_VMALLOC] = "vmalloc",
	[VC_TAKE_STACKS] = "stacks",
};

/* How a hook decides about a call while takeover is on: see Documentation/takeover.rst. */
enum fate {
	REDIRECTED,
	NO_ROOM,
	FLAGS,
	RANGE,
	ZONE,
	CONTEXT,
	OWN,
	FILTER,
	KTHREAD,
	CALLERS,
};

static const char * const fates[] = {
	[REDIRECTED] = "redirected",
	[NO_ROOM] = "no_room",
	[FLAGS] = "flags",
	[RANGE] = "range",
	[ZONE] = "zone",
	[CONTEXT] = "context",
	[OWN] = "own",
	[FILTER] = "filter",
	[KTHREAD] = "kthread",
	[CALLERS] = "callers",
};

#define TARGETS	ARRAY_SIZE(targets)
#define FATES	ARRAY_SIZE(fates)

/* The targets that takeover serves while it is on: a bit for each. */
static unsigned int what = BIT(VC_TAKE_VMAP) | BIT(VC_TAKE_VM_MAP_RAM) | BIT(VC_TAKE_VMALLOC);

static DEFINE_MUTEX(lock);
static bool is_on;

#ifdef VC_HOOKS

/* The same, as hooks read it: 0 while takeover is off. */
static unsigned int wanted __read_mostly;

struct counts {
	u64 calls[TARGETS][FATES];
};
static DEFINE_PER_CPU(struct counts, counts);
static DEFINE_PER_CPU(long, inside);

static void count(enum vc_target target, enum fate fate)
{
	this_cpu_inc(counts.calls[target][fate]);
}

static void *let_through(enum vc_target target, enum fate fate)
{
	count(target, fate);
	return NULL;
}

static void *answer(enum vc_target target, void *addr)
{
	count(target, addr ? REDIRECTED : NO_ROOM);
	return addr;
}

/* ---- who is served ---- */

/*
 * Functions of the kernel that call vmalloc() for Rust: the kernel crate's allocators, and so
 * vmapcache itself, are behind them.
 */
static struct {
	const char *name;
	unsigned long start;
	unsigned long size;
} for_rust[] = {
	{ "kvrealloc_node_align_noprof" },
	{ "vrealloc_node_align_noprof" },
	{ "rust_helper_kvrealloc_node_align" },
	{ "rust_helper_vrealloc_node_align" },
};

static bool is_own(unsigned long caller)
{
	unsigned int i;

	if (within_module_mem_type(caller, THIS_MODULE, MOD_TEXT))
		return true;
	for (i = 0; i < ARRAY_SIZE(for_rust); i++)
		if (caller - for_rust[i].start < for_rust[i].size)
			return true;
	return false;
}

static bool may_take(enum vc_target target, unsigned long caller)
{
	enum fate fate;

	if (unlikely(vc_is_atomic()))
		fate = CONTEXT;
	else if (unlikely(is_own(caller)))
		fate = OWN;
	else if (!vc_filter_passes(caller))
		fate = FILTER;
	else if (unlikely(!vc_rs_has_number(caller ^ VC_UNAWARE)))
		fate = CALLERS;
	else
		return true;
	count(target, fate);
	return false;
}

/* ---- vmap() and vm_map_ram() ---- */

DEFINE_STATIC_CALL_RET0(vc_vmap, vmap);
DEFINE_STATIC_CALL_RET0(vc_vm_map_ram, vm_map_ram);

static void *take_vmap(struct page **pages, unsigned int nr, unsigned long flags,
				pgprot_t prot, unsigned long caller)
{
	unsigned int how = 0;
	void *addr;

	if (flags & ~(VM_MAP | VM_MAP_PUT_PAGES | VM_USERMAP))
		return let_through(VC_TAKE_VMAP, FLAGS);
	if (!may_take(VC_TAKE_VMAP, caller))
		return NULL;
	if (flags & VM_MAP_PUT_PAGES)
		how |= VC_PUT_PAGES;
	if (flags & VM_USERMAP)
		how |= VC_USER;
	vc_hook_begin(&inside);
	might_sleep();
	addr = vc_rs_vmap(pages, nr, how, pgprot_val(prot), GFP_KERNEL, caller ^ VC_UNAWARE);
	/* remap_vmalloc_range() will ask for it, and must find it. */
	if (addr && how & VC_USER && !vc_companion_vm_struct((unsigned long)addr)) {
		vc_rs_vunmap((unsigned long)addr, false, caller);
		addr = NULL;
	}
	vc_hook_end(&inside);
	return answer(VC_TAKE_VMAP, addr);
}

static noinline void *serve_vmap(struct page **pages, unsigned int nr, unsigned long flags,
				 pgprot_t prot, unsigned long caller)
{
	void *addr = take_vmap(pages, nr, flags, prot, caller);

	return addr ?: static_call(vc_vmap)(pages, nr, flags, prot);
}

static notrace void *hook_vmap(struct page **pages, unsigned int nr, unsigned long flags,
			       pgprot_t prot)
{
	if (likely(!(READ_ONCE(wanted) & BIT(VC_TAKE_VMAP))))
		return static_call(vc_vmap)(pages, nr, flags, prot);
	return serve_vmap(pages, nr, flags, prot, _RET_IP_);
}

static void *take_vm_map_ram(struct page **pages, unsigned int nr, unsigned long caller)
{
	void *addr;

	if (!may_take(VC_TAKE_VM_MAP_RAM, caller))
		return NULL;
	vc_hook_begin(&inside);
	might_sleep();
	addr = vc_rs_vm_map_ram(pages, nr, pgprot_val(PAGE_KERNEL), GFP_KERNEL,
				caller ^ VC_UNAWARE);
	vc_hook_end(&inside);
	return answer(VC_TAKE_VM_MAP_RAM, addr);
}

static noinline void *serve_vm_map_ram(struct page **pages, unsigned int nr, int node,
				       unsigned long caller)
{
	void *addr = take_vm_map_ram(pages, nr, caller);

	return addr ?: static_call(vc_vm_map_ram)(pages, nr, node);
}

static notrace void *hook_vm_map_ram(struct page **pages, unsigned int nr, int node)
{
	if (likely(!(READ_ONCE(wanted) & BIT(VC_TAKE_VM_MAP_RAM))))
		return static_call(vc_vm_map_ram)(pages, nr, node);
	return serve_vm_map_ram(pages, nr, node, _RET_IP_);
}

/* ---- vmalloc() and its like ---- */

DEFINE_STATIC_CALL_RET0(vc___vmalloc_node_range_noprof, __vmalloc_node_range_noprof);

static bool is_stack(unsigned long size, unsigned long align, unsigned long vm_flags)
{
#ifdef CONFIG_VMAP_STACK
	return size == THREAD_SIZE && align == THREAD_ALIGN && !vm_flags;
#else
	return false;
#endif
}

static void *take_vmalloc(unsigned long size, unsigned long align, gfp_t gfp,
				   unsigned long vm_flags, int node, unsigned long caller)
{
	enum vc_target target = is_stack(size, align, vm_flags) ? VC_TAKE_STACKS : VC_TAKE_VMALLOC;
	unsigned int how = VC_QUIET;
	void *addr;

	if (!(READ_ONCE(wanted) & BIT(target)))
		return NULL;
	if (gfp & (__GFP_DMA | __GFP_DMA32))
		return let_through(target, ZONE);
	if (vm_flags & ~(VM_ALLOW_HUGE_VMAP | VM_USERMAP) || gfp & ~VC_GFP_SUPPORTED)
		return let_through(target, FLAGS);
	/* Kernel threads live on: their stacks would keep the module for as long. */
	if (target == VC_TAKE_STACKS && current->flags & PF_KTHREAD)
		return let_through(target, KTHREAD);
	if (!may_take(target, caller))
		return NULL;
	if (vm_flags & VM_USERMAP)
		how |= VC_USER;
	if (vm_flags & VM_ALLOW_HUGE_VMAP)
		how |= VC_HUGE;
	vc_hook_begin(&inside);
	/* The in-tree allocator tries hard after us, and complains. */
	addr = vc_vmalloc(size, align, (gfp & ~__GFP_NOFAIL) | __GFP_NOWARN, how, node,
			  caller ^ VC_UNAWARE);
	/* fork() and remap_vmalloc_range() will ask for it, and must find it. */
	if (addr && (how & VC_USER || target == VC_TAKE_STACKS) &&
	    !vc_companion_vm_struct((unsigned long)addr)) {
		vc_rs_free((unsigned long)addr, !gfpflags_allow_blocking(gfp), caller);
		addr = NULL;
	}
	vc_hook_end(&inside);
	return answer(target, addr);
}

static noinline void *serve_vmalloc(unsigned long size, unsigned long align, unsigned long start,
				    unsigned long end, gfp_t gfp, pgprot_t prot,
				    unsigned long vm_flags, int node, const void *caller)
{
	void *addr;

	if (start == VMALLOC_START && end == VMALLOC_END &&
	    pgprot_val(prot) == pgprot_val(PAGE_KERNEL))
		addr = take_vmalloc(size, align, gfp, vm_flags, node, (unsigned long)caller);
	else
		addr = let_through(VC_TAKE_VMALLOC, RANGE);
	return addr ?: static_call(vc___vmalloc_node_range_noprof)(size, align, start, end, gfp,
								   prot, vm_flags, node, caller);
}

static notrace void *hook_vmalloc(unsigned long size, unsigned long align, unsigned long start,
				  unsigned long end, gfp_t gfp, pgprot_t prot,
				  unsigned long vm_flags, int node, const void *caller)
{
	if (likely(!(READ_ONCE(wanted) & (BIT(VC_TAKE_VMALLOC) | BIT(VC_TAKE_STACKS)))))
		return static_call(vc___vmalloc_node_range_noprof)(size, align, start, end, gfp,
								   prot, vm_flags, node, caller);
	return serve_vmalloc(size, align, start, end, gfp, prot, vm_flags, node, caller);
}

/* ---- on and off ---- */

VC_HOOK_ENTRY(hook_vmap);
VC_HOOK_ENTRY(hook_vm_map_ram);
VC_HOOK_ENTRY(hook_vmalloc);

static struct vc_hook hooks[] = {
	VC_HOOK(hook_vmap, vmap),
	VC_HOOK(hook_vm_map_ram, vm_map_ram),
	VC_HOOK(hook_vmalloc, __vmalloc_node_range_noprof),
};

#define HOOKS	ARRAY_SIZE(hooks)

static bool is_hooked;
/* Of the module, by itself: rule 3. */
static bool has_reference;
/* How often takeover was turned off; and after which time all hooks have ended that saw it on. */
static unsigned int turns, left_after;
/* Since then, the kernel log has named who still holds areas. */
static bool has_told;

static void give_reference_back(struct work_struct *work);
static DECLARE_DELAYED_WORK(settle_work, give_reference_back);

/*
 * Some time after takeover was turned off: gives the reference back if nobody holds an area that
 * takeover made, else looks again later.
 */
static void give_reference_back(struct work_struct *work)
{
	unsigned int turn = READ_ONCE(turns);

	/* All tasks that saw `wanted` count themselves by then, or are through. */
	if (left_after != turn)
		synchronize_rcu_tasks();
	guard(mutex)(&lock);
	if (is_on || !has_reference)
		return;
	if (turn != turns) {
		queue_delayed_work(system_dfl_wq, &settle_work, 0);
		return;
	}
	left_after = turn;
	if (!vc_hook_inside(&inside) && !vc_rs_held()) {
		has_reference = false;
		module_put(THIS_MODULE);
		return;
	}
	if (!has_told)
		vc_rs_tell_holders();
	has_told = true;
	queue_delayed_work(system_dfl_wq, &settle_work, HZ / 2);
}

static int put_hooks_on(void)
{
	const char *missing = vc_guard_missing(), *why;
	unsigned int i, on = 0;
	int err;

	if (is_hooked)
		return 0;
	if (missing) {
		pr_err("takeover needs all guards, and there is none on %s()\n", missing);
		return -EBUSY;
	}
	for (i = 0; i < ARRAY_SIZE(for_rust); i++) {
		for_rust[i].start = vc_symbol_address(for_rust[i].name);
		err = vc_function_size(for_rust[i].start, &for_rust[i].size);
		if (err)
			return err;
	}
	for (i = 0; i < HOOKS; i++) {
		why = vc_hook_put_on(&hooks[i]);
		if (why)
			pr_warn("no takeover of %s(): %s\n", hooks[i].name, why);
		else
			on++;
	}
	if (!on)
		return -EBUSY;
	is_hooked = true;
	return 0;
}

static int turn_on(void)
{
	int err = put_hooks_on();

	if (err)
		return err;
	if (!has_reference)
		__module_get(THIS_MODULE);
	has_reference = true;
	is_on = true;
	WRITE_ONCE(wanted, what);
	return 0;
}

static void turn_off(void)
{
	WRITE_ONCE(wanted, 0);
	if (!is_on)
		return;
	is_on = false;
	WRITE_ONCE(turns, turns + 1);
	has_told = false;
	mod_delayed_work(system_dfl_wq, &settle_work, 0);
}

static void take_hooks_off(void)
{
	turn_off();
	vc_hooks_take_off(hooks, HOOKS, &inside);
	is_hooked = false;
}

static void stop(void)
{
	cancel_delayed_work_sync(&settle_work);
	take_hooks_off();
}

static void set_wanted(void)
{
	if (is_on)
		WRITE_ONCE(wanted, what);
}

static u64 calls(enum vc_target target, enum fate fate)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(counts, cpu).calls[target][fate]);
	return sum;
}

const char *vc_takeover_hook(unsigned int index, const char **state)
{
	if (index >= HOOKS)
		return NULL;
	*state = hooks[index].state;
	return hooks[index].name;
}

#else

static const bool is_hooked;

static int turn_on(void)
{
	pr_err("no takeover: it needs " VC_HOOKS_NEED "\n");
	return -EOPNOTSUPP;
}

static void turn_off(void)
{
}

static void take_hooks_off(void)
{
}

static void stop(void)
{
}

static void set_wanted(void)
{
}

static u64 calls(enum vc_target target, enum fate fate)
{
	return 0;
}

const char *vc_takeover_hook(unsigned int index, const char **state)
{
	return NULL;
}

#endif

/**
 * vc_takeover_set() - turn takeover on or off
 * @mode: as it shall be
 *
 * Once the hooks are on, turning it on and off takes microseconds: other tasks that are in a hook
 * go on as they began.
 *
 * Context: Task context, sleeps if hooks go on or off. The caller keeps the module loaded.
 * Return: 0 or an error, after a line that says why.
 */
int vc_takeover_set(enum vc_takeover_mode mode)
{
	guard(mutex)(&lock);
	switch (mode) {
	case VC_TAKEOVER_ON:
		return turn_on();
	case VC_TAKEOVER_OFF:
		turn_off();
		return 0;
	case VC_TAKEOVER_UNHOOKED:
		take_hooks_off();
		return 0;
	}
	return -EINVAL;
}

/**
 * vc_takeover_get() - whether takeover is on
 *
 * Context: Task context, sleeps.
 */
enum vc_takeover_mode vc_takeover_get(void)
{
	guard(mutex)(&lock);
	if (is_on)
		return VC_TAKEOVER_ON;
	return is_hooked ? VC_TAKEOVER_OFF : VC_TAKEOVER_UNHOOKED;
}

/**
 * vc_takeover_set_what() - choose what is taken over
 * @mask: a bit for each of enum vc_target
 *
 * Context: Task context, sleeps.
 */
void vc_takeover_set_what(unsigned int mask)
{
	guard(mutex)(&lock);
	what = mask;
	set_wanted();
}

/**
 * vc_takeover_what() - what is taken over
 *
 * Context: Any.
 * Return: as vc_takeover_set_what() got it.
 */
unsigned int vc_takeover_what(void)
{
	return READ_ONCE(what);
}

/**
 * vc_takeover_target() - the name of a target
 * @index: of enum vc_target
 *
 * Context: Any.
 * Return: the name, or NULL behind the last.
 */
const char *vc_takeover_target(unsigned int index)
{
	return index < TARGETS ? targets[index] : NULL;
}

/**
 * vc_takeover_calls() - how many calls met a fate while takeover was on
 * @target: of enum vc_target
 * @index: the number of the fate; the first is "redirected"
 * @fate: set to its name
 * @sum: set to their number
 *
 * Context: Any.
 * Return: false behind the last fate.
 */
bool vc_takeover_calls(unsigned int target, unsigned int index, const char **fate, u64 *sum)
{
	if (target >= TARGETS || index >= FATES)
		return false;
	*fate = fates[index];
	*sum = calls(target, index);
	return true;
}

DEFINE_STATIC_CALL_RET0(vc_free_vm_stack_cache, vc_proto_free_vm_stack_cache);

/*
 * In a hard interrupt: no task of this CPU and no softirq is at its cache meanwhile, and vfree()
 * knows that it must not sleep.
 */
static void free_stacks_here(struct irq_work *work)
{
	static_call(vc_free_vm_stack_cache)(smp_processor_id());
}

static DEFINE_PER_CPU(struct irq_work, free_stacks_work) = IRQ_WORK_INIT_HARD(free_stacks_here);

/* The CPU that asks is in no interrupt here. */
static void queue_work_here(void *unused)
{
	irq_work_queue(this_cpu_ptr(&free_stacks_work));
}

/**
 * vc_takeover_drain() - make the kernel give back the thread stacks that it keeps for later
 *
 * Frees that it leaves to work items need not be done yet.
 *
 * Context: Task context, sleeps.
 */
void vc_takeover_drain(void)
{
	unsigned long function = vc_symbol_address("free_vm_stack_cache");
	int cpu;

	/* What RCU has goes to the caches first. */
	vc_guards_settle();
	if (!function)
		return;
	guard(mutex)(&lock);
	static_call_update(vc_free_vm_stack_cache, (void *)function);
	guard(cpus_read_lock)();
	on_each_cpu(queue_work_here, NULL, true);
	for_each_online_cpu(cpu)
		irq_work_sync(&per_cpu(free_stacks_work, cpu));
}

/**
 * vc_takeover_stop() - take the hooks off, and wait until nobody is in one
 *
 * Context: Task context, sleeps. The module goes: takeover is off.
 */
void vc_takeover_stop(void)
{
	stop();
	vc_filter_install(NULL);
}
