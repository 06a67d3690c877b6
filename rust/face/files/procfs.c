// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/vmapcacheinfo: the areas, in the format of /proc/vmallocinfo.
 *
 * A position of the file is a page of the arena: the first page that the reader has
 * not seen. So a reader may stop and go on at the end of any line, whatever happens to
 * the areas meanwhile. rust/face/files/procfs.rs finds the next area.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "exports.h"
#include "face.h"
#include "procfs.h"

/* One reader. */
struct reader {
	const void *source;
	struct vc_row row;
	/* Pages per node, if there is more than one node. */
	unsigned int *nodes;
};

static void *find(struct reader *reader, loff_t *pos)
{
	if (*pos < 0 || *pos > U32_MAX)
		return NULL;
	if (!vc_rs_next_row(reader->source, *pos, &reader->row))
		return NULL;
	return &reader->row;
}

static void *start(struct seq_file *m, loff_t *pos)
{
	return find(m->private, pos);
}

static void *next(struct seq_file *m, void *v, loff_t *pos)
{
	const struct vc_row *row = v;

	*pos = row->next;
	return find(m->private, pos);
}

static void stop(struct seq_file *m, void *v)
{
}

/*
 * Shows the nodes of an area's pages, as its page tables name them. A pin keeps the area: another task may
 * free it at any moment, and a huge page that comes to its place frees a page table. If another
 * area is there by now, nothing is shown.
 */
static void show_nodes(struct seq_file *m, const struct reader *reader)
{
	const struct vc_row *row = &reader->row;
	unsigned long i;
	unsigned int node;
	bool holds;
	u64 pin;

	if (num_node_state(N_HIGH_MEMORY) == 1) {
		seq_printf(m, " N%u=%lu", first_node(node_states[N_HIGH_MEMORY]), row->pages);
		return;
	}
	if (!reader->nodes)
		return;
	pin = vc_rs_pin(row->addr);
	if (!pin)
		return;
	memset(reader->nodes, 0, nr_node_ids * sizeof(*reader->nodes));
	for (i = 0; i < row->pages; i++) {
		struct page *page = vmalloc_to_page((void *)(row->addr + i * PAGE_SIZE));

		if (page)
			reader->nodes[page_to_nid(page)]++;
		if (i % 1024 == 1023)
			cond_resched();
	}
	holds = vc_rs_row_holds(reader->source, row);
	vc_rs_unpin(pin, false, _RET_IP_);
	if (!holds)
		return;
	for_each_node_state(node, N_HIGH_MEMORY)
		if (reader->nodes[node])
			seq_printf(m, " N%u=%u", node, reader->nodes[node]);
}

/* As " %pS", except that an address without a symbol follows kptr_restrict, too. */
static void show_caller(struct seq_file *m, const struct vc_row *row)
{
	char name[VC_SYMBOL_NAME];

	if (vc_caller_name(row->caller, name))
		seq_printf(m, " %s", name);
	else if (row->address)
		seq_printf(m, " 0x%pK", (void *)row->address);
	else
		seq_puts(m, " [gone]");
}

static int show(struct seq_file *m, void *v)
{
	const struct reader *reader = m->private;
	const struct vc_row *row = v;

	seq_printf(m, "0x%pK-0x%pK %7ld", (void *)row->addr, (void *)(row->addr + row->size),
		   row->size);
	if (row->lazy) {
		seq_puts(m, " unpurged vm_area lazy\n");
		return 0;
	}
	/* There they have no caller. */
	if (row->caller && row->kind != VC_ROW_VM_MAP_RAM)
		show_caller(m, row);
	if (row->owns_pages)
		seq_printf(m, " pages=%lu", row->pages);
	switch (row->kind) {
	case VC_ROW_VMALLOC:
		seq_puts(m, " vmalloc");
		break;
	case VC_ROW_VMAP:
		seq_puts(m, " vmap");
		break;
	case VC_ROW_VM_MAP_RAM:
		seq_puts(m, " vm_map_ram");
		break;
	case VC_ROW_VA_ONLY:
		break;
	}
	if (row->owns_pages && row->array && is_vmalloc_addr((void *)row->array))
		seq_puts(m, " vpages");
	if (IS_ENABLED(CONFIG_NUMA) && row->owns_pages)
		show_nodes(m, reader);
	if (row->pins)
		seq_printf(m, " pinned=%u", row->pins);
	if (row->freed)
		seq_puts(m, " freed");
	seq_printf(m, " cpu=%u\n", row->cpu);
	return 0;
}

static const struct seq_operations rows = {
	.start = start,
	.next = next,
	.stop = stop,
	.show = show,
};

static int rows_open(struct inode *inode, struct file *file)
{
	struct reader *reader = __seq_open_private(file, &rows, sizeof(*reader));

	if (!reader)
		return -ENOMEM;
	reader->source = pde_data(inode);
	if (num_node_state(N_HIGH_MEMORY) > 1)
		reader->nodes = kcalloc(nr_node_ids, sizeof(*reader->nodes), GFP_KERNEL);
	return 0;
}

static int rows_release(struct inode *inode, struct file *file)
{
	struct seq_file *m = file->private_data;
	struct reader *reader = m->private;

	kfree(reader->nodes);
	return seq_release_private(inode, file);
}

static const struct proc_ops ops = {
	.proc_open = rows_open,
	.proc_read_iter = seq_read_iter,
	.proc_lseek = seq_lseek,
	.proc_release = rows_release,
};

/**
 * vc_procfs_create() - make the file
 * @source: for vc_rs_next_row(); must stay until vc_procfs_remove() has returned
 *
 * Context: Task context, may sleep.
 * Return: the file, or NULL.
 */
struct proc_dir_entry *vc_procfs_create(const void *source)
{
	return proc_create_data("vmapcacheinfo", 0400, NULL, &ops, (void *)source);
}

/**
 * vc_procfs_remove() - remove the file
 * @file: what vc_procfs_create() returned
 *
 * Waits for reads that are under way, and closes the file for all readers that still
 * have it open; their further reads fail with -EIO.
 *
 * Context: Task context, sleeps.
 */
void vc_procfs_remove(struct proc_dir_entry *file)
{
	proc_remove(file);
}
