/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names of code and of tables about it, in either half's objects.
 */
#ifndef NATIVE_CODE_H
#define NATIVE_CODE_H

#include <stdint.h>

struct call_site {
	int32_t at;
	int32_t key;
};

/* Tables, between the symbols that the linker makes. */
extern unsigned char __start_altinstructions[], __stop_altinstructions[];
extern int32_t __start_return_sites[], __stop_return_sites[];
extern struct call_site __start_static_call_sites[], __stop_static_call_sites[];
extern unsigned char *__start___mcount_loc[], *__stop___mcount_loc[];

/* Functions, for their addresses. */
extern char __executable_start[], etext[], __static_call_return0[];
extern char __SCT__cond_resched[], __SCT__might_resched[];
extern char _raw_spin_lock[], _raw_spin_trylock[], _raw_spin_unlock[];
extern char _raw_spin_lock_irqsave[], _raw_spin_unlock_irqrestore[];
extern char counting_spin_lock[], counting_spin_trylock[], counting_spin_unlock[];
extern char counting_spin_lock_irqsave[], counting_spin_unlock_irqrestore[];

/* Those that rust/pages/symbols.c looks up by name. */
extern char kallsyms_lookup_name[], vmap_pages_range_noflush[], vunmap_range_noflush[];
extern char flush_tlb_kernel_range[], free_pages_bulk[], __get_vm_area_caller[];

#endif /* NATIVE_CODE_H */
