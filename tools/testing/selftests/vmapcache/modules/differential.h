/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Questions that both allocators answer, see questions.h.
 */
#ifndef VMAPCACHE_DIFFERENTIAL_H
#define VMAPCACHE_DIFFERENTIAL_H

#include <linux/fs.h>
#include <linux/types.h>

/**
 * struct question - a question about memory
 * @text: for people; Documentation/compat.rst has it, too
 * @ask: returns the answer
 */
struct question {
	const char *text;
	u64 (*ask)(void);
};

extern const struct question questions_in_tree[], questions_ours[];

/*
 * map_to_user() - maps a file of @bytes with these operations to the current task. Returns the
 * address or an error, as vm_mmap() does.
 */
unsigned long map_to_user(const struct file_operations *fops, unsigned long bytes);

#endif /* VMAPCACHE_DIFFERENTIAL_H */
