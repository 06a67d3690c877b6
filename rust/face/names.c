// SPDX-License-Identifier: GPL-2.0
/*
 * Names of code addresses.
 *
 * An area that was never freed outlives the module that allocated it, and then a user
 * needs its caller's name most. So when a module goes, vmapcache keeps the names of all
 * callers in it.
 */
#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "exports.h"
#include "face.h"

/* The name of a caller whose module is gone. */
struct gone {
	struct list_head list;
	struct rcu_head rcu;
	unsigned long addr;
	char name[];
};

/* At most one for each caller: read under RCU, changed under the mutex. */
static LIST_HEAD(names);
static DEFINE_MUTEX(names_lock);

static const struct gone *find_gone(unsigned long addr)
{
	const struct gone *gone;

	list_for_each_entry_rcu(gone, &names, list, lockdep_is_held(&names_lock))
		if (gone->addr == addr)
			return gone;
	return NULL;
}

static int symbol(unsigned long addr, char *name)
{
	int len = sprint_symbol(name, addr);

	return len > 0 && strncmp(name, "0x", 2) ? len : 0;
}

/**
 * vc_symbol_name() - name the place at a code address
 * @addr: the address
 * @name: gets "function+0x12/0x34 [module]"; must have room for VC_SYMBOL_NAME bytes
 *
 * Context: Any.
 * Return: the length of the name; 0 if there is no symbol. Then @name does not show the
 * address either.
 */
size_t vc_symbol_name(unsigned long addr, char *name)
{
	int len = symbol(addr, name);
	const struct gone *gone;

	BUILD_BUG_ON(KSYM_SYMBOL_LEN > VC_SYMBOL_NAME);
	if (len)
		return len;
	name[0] = '\0';
	guard(rcu)();
	gone = find_gone(addr);
	return gone ? strscpy(name, gone->name, VC_SYMBOL_NAME) : 0;
}

/* Without memory only the name is lost. */
static void keep_name(unsigned long addr, char *name)
{
	int len = symbol(addr, name);
	struct gone *gone, *old;

	if (!len)
		return;
	gone = kmalloc(struct_size(gone, name, len + 1), GFP_KERNEL);
	if (!gone)
		return;
	gone->addr = addr;
	memcpy(gone->name, name, len + 1);
	guard(mutex)(&names_lock);
	old = (struct gone *)find_gone(addr);
	if (old) {
		list_replace_rcu(&old->list, &gone->list);
		kfree_rcu(old, rcu);
	} else {
		list_add_rcu(&gone->list, &names);
	}
}

static int module_changes(struct notifier_block *nb, unsigned long state, void *data)
{
	const struct module *module = data;
	unsigned long addr;
	unsigned int id;
	char *name;

	if (state != MODULE_STATE_GOING)
		return NOTIFY_DONE;
	name = kmalloc(VC_SYMBOL_NAME, GFP_KERNEL);
	if (!name)
		return NOTIFY_DONE;
	for (id = 0; (addr = vc_rs_caller(id)) != ULONG_MAX; id++)
		if (addr && within_module(addr, module))
			keep_name(addr, name);
	kfree(name);
	return NOTIFY_OK;
}
static struct notifier_block notifier = { .notifier_call = module_changes };

/**
 * vc_names_start() - keep the names of callers in modules that go from now on
 *
 * Context: Task context, may sleep. The callbacks must be ready.
 * Return: 0 or an error.
 */
int vc_names_start(void)
{
	return register_module_notifier(&notifier);
}

/**
 * vc_names_stop() - undo vc_names_start(); nobody asks for names any more
 *
 * Context: Task context, sleeps.
 */
void vc_names_stop(void)
{
	struct gone *gone, *next;

	unregister_module_notifier(&notifier);
	list_for_each_entry_safe(gone, next, &names, list)
		kfree(gone);
	INIT_LIST_HEAD(&names);
}
