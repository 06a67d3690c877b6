// SPDX-License-Identifier: GPL-2.0
/*
 * Names of code addresses, and of callers.
 *
 * An area that was never freed outlives the module that allocated it, and then a user
 * needs its caller's name most. Soon another module may be loaded at the same address. So
 * when code goes (a whole module, or its __init part), vmapcache keeps the names of the
 * callers in it that have areas, by their numbers, and nobody asks for the name of such an
 * address again.
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

/* The name of a caller whose code is gone. */
struct gone {
	struct list_head list;
	unsigned int id;
	char name[];
};

/* At most one for each number, and for good: read under RCU, added to under the mutex. */
static LIST_HEAD(names);
static DEFINE_MUTEX(names_lock);

/**
 * vc_symbol_name() - name the place at a code address, whose code is there
 * @addr: the address
 * @name: gets "function+0x12/0x34 [module]"; must have room for VC_SYMBOL_NAME bytes
 *
 * Context: Any.
 * Return: the length of the name; 0 if there is no symbol. Then @name does not show the
 * address either.
 */
size_t vc_symbol_name(unsigned long addr, char *name)
{
	int len = addr ? sprint_symbol(name, addr) : 0;

	BUILD_BUG_ON(KSYM_SYMBOL_LEN > VC_SYMBOL_NAME);
	if (len > 0 && strncmp(name, "0x", 2))
		return len;
	name[0] = '\0';
	return 0;
}

/**
 * vc_function_size() - bytes of a function
 * @start: its first address, or 0
 * @size: set to its size, to 0 if no function begins there
 *
 * Context: Task context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int vc_function_size(unsigned long start, unsigned long *size)
{
	char *name = kmalloc(VC_SYMBOL_NAME, GFP_KERNEL), *place;
	unsigned long offset;

	*size = 0;
	if (!name)
		return -ENOMEM;
	if (vc_symbol_name(start, name)) {
		place = strrchr(name, '+');
		if (!place || sscanf(place, "+%lx/%lx", &offset, size) != 2 || offset)
			*size = 0;
	}
	kfree(name);
	return 0;
}

/**
 * vc_caller_name() - name a caller, whether its code is still there or not
 * @id: its number
 * @name: as for vc_symbol_name()
 *
 * Context: Any.
 * Return: as vc_symbol_name(); 0 also if the code is gone and there was no memory to keep
 * the name.
 */
size_t vc_caller_name(unsigned int id, char *name)
{
	/* First: if it is gone by now, its name is kept by now. */
	size_t len = vc_symbol_name(vc_rs_caller(id), name);
	const struct gone *gone;

	guard(rcu)();
	list_for_each_entry_rcu(gone, &names, list)
		if (gone->id == id)
			return strscpy(name, gone->name, VC_SYMBOL_NAME);
	return len;
}

/**
 * vc_is_going() - whether the code at an address goes
 * @module: the module that has changed its state
 * @addr: the address
 *
 * Context: Any.
 */
bool vc_is_going(const void *module, unsigned long addr)
{
	const struct module *mod = module;

	return mod->state == MODULE_STATE_GOING ? within_module(addr, mod) :
						  within_module_init(addr, mod);
}

/**
 * vc_keep_name() - keep the name of a caller whose code goes
 * @id: its number
 * @addr: its address
 *
 * Without memory only the name is lost.
 *
 * Context: Task context, sleeps.
 */
void vc_keep_name(unsigned int id, unsigned long addr)
{
	char *name = kmalloc(VC_SYMBOL_NAME, GFP_KERNEL);
	struct gone *gone = NULL;
	size_t len;

	if (!name)
		return;
	len = vc_symbol_name(addr, name);
	if (len)
		gone = kmalloc(struct_size(gone, name, len + 1), GFP_KERNEL);
	if (gone) {
		gone->id = id;
		memcpy(gone->name, name, len + 1);
		guard(mutex)(&names_lock);
		list_add_rcu(&gone->list, &names);
	}
	kfree(name);
}

static int module_changes(struct notifier_block *nb, unsigned long state, void *data)
{
	/* After its __init code has run, that goes; at the end, all of it. */
	if (state != MODULE_STATE_LIVE && state != MODULE_STATE_GOING)
		return NOTIFY_DONE;
	if (state == MODULE_STATE_GOING)
		vc_filter_forget(data);
	vc_rs_retire_callers(data);
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
