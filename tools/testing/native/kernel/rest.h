/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of this folder need of each other.
 */
#ifndef NATIVE_REST_H
#define NATIVE_REST_H

#include <linux/moduleparam.h>
#include <linux/spinlock_types.h>

/* percpu.S: the section, as the linker puts its parts in a row, and variables in it */
extern char __start_percpu[], __stop_percpu[], percpu_space[];
extern char at_cpu_number[] asm("cpu_number"), at_offset[] asm("this_cpu_off");
extern char at_task[] asm("const_current_task"), at_preempt_count[] asm("__preempt_count");

/* The parameters of both halves' files, between symbols that the linker makes. */
extern const struct kernel_param __start___param[], __stop___param[];

/* pages.c */
void pages_init(void);

/* locks.c, in the place of _raw_spin_lock() and so on */
void counting_spin_lock(raw_spinlock_t *lock);
int counting_spin_trylock(raw_spinlock_t *lock);
void counting_spin_unlock(raw_spinlock_t *lock);
unsigned long counting_spin_lock_irqsave(raw_spinlock_t *lock);
void counting_spin_unlock_irqrestore(raw_spinlock_t *lock, unsigned long flags);

#endif /* NATIVE_REST_H */
