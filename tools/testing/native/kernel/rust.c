// SPDX-License-Identifier: GPL-2.0
/*
 * What vmapcache.o calls: the kernel's helpers for Rust, and all that a module registers with when
 * it is loaded.
 */
#include <linux/cpuhotplug.h>
#include <linux/debugfs.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/proc_fs.h>
#include <linux/shrinker.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <asm/tlbflush.h>

#include "native.h"
#include "rest.h"
#include "sys/kernel/sys.h"

#define __rust_helper
#include <rust/helpers/spinlock.c>
#include <rust/helpers/atomic.c>
#include <rust/helpers/mutex.c>
#include <rust/helpers/refcount.c>
#include <rust/helpers/slab.c>

#define NAMES	8192

static struct {
	const void *lock;
	const char *name;
} names[NAMES];
static unsigned int number_of_names;

/* In the place of the module's, which forgets the name: that tells the locks apart. */
void vc_lock_init(void *lock, const char *name, void *key)
{
	unsigned int i = __atomic_fetch_add(&number_of_names, 1, __ATOMIC_RELAXED);

	raw_spin_lock_init((raw_spinlock_t *)lock);
	if (i < NAMES) {
		names[i].lock = lock;
		names[i].name = name;
	}
}

const char *kernel_lock_name(const void *lock)
{
	unsigned int i;

	for (i = 0; i < min(number_of_names, NAMES); i++)
		if (names[i].lock == lock)
			return names[i].name;
	return NULL;
}

/* ---- TLB flushes: counted, and free of charge ---- */

unsigned long kernel_flushes;

void flush_tlb_kernel_range(unsigned long start, unsigned long end)
{
	__atomic_fetch_add(&kernel_flushes, 1, __ATOMIC_RELAXED);
}

/* ---- symbols ---- */

unsigned long kallsyms_lookup_name(const char *name)
{
	return (unsigned long)host_symbol(name);
}

int register_kprobe(struct kprobe *probe)
{
	probe->addr = host_symbol(probe->symbol_name);
	return 0;
}

void unregister_kprobe(struct kprobe *probe)
{
}

void __static_call_update(struct static_call_key *key, void *tramp, void *func)
{
	host_static_call(key, tramp, func);
}

long __static_call_return0(void)
{
	return 0;
}

/* ---- parameters of the module ---- */

int __sysfs_match_string(const char * const *array, size_t number, const char *text)
{
	size_t i;

	for (i = 0; i < number && array[i]; i++)
		if (!strcmp(array[i], text))
			return i;
	return -EINVAL;
}

void kernel_set_parameter(const char *name, const char *value)
{
	const struct kernel_param *param;

	for (param = __start___param; param < __stop___param; param++)
		if (!strcmp(param->name, name) && !param->ops->set(value, param))
			return;
	host_fatal("vmapcache has no such parameter");
}

/* ---- registrations, none of which ever calls back ---- */

struct workqueue_struct *alloc_workqueue_noprof(const char *name, unsigned int flags, int active, ...)
{
	return (void *)1;
}

int __cpuhp_setup_state(enum cpuhp_state state, const char *name, bool invoke,
			int (*startup)(unsigned int cpu), int (*teardown)(unsigned int cpu),
			bool multi)
{
	return 0;
}

struct shrinker *shrinker_alloc(unsigned int flags, const char *name, ...)
{
	return host_memory(sizeof(struct shrinker), 64);
}

void shrinker_register(struct shrinker *shrinker)
{
}

int register_module_notifier(struct notifier_block *block)
{
	return 0;
}

int blocking_notifier_chain_register(struct blocking_notifier_head *head,
				     struct notifier_block *block)
{
	return 0;
}

int blocking_notifier_call_chain(struct blocking_notifier_head *head, unsigned long action,
				 void *argument)
{
	return 0;
}

struct dentry *debugfs_create_dir(const char *name, struct dentry *parent)
{
	return ERR_PTR(-ENODEV);
}

struct dentry *debugfs_create_file_full(const char *name, umode_t mode, struct dentry *parent,
					void *data, const void *aux,
					const struct file_operations *operations)
{
	return ERR_PTR(-ENODEV);
}

struct proc_dir_entry *proc_create_data(const char *name, umode_t mode,
					struct proc_dir_entry *parent,
					const struct proc_ops *operations, void *data)
{
	return (void *)1;
}

/* `kernel::error::to_result`, whose result is 0 or the error in a register. */
int native_to_result(int error)
{
	return error < 0 ? error : 0;
}
