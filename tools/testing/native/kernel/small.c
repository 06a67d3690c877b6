// SPDX-License-Identifier: GPL-2.0
/*
 * Small things that the kernel's files read or call while they start. What is missing here ends the
 * program with its name.
 */
#include <linux/cpu.h>
#include <linux/cpuset.h>
#include <linux/hrtimer.h>
#include <linux/jiffies.h>
#include <linux/memcontrol.h>
#include <linux/mempolicy.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/once.h>
#include <linux/node.h>
#include <linux/pgtable.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/vmstat.h>

typeof(jiffies) jiffies;
unsigned long phys_base;
int debug_locks_silent;
struct mem_section **mem_section;

/* SLUB orders free objects at random. The same seed each time: runs repeat exactly. */
static u64 random_state = 0x9e3779b97f4a7c15;

u64 get_random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

u32 __get_random_u32_below(u32 ceiling)
{
	return (u32)(get_random_u64() >> 32) % ceiling;
}

void prandom_seed_full_state(struct rnd_state __percpu *state)
{
}

u32 prandom_u32_state(struct rnd_state *state)
{
	return get_random_u64();
}

/* The program counts failed allocations and prints the number, so the kernel's messages are left out. */
int ___ratelimit(struct ratelimit_state *state, const char *func)
{
	return 0;
}

void cpus_read_lock(void)
{
}

void cpus_read_unlock(void)
{
}

void mutex_init_generic(struct mutex *lock)
{
	atomic_long_set(&lock->owner, 0);
}

void timer_init_key(struct timer_list *timer, void (*func)(struct timer_list *timer),
		    unsigned int flags, const char *name, struct lock_class_key *key)
{
}

void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *timer),
		   clockid_t clock, enum hrtimer_mode mode)
{
}

void mod_node_page_state(struct pglist_data *node, enum node_stat_item item, long delta)
{
}

void lruvec_stat_mod_folio(struct folio *folio, enum node_stat_item item, int delta)
{
}

ssize_t sized_strscpy(char *to, const char *from, size_t size)
{
	size_t length = strnlen(from, size - 1);

	memcpy(to, from, length);
	to[length] = 0;
	return length;
}

void hash_pointers_finalize(bool slub_debug)
{
}

int register_node_notifier(struct notifier_block *block)
{
	return 0;
}

char *kasprintf(gfp_t gfp, const char *format, ...)
{
	return (char *)format;
}

const char *kstrdup_const(const char *text, gfp_t gfp)
{
	return text;
}

void kfree_const(const void *text)
{
}

unsigned int mempolicy_slab_node(void)
{
	return 0;
}

bool mem_cgroup_kmem_disabled(void)
{
	return false;
}

/* Random numbers are never seeded. */
bool __do_once_start(bool *done, unsigned long *flags)
{
	return false;
}

/* As in arch/x86/mm/pgtable.c. */
void p4d_clear_huge(p4d_t *table)
{
}
