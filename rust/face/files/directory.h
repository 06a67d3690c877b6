/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What directory.rs calls in directory.c. Both modules contain both files.
 */
#ifndef VMAPCACHE_DIRECTORY_H
#define VMAPCACHE_DIRECTORY_H

#include "alone.h"

struct dentry;
struct seq_file;

/**
 * struct vc_file - a file in debugfs
 * @show: prints it; NULL if it cannot be read
 * @write: takes the bytes of one write, and returns their number or an error; NULL if
 *	nobody can write it
 */
struct vc_file {
	int (*show)(struct seq_file *m, const struct vc_file *file);
	ssize_t (*write)(const struct vc_file *file, const char __user *buf, size_t len);
};

size_t vc_text_room(struct seq_file *m, char **at);
void vc_text_take(struct seq_file *m, size_t len);
struct dentry *vc_directory(const char *name, struct dentry *parent);
struct dentry *vc_directory_within(const char *above, const char *name);
void vc_directory_file(const char *name, struct dentry *parent, const struct vc_file *file);
void vc_directory_remove(struct dentry *directory);

#endif /* VMAPCACHE_DIRECTORY_H */
