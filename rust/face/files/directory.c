// SPDX-License-Identifier: GPL-2.0
/*
 * Directories and files in debugfs, for rust/face/files/directory.rs.
 *
 * The kernel crate's debugfs files have no owner: if one is still open when the module
 * goes, the kernel closes it by functions that are gone. Here an open file keeps the
 * module loaded.
 */
#include <linux/dcache.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "directory.h"

static int file_show(struct seq_file *m, void *v)
{
	const struct vc_file *file = m->private;

	if (!file->show)
		return -EINVAL;
	return file->show(m, file);
}

static int file_open(struct inode *inode, struct file *opened)
{
	return single_open(opened, file_show, inode->i_private);
}

static ssize_t file_write(struct file *opened, const char __user *buf, size_t len, loff_t *pos)
{
	const struct vc_file *file = file_inode(opened)->i_private;

	if (!file->write)
		return -EINVAL;
	return file->write(file, buf, len);
}

static const struct file_operations file_ops = {
	.owner = THIS_MODULE,
	.open = file_open,
	.read = seq_read,
	.write = file_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/**
 * vc_text_room() - the free room for a file's text
 * @m: the file being read
 * @at: set to the room's start; NULL if there is none
 *
 * Context: Task context.
 * Return: bytes of room.
 */
size_t vc_text_room(struct seq_file *m, char **at)
{
	return seq_get_buf(m, at);
}

/**
 * vc_text_take() - take the text that the caller put at vc_text_room()
 * @m: the file being read
 * @len: its bytes; if there was less room, the kernel asks the file again with more
 *
 * Context: Task context.
 */
void vc_text_take(struct seq_file *m, size_t len)
{
	char *at;

	seq_commit(m, len <= seq_get_buf(m, &at) ? len : -1);
}

/**
 * vc_directory() - make a directory in debugfs
 * @name: its name
 * @parent: the directory above, or NULL for debugfs itself
 *
 * Context: Task context, may sleep.
 * Return: the directory, for vc_directory_file() and vc_directory_remove(), which
 * both take an error pointer as well.
 */
struct dentry *vc_directory(const char *name, struct dentry *parent)
{
	return debugfs_create_dir(name, parent);
}

/**
 * vc_directory_within() - make a directory in one that another module has made
 * @above: the name of that one, in debugfs itself; it must stay
 * @name: its name
 *
 * Context: Task context, may sleep.
 * Return: as vc_directory().
 */
struct dentry *vc_directory_within(const char *above, const char *name)
{
	struct dentry *parent = debugfs_lookup(above, NULL);
	struct dentry *directory;

	if (IS_ERR_OR_NULL(parent))
		return ERR_PTR(-ENOENT);
	directory = debugfs_create_dir(name, parent);
	dput(parent);
	return directory;
}

/**
 * vc_directory_file() - make a file
 * @name: its name
 * @parent: the directory
 * @file: its functions; must stay until vc_directory_remove() has returned
 *
 * Context: Task context, may sleep.
 */
void vc_directory_file(const char *name, struct dentry *parent, const struct vc_file *file)
{
	umode_t mode = (file->show ? 0400 : 0) | (file->write ? 0200 : 0);

	debugfs_create_file(name, mode, parent, (void *)file, &file_ops);
}

/**
 * vc_directory_remove() - remove a directory and its files
 * @directory: what vc_directory() returned
 *
 * Waits for functions of its files that run.
 *
 * Context: Task context, sleeps.
 */
void vc_directory_remove(struct dentry *directory)
{
	debugfs_remove(directory);
}
