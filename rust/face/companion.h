/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What mm/vmalloc.c keeps of an area, for areas of the arena: for the guards.
 */
#ifndef VMAPCACHE_COMPANION_H
#define VMAPCACHE_COMPANION_H

struct vmap_area;
struct vm_struct;

int vc_companions_start(unsigned long arena_pages, struct vmap_area *arena);
void vc_companions_stop(void);
struct vmap_area *vc_companion_vmap_area(unsigned long addr);
struct vm_struct *vc_companion_vm_struct(unsigned long addr);

#endif /* VMAPCACHE_COMPANION_H */
