// SPDX-License-Identifier: GPL-2.0
/*
 * Companions: a struct vmap_area and a struct vm_struct for areas of the arena that some
 * in-tree function asks about.
 *
 * A companion belongs to the place where an area begins, is made when somebody first asks, and stays until
 * the module goes. So an in-tree function may read it without a lock as long as its area
 * lives, as it does in-tree.
 *
 * Two parts describe the area, each with the version of the life that it describes:
 *
 *  - `va` has its bounds. They are written without a lock, since hardened usercopy asks for them
 *    from any context, NMIs among them. One writer wins. Anybody who meets it at work, or
 *    finds no memory for a companion, gets the bounds of the whole arena: weaker, but
 *    never wrong.
 *  - `vm` has everything else, and is written under a lock. Its life is noted in the
 *    area's descriptor, so that the free of the area calls vc_companion_forget(), and a free of
 *    an area that nobody asked about does not.
 */
#include <linux/align.h>
#include <linux/atomic.h>
#include <linux/kmemleak.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>

#include "companion.h"
#include "context.h"
#include "exports.h"
#include "face.h"
#include "pages.h"
#include "symbols.h"

struct companion {
	struct vmap_area va;
	/* The version of the life that va describes, and how far that is. */
	atomic64_t bounds;
	struct vm_struct vm;
	/* As described() says; 0 if vm describes nothing. */
	u64 described;
	/* The pages of a run, for vm.pages. */
	struct page **names;
};

/* In bounds, below the version. */
#define WRITING		1ULL
#define WRITTEN		2ULL
#define VERSION_SHIFT	2

/*
 * Companions are in chunks, and pointers to chunks on shelves of a page. The number of an area is its first
 * page, and no two areas begin in one pair of pages at one time: so a pair has one companion, and a chunk serves
 * four areas of one page, and few larger ones. So several chunks share a page.
 */
#define CHUNK_SHIFT	2
#define PER_CHUNK	(1UL << CHUNK_SHIFT)
#define PER_SHELF	(PAGE_SIZE / sizeof(void *))

union chunk {
	struct companion companions[PER_CHUNK];
	/* Of one that nobody has yet. */
	union chunk *next;
};
static_assert(sizeof(union chunk) <= PAGE_SIZE);
#define PER_PAGE	(PAGE_SIZE / sizeof(union chunk))

struct shelf {
	union chunk *chunks[PER_SHELF];
};

static struct shelf **shelves;
static unsigned long shelf_count;
static struct vmap_area *arena;
static DEFINE_RAW_SPINLOCK(lock);
/* Chunks that nobody has yet, zeroed but for the link: under the lock. */
static union chunk *unused;

static void *new_page(void)
{
	return (void *)get_zeroed_page(GFP_ATOMIC | __GFP_NOWARN);
}

static void keep_unused(void *made)
{
	union chunk *chunk = made;
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	chunk->next = unused;
	unused = chunk;
	raw_spin_unlock_irqrestore(&lock, flags);
}

static union chunk *take_unused(void)
{
	union chunk *chunk;
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	chunk = unused;
	if (chunk) {
		unused = chunk->next;
		chunk->next = NULL;
	}
	raw_spin_unlock_irqrestore(&lock, flags);
	return chunk;
}

static void *new_chunk(void)
{
	union chunk *chunk = take_unused();
	unsigned long i;

	if (chunk)
		return chunk;
	chunk = new_page();
	for (i = 1; chunk && i < PER_PAGE; i++)
		keep_unused(&chunk[i]);
	return chunk;
}

/* The first chunk of a page gives it back, for all of them. */
static bool is_first(union chunk *chunk)
{
	return IS_ALIGNED((unsigned long)chunk, PAGE_SIZE);
}

static void free_shelf(void *shelf)
{
	free_page((unsigned long)shelf);
}

/* What is at @slot. If that is nothing yet, installs what @make makes there; if @make is %NULL, does not. */
static __always_inline void *made_at(void **slot, void *(*make)(void), void (*give_back)(void *made))
{
	void *made, *old;

	/* Pairs with cmpxchg(): whoever installed the memory has zeroed it before. */
	made = smp_load_acquire(slot);
	if (likely(made) || !make)
		return made;
	made = make();
	if (!made)
		return NULL;
	old = cmpxchg(slot, NULL, made);
	if (old) {
		give_back(made);
		return old;
	}
	return made;
}

/* The allocator gives no memory in an NMI, nor where a kernel with PREEMPT_RT must not sleep. */
static bool may_make(void)
{
	return !in_nmi() && !vc_is_raw();
}

static struct companion *companion_of(u32 id, bool make)
{
	unsigned long place = id / 2, number = place >> CHUNK_SHIFT;
	struct shelf *shelf;
	union chunk *chunk;

	if (number / PER_SHELF >= shelf_count)
		return NULL;
	shelf = made_at((void **)&shelves[number / PER_SHELF], make ? new_page : NULL, free_shelf);
	if (!shelf)
		return NULL;
	chunk = made_at((void **)&shelf->chunks[number % PER_SHELF], make ? new_chunk : NULL, keep_unused);
	return chunk ? &chunk->companions[place % PER_CHUNK] : NULL;
}

/* ---- struct vmap_area ---- */

static bool is_described(struct companion *c, const struct vc_bounds *life)
{
	u64 version = (u64)life->version << VERSION_SHIFT;

	return atomic64_read_acquire(&c->bounds) == (version | WRITTEN);
}

/* Whether va has the bounds of this life, and nobody writes it before that is over. */
static bool has_bounds(struct companion *c, const struct vc_bounds *life)
{
	u64 version = (u64)life->version << VERSION_SHIFT;
	u64 seen = atomic64_read_acquire(&c->bounds);

	if (likely(seen == (version | WRITTEN)))
		return true;
	if (seen & WRITING)
		return false;
	/* The life of this caller's area is over, if another one was described after it. */
	if (seen && (s32)(life->version - (u32)(seen >> VERSION_SHIFT)) < 0)
		return false;
	if (!atomic64_try_cmpxchg_acquire(&c->bounds, &seen, version | WRITING))
		return seen == (version | WRITTEN);
	WRITE_ONCE(c->va.va_start, life->start);
	WRITE_ONCE(c->va.va_end, life->start + life->size);
	atomic64_set_release(&c->bounds, version | WRITTEN);
	return true;
}

/**
 * vc_companion_vmap_area() - the vmap_area of the area at an address of the arena
 * @addr: the address; the guard page counts as its area's
 *
 * va_start and va_end are valid, and exact: the guard page is behind va_end.
 *
 * Context: Any. Takes no lock.
 * Return: the vmap_area of the area; that of the arena if there was no memory for one; %NULL
 *	if no area is there
 */
struct vmap_area *vc_companion_vmap_area(unsigned long addr)
{
	struct vc_bounds life;
	struct companion *c;
	bool exact;

	if (!vc_rs_locate(addr, &life))
		return NULL;
	c = companion_of(life.id, may_make());
	if (!c)
		return arena;
	if (likely(is_described(c, &life)))
		return &c->va;
	/* So that other tasks do not meet this one at work for long. */
	preempt_disable_notrace();
	exact = has_bounds(c, &life);
	preempt_enable_notrace();
	return exact ? &c->va : arena;
}

/* ---- struct vm_struct ---- */

static u64 described(const struct vc_life *life)
{
	return (u64)life->version + 1;
}

static struct page **name_pages(const struct vc_life *life)
{
	unsigned long i, nr = life->size >> PAGE_SHIFT;
	struct page **names = kmalloc_array(nr, sizeof(*names), GFP_ATOMIC | __GFP_NOWARN);

	if (!names)
		return NULL;
	/* The one pointer to it is where kmemleak does not look. */
	kmemleak_not_leak(names);
	for (i = 0; i < nr; i++)
		names[i] = life->run + i;
	return names;
}

static void describe(struct vm_struct *vm, const struct vc_life *life, struct page **names)
{
	struct page **pages = life->array ?: names;

	memset(vm, 0, sizeof(*vm));
	vm->addr = (void *)life->start;
	/* With the guard page, as in-tree. */
	vm->size = life->size + PAGE_SIZE;
	vm->flags = life->use == VC_USE_VMALLOC ? VM_ALLOC : VM_MAP;
	if (life->user)
		vm->flags |= VM_USERMAP;
	/* set_memory_*() of arm64 changes no such area. */
	if (vc_tables_any_huge(life->start, life->size >> PAGE_SHIFT))
		vm->flags |= VM_ALLOW_HUGE_VMAP;
	vm->caller = (void *)life->caller;
	vm->requested_size = life->size;
	if (pages) {
		vm->pages = pages;
		vm->nr_pages = life->size >> PAGE_SHIFT;
		/* The area is noted: its free waits, and its array stays. */
		if (life->array && !life->given)
			vm->nr_pages = vc_pages_present(vm->nr_pages, life->payload);
		if (life->given)
			vm->flags |= VM_MAP_PUT_PAGES;
	}
}

/**
 * vc_companion_vm_struct() - the vm_struct of the area at an address of the arena
 * @addr: the address; the guard page counts as its area's
 *
 * It is valid until the area is freed. As in-tree, vm_map_ram() makes none.
 *
 * Context: Any but NMI.
 * Return: it, or %NULL if no area is there or there is no memory
 */
struct vm_struct *vc_companion_vm_struct(unsigned long addr)
{
	struct page **names = NULL;
	struct companion *c;
	struct vc_life life;
	bool valid = true;
	unsigned long flags;

	if (WARN_ON_ONCE(in_nmi()) || !vc_rs_identify(addr, &life) || life.use == VC_USE_RAM)
		return NULL;
	c = companion_of(life.id, may_make());
	if (!c)
		return NULL;
	/* Pairs with the release below: vm is complete. */
	if (likely(smp_load_acquire(&c->described) == described(&life)))
		return &c->vm;
	if (life.run) {
		names = name_pages(&life);
		if (!names)
			return NULL;
	}
	raw_spin_lock_irqsave(&lock, flags);
	if (c->described != described(&life)) {
		valid = vc_rs_note(&life);
		if (valid) {
			describe(&c->vm, &life, names);
			swap(c->names, names);
			/* Pairs with the acquire above. */
			smp_store_release(&c->described, described(&life));
		}
	}
	raw_spin_unlock_irqrestore(&lock, flags);
	kfree(names);
	return valid ? &c->vm : NULL;
}

/*
 * As vm_reset_perms() in mm/vmalloc.c: nobody may reach the pages by an address with other
 * permissions when they are free, not even by an entry of a TLB.
 */
static void reset_permissions(const struct vm_struct *vm, unsigned long addr, unsigned long nr)
{
	unsigned long i, at, first = ULONG_MAX, end = 0;

	vc_unmap(addr, nr);
	for (i = 0; i < vm->nr_pages; i++) {
		at = (unsigned long)page_address(vm->pages[i]);
		if (!at)
			continue;
		static_call(vc_set_direct_map_invalid_noflush)(vm->pages[i]);
		first = min(first, at);
		end = max(end, at + PAGE_SIZE);
	}
	vc_flush(addr, nr);
	if (end)
		vc_flush(first, (end - first) / PAGE_SIZE);
	for (i = 0; i < vm->nr_pages; i++)
		if (page_address(vm->pages[i]))
			static_call(vc_set_direct_map_default_noflush)(vm->pages[i]);
}

/**
 * vc_companion_may_shrink() - whether an area may give back its last pages
 * @id: its number
 *
 * As in-tree, not if the permissions of its pages must be reset first.
 *
 * Context: Any. The area's owner asks.
 */
bool vc_companion_may_shrink(u32 id)
{
	struct companion *c = companion_of(id, false);

	/* Pairs with the release in vc_companion_vm_struct(). */
	return !c || !smp_load_acquire(&c->described) || !(c->vm.flags & VM_FLUSH_RESET_PERMS);
}

/**
 * vc_companion_shrink() - an area gives back its last pages
 * @id: its number
 * @nr_pages: how many it keeps
 *
 * Context: Task context, may sleep. The area's owner asks.
 */
void vc_companion_shrink(u32 id, unsigned long nr_pages)
{
	struct companion *c = companion_of(id, false);
	unsigned long flags;

	if (!c)
		return;
	raw_spin_lock_irqsave(&lock, flags);
	if (c->described)
		c->vm.nr_pages = min(c->vm.nr_pages, nr_pages);
	raw_spin_unlock_irqrestore(&lock, flags);
}

/**
 * vc_companion_forget() - an area that was noted goes
 * @id: its number
 * @addr: its start
 * @size: its bytes
 *
 * Context: Task context, may sleep. Its life is over, its pages are still there, and the next life
 * has not begun.
 */
void vc_companion_forget(u32 id, unsigned long addr, unsigned long size)
{
	struct companion *c = companion_of(id, false);
	struct page **names;
	unsigned long flags;

	if (!c)
		return;
	/* A task that described it too late is done when this has the lock. */
	raw_spin_lock_irqsave(&lock, flags);
	names = c->names;
	c->names = NULL;
	c->described = 0;
	raw_spin_unlock_irqrestore(&lock, flags);
	/* set_vm_flush_reset_perms() has set it. */
	if (c->vm.flags & VM_FLUSH_RESET_PERMS)
		reset_permissions(&c->vm, addr, size / PAGE_SIZE);
	kfree(names);
}

/* ---- the end ---- */

/**
 * vc_companions_start() - prepare for companions
 * @arena_pages: pages of the arena
 * @arena_va: the arena's own vmap_area
 *
 * Context: Task context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int vc_companions_start(unsigned long arena_pages, struct vmap_area *arena_va)
{
	/* An area takes two pages at least. */
	shelf_count = DIV_ROUND_UP(arena_pages / 2 + 1, PER_CHUNK * PER_SHELF);
	shelves = kvcalloc(shelf_count, sizeof(*shelves), GFP_KERNEL);
	if (!shelves) {
		shelf_count = 0;
		return -ENOMEM;
	}
	arena = arena_va;
	return 0;
}

/**
 * vc_companions_stop() - free all companions
 *
 * Context: Task context, may sleep. No area is left, and no task still reads a companion.
 */
void vc_companions_stop(void)
{
	union chunk *chunk, *next, *first = NULL;
	unsigned long i, j;

	/* A page goes with its first chunk. This loop reads the other chunks before any page is freed. */
	for (chunk = unused; chunk; chunk = next) {
		next = chunk->next;
		if (is_first(chunk)) {
			chunk->next = first;
			first = chunk;
		}
	}
	unused = NULL;
	for (; first; first = next) {
		next = first->next;
		free_page((unsigned long)first);
	}
	for (i = 0; i < shelf_count; i++) {
		if (!shelves[i])
			continue;
		for (j = 0; j < PER_SHELF; j++)
			if (is_first(shelves[i]->chunks[j]))
				free_page((unsigned long)shelves[i]->chunks[j]);
		free_page((unsigned long)shelves[i]);
	}
	kvfree(shelves);
	shelves = NULL;
	shelf_count = 0;
}
