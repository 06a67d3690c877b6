// SPDX-License-Identifier: GPL-2.0
/*
 * Guards: in-tree functions that meet an address of the arena do what they say.
 *
 * To mm/vmalloc.c the arena is one area. Its vfree() of an address of ours would unmap all of
 * it. So each function of the table below has a hook (hooks.c) here, which serves an address
 * of the arena, and passes any other on to the in-tree function.
 *
 * Documentation/guards.rst says what each guard does and costs.
 *
 * Rules:
 *
 *  1. A guard that is on stays on until no area is left.
 *  2. A function here that can sleep or return to its caller after it has served an
 *     address counts itself (begin, end); one that passes an address on ends in a jump. So
 *     nobody is in this file any more when vc_guards_stop() returns.
 *  3. A guard calls no function that has a guard, except by the static call behind its nop; but see
 *     guard__vm_unmap_aliases().
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <linux/uio.h>
#include <linux/vmalloc.h>

#include <vmapcache.h>

#include "companion.h"
#include "context.h"
#include "exports.h"
#include "face.h"
#include "hooks.h"
#include "pages.h"
#include "symbols.h"

/* ---- the parameter ---- */

enum policy { AUTO, REQUIRE, OFF };

static const char * const policies[] = { [AUTO] = "auto", [REQUIRE] = "require", [OFF] = "off" };
static unsigned int policy = AUTO;

static int policy_set(const char *value, const struct kernel_param *kp)
{
	int found = sysfs_match_string(policies, value);

	if (found < 0) {
		pr_err("guards=%s is none of auto, require, off\n", value);
		return -EINVAL;
	}
	policy = found;
	return 0;
}

static int policy_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", policies[policy]);
}

static const struct kernel_param_ops policy_ops = { .set = policy_set, .get = policy_get };
module_param_cb(guards, &policy_ops, NULL, 0444);
MODULE_PARM_DESC(guards, "Serve in-tree functions that meet an address of the arena: auto, require (or do not load), off");

#ifdef VC_HOOKS

/* ---- who is inside ---- */

static unsigned long arena_start __ro_after_init;
static unsigned long arena_size __ro_after_init;
static DEFINE_PER_CPU(long, inside);

static __always_inline bool is_ours(const void *addr)
{
	return (unsigned long)addr - arena_start < arena_size;
}

static void begin(void)
{
	vc_hook_begin(&inside);
}

static void end(void)
{
	vc_hook_end(&inside);
}

/* ---- frees ---- */

DEFINE_STATIC_CALL_NULL(vc_vfree, vfree);
DEFINE_STATIC_CALL_NULL(vc_vfree_atomic, vfree_atomic);
DEFINE_STATIC_CALL_NULL(vc_vunmap, vunmap);
DEFINE_STATIC_CALL_NULL(vc_vm_unmap_ram, vm_unmap_ram);
DEFINE_STATIC_CALL_RET0(vc_remove_vm_area, remove_vm_area);

static noinline void free_ours(const void *addr, bool atomic, unsigned long caller)
{
	begin();
	/* In-tree, this is a BUG. */
	if (!VC_REFUSE_NMI("vfree", caller))
		vc_rs_free((unsigned long)addr, atomic, caller);
	end();
}

/* Whether a free must be left to a work item: vfree() itself looks at interrupts alone. */
static bool must_defer(void)
{
	return preempt_count() || irqs_disabled();
}

static notrace void guard_vfree(const void *addr)
{
	if (likely(!is_ours(addr)))
		static_call(vc_vfree)(addr);
	else
		free_ours(addr, must_defer(), _RET_IP_);
}

static notrace void guard_vfree_atomic(const void *addr)
{
	if (likely(!is_ours(addr)))
		static_call(vc_vfree_atomic)(addr);
	else
		free_ours(addr, true, _RET_IP_);
}

static noinline void unmap_ours(const void *addr, bool atomic, unsigned long caller)
{
	begin();
	if (!VC_REFUSE_INTERRUPT("vunmap", caller))
		vc_rs_vunmap((unsigned long)addr, atomic, caller);
	end();
}

static notrace void guard_vunmap(const void *addr)
{
	if (likely(!is_ours(addr)))
		static_call(vc_vunmap)(addr);
	else
		unmap_ours(addr, must_defer(), _RET_IP_);
}

static noinline void unmap_ram_of_ours(const void *addr, unsigned int count, unsigned long caller)
{
	begin();
	if (!VC_REFUSE_INTERRUPT("vm_unmap_ram", caller)) {
		might_sleep();
		vc_rs_vm_unmap_ram((unsigned long)addr, count, caller);
	}
	end();
}

static notrace void guard_vm_unmap_ram(const void *addr, unsigned int count)
{
	if (likely(!is_ours(addr)))
		static_call(vc_vm_unmap_ram)(addr, count);
	else
		unmap_ram_of_ours(addr, count, _RET_IP_);
}

static noinline struct vm_struct *keep_ours(const void *addr, unsigned long caller)
{
	pr_warn_ratelimited("remove_vm_area() of %p by %pS: only vfree() and its like take an area of vmapcache\n",
			    addr, (void *)caller);
	return NULL;
}

static notrace struct vm_struct *guard_remove_vm_area(const void *addr)
{
	if (likely(!is_ours(addr)))
		return static_call(vc_remove_vm_area)(addr);
	return keep_ours(addr, _RET_IP_);
}

/* ---- flushes ---- */

DEFINE_STATIC_CALL_NULL(vc_vm_unmap_aliases, vm_unmap_aliases);

static notrace void guard_vm_unmap_aliases(void)
{
	begin();
	static_call(vc_vm_unmap_aliases)();
	vc_rs_unmap_aliases();
	end();
}

/*
 * With ThinLTO, callers in the kernel itself have the body of vm_unmap_aliases(), which is a call of this function of
 * mm/vmalloc.c, too large to be inlined as well. So for callers in modules there are two guards on the way, and the second
 * one finds that nothing was freed since; and vm_reset_perms() has one that it does not have without LTO.
 */
#ifdef CONFIG_LTO_CLANG
void _vm_unmap_aliases(unsigned long start, unsigned long end, int flush);
DEFINE_STATIC_CALL_NULL(vc__vm_unmap_aliases, _vm_unmap_aliases);

static notrace void guard__vm_unmap_aliases(unsigned long first, unsigned long last, int flush)
{
	begin();
	static_call(vc__vm_unmap_aliases)(first, last, flush);
	vc_rs_unmap_aliases();
	end();
}
#endif

/* ---- what areas are ---- */

DEFINE_STATIC_CALL_RET0(vc_find_vm_area, find_vm_area);
DEFINE_STATIC_CALL_RET0(vc_find_vmap_area, find_vmap_area);

static noinline struct vm_struct *vm_struct_of_ours(const void *addr)
{
	struct vm_struct *vm;

	begin();
	vm = vc_companion_vm_struct((unsigned long)addr);
	end();
	return vm;
}

static notrace struct vm_struct *guard_find_vm_area(const void *addr)
{
	if (likely(!is_ours(addr)))
		return static_call(vc_find_vm_area)(addr);
	return vm_struct_of_ours(addr);
}

static noinline struct vmap_area *vmap_area_of_ours(unsigned long addr)
{
	struct vmap_area *va;

	begin();
	va = vc_companion_vmap_area(addr);
	end();
	return va;
}

static notrace struct vmap_area *guard_find_vmap_area(unsigned long addr)
{
	if (likely(!is_ours((void *)addr)))
		return static_call(vc_find_vmap_area)(addr);
	return vmap_area_of_ours(addr);
}

/* ---- memory for user space ---- */

DEFINE_STATIC_CALL_RET0(vc_remap_vmalloc_range_partial, remap_vmalloc_range_partial);

static int map_area_to_user(struct vm_area_struct *vma, unsigned long uaddr, void *kaddr,
			    unsigned long pgoff, unsigned long size)
{
	struct vm_struct *vm = vc_companion_vm_struct((unsigned long)kaddr);
	unsigned long off, end;

	if (check_shl_overflow(pgoff, PAGE_SHIFT, &off))
		return -EINVAL;
	size = PAGE_ALIGN(size);
	if (!size || !PAGE_ALIGNED(uaddr) || !PAGE_ALIGNED(kaddr))
		return -EINVAL;
	if (!vm || !(vm->flags & (VM_USERMAP | VM_DMA_COHERENT)))
		return -EINVAL;
	if (check_add_overflow(size, off, &end) || end > get_vm_area_size(vm))
		return -EINVAL;
	return vc_map_to_user(vma, uaddr, kaddr + off, size);
}

static noinline int remap_ours(struct vm_area_struct *vma, unsigned long uaddr, void *kaddr,
			       unsigned long pgoff, unsigned long size, unsigned long caller)
{
	int err = -EINVAL;

	begin();
	if (!VC_REFUSE_INTERRUPT("remap_vmalloc_range_partial", caller))
		err = map_area_to_user(vma, uaddr, kaddr, pgoff, size);
	end();
	return err;
}

static notrace int guard_remap_vmalloc_range_partial(struct vm_area_struct *vma,
						     unsigned long uaddr, void *kaddr,
						     unsigned long pgoff, unsigned long size)
{
	if (likely(!is_ours(kaddr)))
		return static_call(vc_remap_vmalloc_range_partial)(vma, uaddr, kaddr, pgoff, size);
	return remap_ours(vma, uaddr, kaddr, pgoff, size, _RET_IP_);
}

/* ---- /proc/kcore ---- */

DEFINE_STATIC_CALL_RET0(vc_vread_iter, vread_iter);

/* Bytes of one page to @iter: its contents if an area is there, else zeros. */
static size_t read_page(struct iov_iter *iter, unsigned long addr, size_t count)
{
	u64 pin = vc_rs_pin(addr);
	struct page *page = pin ? vmalloc_to_page((void *)addr) : NULL;
	size_t copied;

	/* Whoever has address space alone may have mapped anything there. */
	if (page && pfn_valid(page_to_pfn(page)))
		copied = copy_page_to_iter_nofault(page, offset_in_page(addr), count, iter);
	else
		copied = copy_page_to_iter_nofault(ZERO_PAGE(0), 0, count, iter);
	if (pin)
		vc_rs_unpin(pin, !vc_may_sleep(), _RET_IP_);
	return copied;
}

static size_t read_ours(struct iov_iter *iter, unsigned long addr, size_t count)
{
	size_t done = 0, step, copied;

	while (done < count) {
		step = min(count - done, PAGE_SIZE - offset_in_page(addr + done));
		copied = read_page(iter, addr + done, step);
		done += copied;
		if (copied != step)
			break;
	}
	return done;
}

/* A range that is partly in the arena: its parts, until one comes up short. */
static noinline long read_parts(struct iov_iter *iter, const char *addr, size_t count)
{
	unsigned long start = (unsigned long)addr, arena_end = arena_start + arena_size;
	unsigned long stop = start + count, at = start, to;
	size_t copied;

	begin();
	while (at < stop) {
		if (is_ours((void *)at)) {
			to = min(stop, arena_end);
			copied = read_ours(iter, at, to - at);
		} else {
			to = at < arena_start ? min(stop, arena_start) : stop;
			copied = static_call(vc_vread_iter)(iter, (char *)at, to - at);
		}
		at += copied;
		if (at != to)
			break;
	}
	end();
	return at - start;
}

static notrace long guard_vread_iter(struct iov_iter *iter, const char *addr, size_t count)
{
	unsigned long start = (unsigned long)addr;

	if (start + count <= arena_start || start >= arena_start + arena_size ||
	    start + count < start)
		return static_call(vc_vread_iter)(iter, addr, count);
	return read_parts(iter, addr, count);
}

/* ---- resizing ---- */

DEFINE_STATIC_CALL_RET0(vc_vrealloc_node_align_noprof, vrealloc_node_align_noprof);

static noinline void *vrealloc_ours(const void *addr, size_t size, unsigned long align,
				    gfp_t gfp, int node, unsigned long caller)
{
	void *new;

	begin();
	new = vc_vrealloc(addr, size, align, gfp, node, caller);
	end();
	return new;
}

static notrace void *guard_vrealloc_node_align_noprof(const void *addr, size_t size,
						      unsigned long align, gfp_t gfp, int node)
{
	if (likely(!is_ours(addr)))
		return static_call(vc_vrealloc_node_align_noprof)(addr, size, align, gfp, node);
	return vrealloc_ours(addr, size, align, gfp, node, _RET_IP_);
}

/* ---- on and off ---- */

#define GUARD_ON(function)	VC_HOOK(guard_##function, function)

VC_HOOK_ENTRY(guard_vfree);
VC_HOOK_ENTRY(guard_vfree_atomic);
VC_HOOK_ENTRY(guard_vunmap);
VC_HOOK_ENTRY(guard_vm_unmap_ram);
VC_HOOK_ENTRY(guard_remove_vm_area);
VC_HOOK_ENTRY(guard_vm_unmap_aliases);
#ifdef CONFIG_LTO_CLANG
VC_HOOK_ENTRY(guard__vm_unmap_aliases);
#endif
VC_HOOK_ENTRY(guard_find_vm_area);
VC_HOOK_ENTRY(guard_find_vmap_area);
VC_HOOK_ENTRY(guard_vrealloc_node_align_noprof);
VC_HOOK_ENTRY(guard_remap_vmalloc_range_partial);
VC_HOOK_ENTRY(guard_vread_iter);

static struct vc_hook guards[] = {
	GUARD_ON(vfree),
	GUARD_ON(vfree_atomic),
	GUARD_ON(vunmap),
	GUARD_ON(vm_unmap_ram),
	GUARD_ON(remove_vm_area),
	GUARD_ON(vm_unmap_aliases),
	GUARD_ON(find_vm_area),
	GUARD_ON(find_vmap_area),
	GUARD_ON(vrealloc_node_align_noprof),
	GUARD_ON(remap_vmalloc_range_partial),
	GUARD_ON(vread_iter),
#ifdef CONFIG_LTO_CLANG
	GUARD_ON(_vm_unmap_aliases),
#endif
};

#define GUARDS	ARRAY_SIZE(guards)

static void take_off(void)
{
	vc_hooks_take_off(guards, GUARDS, &inside);
	vc_companions_stop();
}

static int put_all_on(void)
{
	unsigned long find = vc_symbol_address("find_vmap_area");
	const char *why;
	unsigned int i;
	int err;

	/* Before any guard is on: this asks the in-tree allocator about the arena. */
	if (find)
		static_call_update(vc_find_vmap_area, (void *)find);
	err = vc_companions_start(arena_size / PAGE_SIZE,
				  static_call(vc_find_vmap_area)(arena_start));
	if (err)
		return err;
	for (i = 0; i < GUARDS; i++) {
		why = vc_hook_put_on(&guards[i]);
		if (!why)
			continue;
		pr_warn("no guard on %s(): %s\n", guards[i].name, why);
		if (policy == REQUIRE) {
			take_off();
			return -EBUSY;
		}
	}
	return 0;
}

/**
 * vc_guard() - the index-th guard
 * @index: from 0
 * @state: set to what became of it
 *
 * Context: Any.
 * Return: the name of the function, or NULL behind the last.
 */
const char *vc_guard(unsigned int index, const char **state)
{
	if (index >= GUARDS)
		return NULL;
	*state = guards[index].state;
	return guards[index].name;
}

#else

static unsigned long arena_start, arena_size;

static int put_all_on(void)
{
	pr_warn("no guards: they need " VC_HOOKS_NEED "\n");
	return policy == REQUIRE ? -EOPNOTSUPP : 0;
}

static void take_off(void)
{
}

const char *vc_guard(unsigned int index, const char **state)
{
	if (index)
		return NULL;
	*state = "none";
	return "all";
}

#endif

/**
 * vc_guards_start() - put the guards on, as far as the parameter and the kernel allow
 * @start: the arena's first address
 * @size: its bytes
 *
 * Context: Task context, may sleep. The allocator must be published.
 * Return: 0, or with guards=require an error, after a line that names what is missing;
 *	then no guard is on.
 */
int vc_guards_start(unsigned long start, unsigned long size)
{
	if (policy == OFF)
		return 0;
	arena_start = start;
	arena_size = size;
	return put_all_on();
}

/**
 * vc_guards_stop() - take the guards off, and wait until nobody is in one
 *
 * Context: Task context, sleeps. No area is left.
 */
void vc_guards_stop(void)
{
	take_off();
}

/**
 * vc_guard_missing() - the first function whose guard is not on
 *
 * Context: Any.
 * Return: its name, or NULL if all guards are on.
 */
const char *vc_guard_missing(void)
{
	const char *name, *state;
	unsigned int i;

	for (i = 0; (name = vc_guard(i, &state)); i++)
		if (strcmp(state, "on"))
			return name;
	return NULL;
}

/**
 * vc_guards_settle() - wait for frees that callers have left to RCU
 *
 * Context: Task context, sleeps.
 */
void vc_guards_settle(void)
{
	rcu_barrier();
	static_call_cond(vc_kvfree_rcu_barrier)();
}
