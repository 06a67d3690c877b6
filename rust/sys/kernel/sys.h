/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the Rust files of this room call in C.
 */
#ifndef VMAPCACHE_SYS_H
#define VMAPCACHE_SYS_H

#include "alone.h"

/* bug.c */

void vc_broken(const char *what);

/* lock.c */

void vc_lock_init(void *lock, const char *name, void *key);
void vc_lock(void *lock);
bool vc_lock_try(void *lock);
void vc_unlock(void *lock);
void vc_lock_held(void *lock);

/* percpu.c */

unsigned long vc_doors_new(void *behind);
void vc_doors_free(unsigned long doors);
void vc_door_set(unsigned long doors, unsigned int cpu, void *behind);
void *vc_cpu_enter(unsigned long doors);
void vc_cpu_exit(void);
__no_caller_saved_registers void vc_preempt_schedule(void);
unsigned int vc_cpu_hint(void);
unsigned int vc_cpu_count(void);
unsigned int vc_cpus_online(void);
void vc_cpu_wait_owners(void);
void vc_cpu_report_owner(unsigned int cpu);

/* slot.c */

void vc_wait_for_readers(void);

#endif /* VMAPCACHE_SYS_H */
