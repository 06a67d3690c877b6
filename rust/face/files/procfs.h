/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What procfs.rs calls in procfs.c, and the row that both use.
 */
#ifndef VMAPCACHE_PROCFS_H
#define VMAPCACHE_PROCFS_H

#include "alone.h"

struct proc_dir_entry;

enum vc_row_kind {
	VC_ROW_VMALLOC,
	VC_ROW_VMAP,
	VC_ROW_VM_MAP_RAM,
	VC_ROW_VA_ONLY,
};

/**
 * struct vc_row - one area, as shown
 * @addr: its address
 * @size: its bytes, guard page included
 * @pages: its pages, guard page excluded
 * @caller: the number of the caller that asked for it, or 0
 * @address: the caller's code, or 0 if that is gone
 * @array: where its page array is, if it has one
 * @next: the page of the arena where the next look starts
 * @page: its first page in the arena
 * @version: which life of its descriptor this is
 * @kind: what it is used for
 * @pins: its pins
 * @cpu: the CPU that allocated it
 * @owns_pages: its pages go with it
 * @freed: only its pins keep it
 * @lazy: it was freed and waits for a flush; then only @addr, @size and @next mean
 *	something
 */
struct vc_row {
	unsigned long addr;
	unsigned long size;
	unsigned long pages;
	unsigned long address;
	unsigned long array;
	unsigned int caller;
	unsigned int next;
	unsigned int page;
	unsigned int version;
	enum vc_row_kind kind;
	unsigned int pins;
	unsigned int cpu;
	bool owns_pages;
	bool freed;
	bool lazy;
};

struct proc_dir_entry *vc_procfs_create(const void *source);
void vc_procfs_remove(struct proc_dir_entry *file);

#endif /* VMAPCACHE_PROCFS_H */
