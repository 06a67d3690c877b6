// SPDX-License-Identifier: GPL-2.0
/*
 * The filter of takeover: whose calls it takes, by module and by function.
 *
 * A filter is a list of rules, and is replaced as a whole. Hooks read it under RCU.
 */
#include <linux/cleanup.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/static_call.h>
#include <linux/string.h>

#include "face.h"
#include "pages.h"
#include "symbols.h"

DEFINE_STATIC_CALL_RET0(vc___module_address, __module_address);
DEFINE_STATIC_CALL_RET0(vc_kernel_text_address, kernel_text_address);

struct rule {
	bool exclude;
	/* A module by its name, or else a function by its code. */
	bool module;
	unsigned long start;
	unsigned long size;
	char name[VC_RULE_NAME];
};

/* "include" says that some rule does; then all other callers are excluded. */
struct vc_filter {
	struct rcu_head rcu;
	bool include;
	unsigned int room;
	unsigned int nr;
	struct rule rules[] __counted_by(room);
};

static struct vc_filter __rcu *filter;
static DEFINE_MUTEX(filter_lock);

static bool matches(const struct rule *rule, unsigned long caller, const struct module *module)
{
	if (rule->module)
		return module && !strcmp(module->name, rule->name);
	return caller - rule->start < READ_ONCE(rule->size);
}

static noinline bool lets_pass(unsigned long caller)
{
	const struct vc_filter *now;
	const struct module *module;
	bool included;
	unsigned int i;

	/* For the module as well: it must not go meanwhile. */
	guard(preempt)();
	guard(rcu)();
	now = rcu_dereference(filter);
	if (!now)
		return true;
	module = static_call(vc___module_address)(caller);
	included = !now->include;
	for (i = 0; i < now->nr; i++) {
		if (!matches(&now->rules[i], caller, module))
			continue;
		if (now->rules[i].exclude)
			return false;
		included = true;
	}
	return included;
}

/**
 * vc_filter_passes() - whether takeover may take a call
 * @caller: the code address of the caller
 *
 * Context: Any but NMI.
 */
bool vc_filter_passes(unsigned long caller)
{
	return likely(!rcu_access_pointer(filter)) || lets_pass(caller);
}

/**
 * vc_filter_new() - begin a filter
 * @room: how many rules it will have
 *
 * Context: Task context, sleeps.
 * Return: the filter, for vc_filter_install() or vc_filter_free(), or NULL.
 */
struct vc_filter *vc_filter_new(unsigned int room)
{
	struct vc_filter *new = kzalloc(struct_size(new, rules, room), GFP_KERNEL);
	unsigned long module_address = vc_symbol_address("__module_address");
	unsigned long text_address = vc_symbol_address("kernel_text_address");

	if (!new)
		return NULL;
	new->room = room;
	guard(mutex)(&filter_lock);
	if (module_address)
		static_call_update(vc___module_address, (void *)module_address);
	if (text_address)
		static_call_update(vc_kernel_text_address, (void *)text_address);
	return new;
}

/**
 * vc_filter_add() - add a rule
 * @to: the filter, which nobody else sees yet
 * @name: of a function or a module
 * @module: it is that of a module
 * @exclude: takeover leaves these callers alone
 *
 * A module need not be loaded. A function must be there.
 *
 * Context: Task context, sleeps.
 * Return: 0; -EINVAL if there is no room, or the name is too long; -ENOENT if there is no such
 *	function; -ENOMEM.
 */
int vc_filter_add(struct vc_filter *to, const char *name, bool module, bool exclude)
{
	struct rule rule = { .module = module, .exclude = exclude };
	int err;

	if (to->nr >= to->room || strscpy(rule.name, name, sizeof(rule.name)) < 0)
		return -EINVAL;
	if (module) {
		strreplace(rule.name, '-', '_');
	} else {
		rule.start = vc_symbol_address(name);
		err = vc_function_size(rule.start, &rule.size);
		if (err)
			return err;
		/* Data have names as well. */
		if (!rule.size || !static_call(vc_kernel_text_address)(rule.start))
			return -ENOENT;
	}
	to->include |= !exclude;
	to->rules[to->nr++] = rule;
	return 0;
}

/**
 * vc_filter_install() - let a filter take effect
 * @new: the filter; NULL lets all callers pass
 *
 * Context: Task context, sleeps.
 */
void vc_filter_install(struct vc_filter *new)
{
	struct vc_filter *old;

	scoped_guard(mutex, &filter_lock)
		old = rcu_replace_pointer(filter, new, lockdep_is_held(&filter_lock));
	kfree_rcu(old, rcu);
}

/**
 * vc_filter_free() - give up a filter that was never installed
 * @unused: the filter, or NULL
 *
 * Context: Any.
 */
void vc_filter_free(struct vc_filter *unused)
{
	kfree(unused);
}

/**
 * vc_filter_rule() - show a rule of the filter that is in effect
 * @index: from 0
 * @name: gets the name; has room for VC_RULE_NAME bytes
 * @module: set to whether that is the name of a module
 * @exclude: set to whether the rule excludes
 *
 * Context: Task context, sleeps.
 * Return: the length of the name, or 0 behind the last rule.
 */
size_t vc_filter_rule(unsigned int index, char *name, bool *module, bool *exclude)
{
	const struct vc_filter *now;

	guard(mutex)(&filter_lock);
	now = rcu_dereference_protected(filter, lockdep_is_held(&filter_lock));
	if (!now || index >= now->nr)
		return 0;
	*module = now->rules[index].module;
	*exclude = now->rules[index].exclude;
	return strscpy(name, now->rules[index].name, VC_RULE_NAME);
}

/**
 * vc_filter_forget() - a module goes: other code may come to the addresses of its functions
 * @going: the module
 *
 * A rule for such a function stays in the list and matches nobody.
 *
 * Context: Task context, sleeps.
 */
void vc_filter_forget(const void *going)
{
	struct vc_filter *now;
	unsigned int i;

	guard(mutex)(&filter_lock);
	now = rcu_dereference_protected(filter, lockdep_is_held(&filter_lock));
	for (i = 0; now && i < now->nr; i++)
		if (now->rules[i].size && within_module(now->rules[i].start, going))
			WRITE_ONCE(now->rules[i].size, 0);
}
