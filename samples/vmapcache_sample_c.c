// SPDX-License-Identifier: GPL-2.0
/*
 * A consumer of vmapcache in C: memory, a mapping, a pin, a walk.
 *
 * While it is loaded, vmapcache cannot be unloaded.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/module.h>

#include <vmapcache.h>

/* Memory that looks contiguous, made of pages that need not be. */
static int use_memory(void)
{
	u8 *memory = vmapcache_vzalloc(5 * PAGE_SIZE);

	if (!memory)
		return -ENOMEM;
	memory[5 * PAGE_SIZE - 1] = 1;
	vmapcache_vfree(memory);
	return 0;
}

/* Two views of one page. */
static int map_pages(void)
{
	struct page *page = alloc_page(GFP_KERNEL);
	struct page *pages[2] = { page, page };
	u8 *view;
	int err = -ENOMEM;

	if (!page)
		return err;
	view = vmapcache_vmap(pages, 2, VM_MAP, PAGE_KERNEL);
	if (view) {
		/* To the compiler these are two bytes. */
		WRITE_ONCE(view[0], 42);
		err = READ_ONCE(view[PAGE_SIZE]) == 42 ? 0 : -EIO;
		vmapcache_vunmap(view);
	}
	__free_page(page);
	return err;
}

/* A pin keeps the area mapped, even if its owner frees it. */
static int pin_area(void)
{
	u8 *memory = vmapcache_vmalloc(PAGE_SIZE);
	struct vmapcache_pin pin;

	if (!memory)
		return -ENOMEM;
	pin = vmapcache_pin(memory + 100);
	vmapcache_vfree(memory);
	if (!pin.word)
		return -EIO;
	memory[100] = 1;
	vmapcache_unpin(&pin);
	return 0;
}

static bool add_size(const struct vmapcache_area *area, void *total)
{
	*(size_t *)total += area->size;
	return true;
}

/* The areas of all callers; the walk blocks no allocation and no free. */
static int walk_areas(void)
{
	void *memory = vmapcache_vmalloc(3 * PAGE_SIZE);
	size_t total = 0;

	if (!memory)
		return -ENOMEM;
	vmapcache_walk(NULL, add_size, &total);
	vmapcache_vfree(memory);
	return total >= 3 * PAGE_SIZE ? 0 : -EIO;
}

static int __init sample_init(void)
{
	int err = use_memory() ?: map_pages() ?: pin_area() ?: walk_areas();

	if (!err)
		pr_info("memory, mapping, pin and walk work\n");
	return err;
}

static void __exit sample_exit(void)
{
}

module_init(sample_init);
module_exit(sample_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A consumer of vmapcache in C");
