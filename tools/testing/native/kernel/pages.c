// SPDX-License-Identifier: GPL-2.0
/*
 * The page allocator under SLUB: one range of memory, which the addresses of the direct map and
 * struct page are computed from as in a kernel. Freed pages wait in a list per order.
 */
#include <linux/mm.h>
#include <linux/spinlock.h>

#include "internal.h"
#include "page_alloc.h"
#include "native.h"
#include "rest.h"
#include "slab.h"

#define MEMORY	(16UL << 30)

static DEFINE_SPINLOCK(lock);
static unsigned long used;
static struct list_head waiting[MAX_PAGE_ORDER + 1];

void pages_init(void)
{
	unsigned int order;

	page_offset_base = (unsigned long)host_memory(MEMORY, 1UL << 30);
	vmemmap_base = (unsigned long)host_memory((MEMORY >> PAGE_SHIFT) * sizeof(struct page),
						  1UL << 21);
	for (order = 0; order <= MAX_PAGE_ORDER; order++)
		INIT_LIST_HEAD(&waiting[order]);
}

static struct page *take(unsigned int order)
{
	struct page *page;

	if (order > MAX_PAGE_ORDER)
		return NULL;
	spin_lock(&lock);
	page = list_first_entry_or_null(&waiting[order], struct page, lru);
	if (page) {
		list_del(&page->lru);
	} else {
		used = ALIGN(used, PAGE_SIZE << order);
		if (used + (PAGE_SIZE << order) > MEMORY)
			host_fatal("the memory of the native program is used up");
		page = virt_to_page((void *)(page_offset_base + used));
		used += PAGE_SIZE << order;
	}
	spin_unlock(&lock);
	return page;
}

struct page *__alloc_frozen_pages_noprof(gfp_t gfp, unsigned int order, int node,
					 nodemask_t *nodes, unsigned int alloc_flags)
{
	struct page *page = take(order);
	unsigned int i;

	if (!page)
		return NULL;
	memset(page, 0, sizeof(*page) << order);
	for (i = 0; i < 1U << order; i++)
		page[i].page_type = UINT_MAX;
	if (order && (gfp & __GFP_COMP))
		prep_compound_page(page, order);
	if (want_init_on_alloc(gfp))
		memset(page_address(page), 0, PAGE_SIZE << order);
	return page;
}

struct page *alloc_frozen_pages_noprof(gfp_t gfp, unsigned int order)
{
	return __alloc_frozen_pages_noprof(gfp, order, 0, NULL, 0);
}

struct page *alloc_pages_noprof(gfp_t gfp, unsigned int order)
{
	struct page *page = alloc_frozen_pages_noprof(gfp, order);

	if (page)
		set_page_count(page, 1);
	return page;
}

void free_frozen_pages(struct page *page, unsigned int order)
{
	spin_lock(&lock);
	list_add(&page->lru, &waiting[order]);
	spin_unlock(&lock);
}

void __free_pages(struct page *page, unsigned int order)
{
	free_frozen_pages(page, order);
}

/* As mm/page_alloc.c. */
void prep_compound_page(struct page *page, unsigned int order)
{
	unsigned int i;

	__SetPageHead(page);
	for (i = 1; i < 1U << order; i++)
		prep_compound_tail(page + i, page, order);
	prep_compound_head(page, order);
}

void kernel_owner(unsigned long address, char *name, unsigned long size)
{
	const char *cache = "no object";
	unsigned long offset = 0;
	struct slab *slab;

	if (address - page_offset_base < MEMORY) {
		slab = virt_to_slab((void *)address);
		cache = "pages";
		if (slab) {
			struct kmem_cache *s = slab->slab_cache;

			cache = s->name;
			offset = (address - (unsigned long)slab_address(slab)) % s->size;
		}
	} else if (address - vmemmap_base < (MEMORY >> PAGE_SHIFT) * sizeof(struct page)) {
		cache = "struct page";
	}
	snprintf(name, size, "%s+%lu", cache, offset);
}
