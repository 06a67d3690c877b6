/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The functions that the cases of vmapcache_test.ko share.
 *
 * A case is a function that gets a struct run: its arguments, and room for its notes.
 * It runs in the context of the task that wrote its name to debugfs, and frees
 * everything, whatever it finds.
 */
#ifndef VMAPCACHE_TEST_H
#define VMAPCACHE_TEST_H

#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/* One run of one case. */
struct run {
	const char *name;
	char *args;		/* "key=value key=value", as written */
	spinlock_t lock;	/* orders the notes of threads */
	size_t len;		/* of the notes */
	unsigned int failures;
};

struct test_case {
	const char *name;
	void (*run)(struct run *run);
};

extern const struct test_case contents_cases[], api_cases[], contexts_cases[], pins_cases[], walk_cases[],
	space_cases[], priorities_cases[], readers_cases[], flushes_cases[], pressure_cases[],
	torture_cases[], shadow_cases[], shortage_cases[], faults_cases[], guards_cases[],
	differential_cases[], nodes_cases[], traced_cases[], freed_cases[], stacks_cases[],
	huge_cases[];

/* arg() - the number of @key, or @otherwise */
u64 arg(struct run *run, const char *key, u64 otherwise);
/* arg_is() - whether @key has this @value */
bool arg_is(struct run *run, const char *key, const char *value);

/* note() - adds a line "key value" for the test script */
__printf(2, 3) void note(struct run *run, const char *fmt, ...);
__printf(4, 5) bool failed(struct run *run, const char *file, int line, const char *fmt, ...);

/*
 * expect() - returns @condition; if that is false, notes and counts it
 */
#define expect(run, condition, fmt, ...)					\
	(likely(condition) ? true :						\
	 !failed(run, __FILE_NAME__, __LINE__, "expected %s: " fmt, #condition, ##__VA_ARGS__))

/* interrupted() - whether the writer wants to go; also lets other tasks run */
bool interrupted(void);
/* give_up() - makes interrupted() true for threads */
void give_up(void);

/*
 * An allocator, so that the same case runs on either. Each member is a function
 * of this module that calls the allocator directly.
 */
struct allocator {
	const char *name;
	void *(*get)(unsigned long size);
	void *(*get_zeroed)(unsigned long size);
	void *(*get_node)(unsigned long size, int node);
	void *(*get_gfp)(unsigned long size, gfp_t gfp);
	void *(*get_aligned)(unsigned long size, unsigned long align, gfp_t gfp);
	void (*put)(const void *addr);
	void (*put_atomic)(const void *addr);
	void *(*map)(struct page **pages, unsigned int count);
	void (*unmap)(const void *addr);
	void *(*map_ram)(struct page **pages, unsigned int count);
	void (*unmap_ram)(const void *addr, unsigned int count);
	void (*unmap_aliases)(void);
};

extern const struct allocator allocator_ours, allocator_in_tree;

/* allocator_of() - by allocator=; default vmapcache */
const struct allocator *allocator_of(struct run *run);

/* readable() - whether a read of the byte at @addr does not fault */
bool readable(const void *addr);

/* kernel_pte() - the entry for @addr, if need be that of a huge page; or NULL */
pte_t *kernel_pte(const void *addr);
/* in_huge_page() - whether one entry maps more than the page at @addr */
bool in_huge_page(const void *addr);
/* pte_permissions() - all that an entry says but the page and what use leaves there */
u64 pte_permissions(pte_t pte);
bool pte_no_exec(pte_t pte);

/* sign() - gives each page of an area a signature of its own, made from @seed */
void sign(void *addr, unsigned long pages, u64 seed);
/* signed_by() - pages of the area up to the first that does not carry it */
unsigned long signed_by(const void *addr, unsigned long pages, u64 seed);

/* pages_alloc() - an array of @count pages to map, or NULL */
struct page **pages_alloc(unsigned int count);
void pages_free(struct page **pages, unsigned int count);

/*
 * no_sleep_begin() - from here to no_sleep_end() nobody may sleep
 *
 * With PREEMPT_RT not with preemption off: there the locks around memory sleep, in-tree, too.
 */
static inline void no_sleep_begin(void)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		rcu_read_lock();
	else
		preempt_disable();
}

static inline void no_sleep_end(void)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		rcu_read_unlock();
	else
		preempt_enable();
}

/*
 * init_hard_irq_work() - makes work whose function runs in a hard interrupt
 *
 * With PREEMPT_RT, other work runs in a thread. Without it, lockdep takes INIT_HARD for a context in which
 * nobody may call kmalloc().
 */
static inline void init_hard_irq_work(struct irq_work *work, void (*func)(struct irq_work *work))
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		*work = IRQ_WORK_INIT_HARD(func);
	else
		init_irq_work(work, func);
}

/*
 * run_threads() - runs @fn in @count threads, spread over the CPUs, each with its
 * number and @data; returns when all have returned. False if one could not start.
 */
bool run_threads(struct run *run, unsigned int count,
		 void (*fn)(struct run *run, unsigned int thread, void *data), void *data);

/* below() - a number below @limit */
static inline u32 below(struct rnd_state *rnd, u32 limit)
{
	return ((u64)prandom_u32_state(rnd) * limit) >> 32;
}

#endif /* VMAPCACHE_TEST_H */
