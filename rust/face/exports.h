/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What C calls in Rust, marked by "vc_rs_". Rust defines each with export!, so that the compiler
 * compares it with the prototype here.
 */
#ifndef VMAPCACHE_EXPORTS_H
#define VMAPCACHE_EXPORTS_H

#include "alone.h"

struct page;
struct vc_bounds;
struct vc_life;
struct vc_row;

/* rust/face/exports.rs */
void *vc_rs_vmalloc(unsigned long size, unsigned long align, gfp_t gfp, unsigned int how,
		    int node, unsigned long caller);
void *vc_rs_vmap(struct page **pages, unsigned int count, unsigned int how,
		 unsigned long prot, gfp_t gfp, unsigned long caller);
void *vc_rs_vm_map_ram(struct page **pages, unsigned int count, unsigned long prot, gfp_t gfp,
		       unsigned long caller);
void *vc_rs_get_area(unsigned long size, unsigned long align, gfp_t gfp, unsigned long caller);
void *vc_rs_find_area(unsigned long addr, size_t *size);
void *vc_rs_find_user_area(unsigned long addr, size_t *size);
bool vc_rs_owns(unsigned long addr);
void vc_rs_free(unsigned long addr, bool atomic, unsigned long caller);
/* False for an address outside of the arena. */
bool vc_rs_try_free(unsigned long addr, bool atomic, unsigned long caller);
void vc_rs_free_sync(unsigned long addr, unsigned long caller);
void vc_rs_vunmap(unsigned long addr, bool atomic, unsigned long caller);
/* False for an address outside of the arena. */
bool vc_rs_try_vunmap(unsigned long addr, unsigned long caller);
void vc_rs_vm_unmap_ram(unsigned long addr, unsigned int count, unsigned long caller);
void vc_rs_unmap_aliases(void);
void vc_rs_purge_all(bool drain);
bool vc_rs_counter(const char *name, u64 *value);
bool vc_rs_get_switch(const char *name, u32 *value);
bool vc_rs_set_switch(const char *name, u32 value);
u64 vc_rs_pin(unsigned long addr);
void vc_rs_unpin(u64 pin, bool atomic, unsigned long caller);
/* False if no area is there; an area's guard page counts as its own. */
bool vc_rs_identify(unsigned long addr, struct vc_life *life);
bool vc_rs_locate(unsigned long addr, struct vc_bounds *bounds);
bool vc_rs_note(const struct vc_life *life);
unsigned long vc_rs_present(unsigned long addr);
void vc_rs_shrink_area(unsigned long addr, unsigned long size, gfp_t gfp, unsigned long caller);
void vc_rs_walk(unsigned long from, void *visitor);
bool vc_rs_is_last(const void *ticket);

/* rust/face/events.rs */
void vc_rs_purge(void);
void vc_rs_finish_deferred(void);
void vc_rs_cpu_dead(unsigned int cpu);
void vc_rs_space_exhausted(void);
unsigned long vc_rs_shrink_count(void);
unsigned long vc_rs_shrink(unsigned long nr);
void vc_rs_trim(void);
/* The caller of a number; 0 if it has none, or if the caller's code is gone. */
unsigned long vc_rs_caller(unsigned int id);
void vc_rs_retire_callers(const void *module);

/* rust/face/takeover.rs */
/* Whether vmapcache counts a caller apart from others. */
bool vc_rs_has_number(unsigned long caller);
/* Whether somebody holds an area that takeover made. */
bool vc_rs_held(void);
/* Says in the kernel log who does. */
void vc_rs_tell_holders(void);

/* rust/face/files/procfs.rs */
bool vc_rs_next_row(const void *source, unsigned int page, struct vc_row *row);
bool vc_rs_row_holds(const void *source, const struct vc_row *row);

#endif /* VMAPCACHE_EXPORTS_H */
