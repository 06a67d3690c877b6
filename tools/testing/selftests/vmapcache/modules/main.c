// SPDX-License-Identifier: GPL-2.0
/*
 * The way in: debugfs vmapcache_test/run takes "CASE [key=value]..." and returns
 * when the case is over, with an error if it failed. vmapcache_test/result has its
 * notes, vmapcache_test/cases the names of all cases.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cleanup.h>
#include <linux/ctype.h>
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "vmapcache_test.h"

#define SAID_BYTES	SZ_64K

static const struct test_case *const cases[] = {
	contents_cases, api_cases, contexts_cases, pins_cases, walk_cases, space_cases, readers_cases,
	flushes_cases, pressure_cases, torture_cases, shadow_cases, shortage_cases, faults_cases,
	guards_cases, differential_cases, nodes_cases, traced_cases, freed_cases, stacks_cases,
	huge_cases, priorities_cases,
};

static DEFINE_MUTEX(one_at_a_time);
static char *said;
static struct run last;
static bool given_up;
static struct dentry *dir;

static const char *find_arg(struct run *run, const char *key, size_t *len)
{
	size_t key_len = strlen(key);
	const char *at = run->args;

	while (at && *at) {
		at = skip_spaces(at);
		if (!strncmp(at, key, key_len) && at[key_len] == '=') {
			at += key_len + 1;
			*len = strcspn(at, " ");
			return at;
		}
		at = strchr(at, ' ');
	}
	return NULL;
}

static bool is_number(const char *at, size_t len)
{
	char number[24];
	u64 value;

	if (len >= sizeof(number))
		return false;
	strscpy(number, at, len + 1);
	return !kstrtou64(number, 0, &value);
}

/* Whether each value that begins as a number is one. */
static bool well_formed(const char *args)
{
	while (args && *args) {
		size_t len = strcspn(args, " ");
		const char *value = memchr(args, '=', len);

		if (value && isdigit(value[1]) && !is_number(value + 1, args + len - value - 1))
			return false;
		args = skip_spaces(args + len);
	}
	return true;
}

u64 arg(struct run *run, const char *key, u64 otherwise)
{
	size_t len;
	const char *at = find_arg(run, key, &len);
	char number[24];
	u64 value;

	if (!at || len >= sizeof(number))
		return otherwise;
	strscpy(number, at, len + 1);
	return kstrtou64(number, 0, &value) ? otherwise : value;
}

bool arg_is(struct run *run, const char *key, const char *value)
{
	size_t len;
	const char *at = find_arg(run, key, &len);

	return at && len == strlen(value) && !strncmp(at, value, len);
}

static __printf(2, 0) void say(struct run *run, const char *fmt, va_list args)
{
	run->len += vscnprintf(said + run->len, SAID_BYTES - 1 - run->len, fmt, args);
	said[run->len++] = '\n';
}

void note(struct run *run, const char *fmt, ...)
{
	va_list args;

	guard(spinlock_irqsave)(&run->lock);
	va_start(args, fmt);
	say(run, fmt, args);
	va_end(args);
}

bool failed(struct run *run, const char *file, int line, const char *fmt, ...)
{
	va_list args;

	guard(spinlock_irqsave)(&run->lock);
	/* A few complaints are enough, and leave room for the notes. */
	if (run->failures++ < 20) {
		run->len += scnprintf(said + run->len, SAID_BYTES - run->len, "# %s:%d: ",
				       file, line);
		va_start(args, fmt);
		say(run, fmt, args);
		va_end(args);
	}
	return true;
}

void give_up(void)
{
	WRITE_ONCE(given_up, true);
}

bool interrupted(void)
{
	cond_resched();
	return READ_ONCE(given_up) || fatal_signal_pending(current);
}

static const struct test_case *find_case(const char *name)
{
	const struct test_case *at;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		for (at = cases[i]; at->name; at++)
			if (!strcmp(at->name, name))
				return at;
	return NULL;
}

static ssize_t run_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	const struct test_case *found;
	char *line, *args;

	if (count > PAGE_SIZE)
		return -EINVAL;
	line = memdup_user_nul(from, count);
	if (IS_ERR(line))
		return PTR_ERR(line);
	args = strim(line);
	found = find_case(strsep(&args, " "));
	if (!found || !well_formed(args)) {
		kfree(line);
		return found ? -EINVAL : -ENOENT;
	}

	guard(mutex)(&one_at_a_time);
	last.name = found->name;
	last.args = args;
	last.failures = 0;
	last.len = 0;
	given_up = false;
	found->run(&last);
	last.args = NULL;
	kfree(line);
	if (last.failures)
		return -EPROTO;
	return fatal_signal_pending(current) ? -EINTR : count;
}

static const struct file_operations run_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = run_write,
};

static int result_show(struct seq_file *seq, void *unused)
{
	guard(mutex)(&one_at_a_time);
	if (last.name) {
		seq_write(seq, said, last.len);
		seq_printf(seq, "failures %u\n", last.failures);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(result);

/* The cost of a read that shows nothing. */
static int empty_show(struct seq_file *seq, void *unused)
{
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(empty);

static int cases_show(struct seq_file *seq, void *unused)
{
	const struct test_case *at;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		for (at = cases[i]; at->name; at++)
			seq_printf(seq, "%s\n", at->name);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(cases);

static int __init vmapcache_test_init(void)
{
	spin_lock_init(&last.lock);
	said = kmalloc(SAID_BYTES, GFP_KERNEL);
	if (!said)
		return -ENOMEM;
	dir = debugfs_create_dir("vmapcache_test", NULL);
	debugfs_create_file("run", 0200, dir, NULL, &run_fops);
	debugfs_create_file("result", 0400, dir, NULL, &result_fops);
	debugfs_create_file("empty", 0400, dir, NULL, &empty_fops);
	debugfs_create_file("cases", 0400, dir, NULL, &cases_fops);
	return 0;
}
module_init(vmapcache_test_init);

static void __exit vmapcache_test_exit(void)
{
	debugfs_remove(dir);
	kfree(said);
}
module_exit(vmapcache_test_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("vmapcache developers");
MODULE_DESCRIPTION("Tests of vmapcache from inside the kernel");
