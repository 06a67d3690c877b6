// SPDX-License-Identifier: GPL-2.0
/*
 * Puts each question to both allocators, in one boot, and notes what they answer.
 */
#include <linux/anon_inodes.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/mman.h>
#include <linux/string.h>

#include <vmapcache.h>

#include "differential.h"
#include "vmapcache_test.h"

/* Answers that differ on purpose. Documentation/compat.rst says why. */
static const char *const differ[] = {
	NULL
};

static bool differs_on_purpose(const char *text)
{
	unsigned int i;

	for (i = 0; differ[i]; i++)
		if (!strcmp(differ[i], text))
			return true;
	return false;
}

unsigned long map_to_user(const struct file_operations *fops, unsigned long bytes)
{
	struct file *file = anon_inode_getfile("vmapcache_test", fops, NULL, O_RDWR);
	unsigned long at;

	if (IS_ERR(file))
		return PTR_ERR(file);
	at = vm_mmap(file, 0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	fput(file);
	return at;
}

static u64 counted(const char *name)
{
	u64 value = 0;

	vmapcache_counter(name, &value);
	return value;
}

/* Each question three times, so that what the first answer warms up is known to the others. */
static void differential(struct run *run)
{
	const struct question *theirs = questions_in_tree, *ours = questions_ours;
	u64 areas = counted("areas"), bad = counted("errors_foreign_free");

	for (; theirs->text && !interrupted(); theirs++, ours++) {
		u64 expected = theirs->ask(), answer;
		unsigned int i, tries;

		for (i = 0; i < 3; i++) {
			bool same;

			answer = ours->ask();
			same = answer == expected;
			if (same != differs_on_purpose(theirs->text))
				continue;
			failed(run, __FILE_NAME__, __LINE__, "%s: %llx, in-tree %llx",
			       theirs->text, answer, expected);
		}
		/* Frees from interrupts take a moment. */
		for (tries = 0; counted("areas") != areas && tries < 4000; tries++)
			usleep_range(5000, 10000);
		expect(run, counted("areas") == areas, "%s: %llu areas are left", theirs->text,
		       counted("areas") - areas);
		areas = counted("areas");
		note(run, "question %s", theirs->text);
	}
	expect(run, counted("errors_foreign_free") == bad, "a free went astray");
}

const struct test_case differential_cases[] = {
	{ "differential", differential },
	{}
};
