// SPDX-License-Identifier: GPL-2.0
/*
 * Brings the kernel's half up: CPUs, their variables, then what start_kernel() would do.
 */
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>
#include <lib/radix-tree.h>

#include "internal.h"
#include "slab.h"
#include "vmalloc.h"
#include "native.h"
#include "rest.h"

/* What the compiled code reads of a machine: one node, four levels of page tables. */
struct cpumask __cpu_possible_mask, __cpu_online_mask, __cpu_present_mask;
unsigned long __per_cpu_offset[NR_CPUS];
unsigned int nr_cpu_ids, __num_possible_cpus;
atomic_t __num_online_cpus;
unsigned int nr_node_ids = 1, nr_online_nodes = 1;
nodemask_t node_states[NR_NODE_STATES] = {
	[0 ... NR_NODE_STATES - 1] = { { [0] = 1UL } },
};
unsigned long vmalloc_base = 0xffffc90000000000UL;
unsigned long page_offset_base, vmemmap_base;
atomic_long_t _totalram_pages;
phys_addr_t physical_mask = (1UL << 46) - 1;
u64 sme_me_mask;
pteval_t __supported_pte_mask = ~0UL, __default_kernel_pte_mask = ~0UL;
unsigned int pgdir_shift = 39, ptrs_per_p4d = 1;
gfp_t gfp_allowed_mask = __GFP_BITS_MASK;
static pgd_t tables[PTRS_PER_PGD] __aligned(PAGE_SIZE);
struct mm_struct init_mm = { .pgd = tables };
char *__kfence_pool;
/* Not 0: no object is taken for kfence. */
atomic_t kfence_allocation_gate = ATOMIC_INIT(1);
struct cpuinfo_x86 boot_cpu_data;
struct kmem_cache *radix_tree_node_cachep;
static struct pglist_data node_0;
struct pglist_data *node_data[MAX_NUMNODES] = { &node_0 };

#define ROOM	131072UL
static unsigned long room_used;

unsigned long kernel_gs(unsigned int cpu)
{
	return __per_cpu_offset[cpu];
}

static void make_cpu(unsigned int cpu)
{
	unsigned long size = __stop_percpu - __start_percpu;
	char *copy = host_memory(ALIGN(size, PAGE_SIZE), PAGE_SIZE);
	unsigned long offset = copy - __start_percpu;

	memcpy(copy, __start_percpu, size);
	*(unsigned long *)(at_offset + offset) = offset;
	*(int *)(at_cpu_number + offset) = cpu;
	*(void **)(at_task + offset) = host_memory(sizeof(struct task_struct), 64);
	__per_cpu_offset[cpu] = offset;
	__set_bit(cpu, cpumask_bits(&__cpu_possible_mask));
	__set_bit(cpu, cpumask_bits(&__cpu_present_mask));
	__set_bit(cpu, cpumask_bits(&__cpu_online_mask));
}

void __percpu *pcpu_alloc_noprof(size_t size, size_t align, bool reserved, gfp_t gfp)
{
	unsigned long at = ALIGN(room_used, align);

	if (at + size > ROOM)
		host_fatal("no room for more per-CPU variables");
	room_used = at + size;
	return (void __percpu *)(unsigned long)(percpu_space + at);
}

/* gs must point to CPU 0 before anything that kernel_boot() calls runs: see kernel_start(). */
void kernel_boot(unsigned int cpus, unsigned long memory_mib)
{
	unsigned int cpu;

	nr_cpu_ids = cpus;
	__num_possible_cpus = cpus;
	atomic_set(&__num_online_cpus, cpus);
	atomic_long_set(&_totalram_pages, memory_mib << (20 - PAGE_SHIFT));
	pages_init();
	for (cpu = 0; cpu < cpus; cpu++)
		make_cpu(cpu);
}

static void node_constructor(void *object)
{
	struct xa_node *node = object;

	memset(node, 0, sizeof(*node));
	INIT_LIST_HEAD(&node->private_list);
}

void kernel_start(void)
{
	kmem_cache_init();
	/* As lib/radix-tree.c makes it. */
	radix_tree_node_cachep = kmem_cache_create("radix_tree_node", sizeof(struct xa_node), 0,
						   SLAB_PANIC | SLAB_RECLAIM_ACCOUNT,
						   node_constructor);
	kvfree_rcu_init();
	vmalloc_init();
	kmem_cache_init_late();
}

void radix_tree_node_rcu_free(struct rcu_head *head)
{
	struct xa_node *node = container_of(head, struct xa_node, rcu_head);

	memset(node->slots, 0, sizeof(node->slots));
	memset(node->tags, 0, sizeof(node->tags));
	INIT_LIST_HEAD(&node->private_list);
	kmem_cache_free(radix_tree_node_cachep, node);
}
