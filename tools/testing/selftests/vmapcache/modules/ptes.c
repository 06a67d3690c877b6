// SPDX-License-Identifier: GPL-2.0
/*
 * Page table entries of the kernel, for cases that look at them.
 */
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/static_call.h>

#include "vmapcache_test.h"

#ifdef CONFIG_X86_64

pte_t *kernel_pte(const void *addr)
{
	unsigned int level;

	return lookup_address((unsigned long)addr, &level);
}

bool in_huge_page(const void *addr)
{
	unsigned int level;

	return lookup_address((unsigned long)addr, &level) && level > PG_LEVEL_4K;
}

u64 pte_permissions(pte_t pte)
{
	return pte_flags(pte) & ~(_PAGE_ACCESSED | _PAGE_DIRTY);
}

bool pte_no_exec(pte_t pte)
{
	return !pte_exec(pte);
}

#else

unsigned long test_proto_kallsyms_lookup_name(const char *name);

DEFINE_STATIC_CALL_RET0(test_kallsyms_lookup_name, test_proto_kallsyms_lookup_name);

/* Where the kernel's own page tables begin, which no module may link. */
static struct mm_struct *kernel_mm(void)
{
	static struct mm_struct *found;
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };

	if (!found && !register_kprobe(&probe)) {
		unregister_kprobe(&probe);
		static_call_update(test_kallsyms_lookup_name, (void *)probe.addr);
		found = (void *)static_call(test_kallsyms_lookup_name)("init_mm");
	}
	return found;
}

/* An entry for a huge page has the bits of one for a single page. */
static pte_t *find_entry(const void *addr, bool *huge)
{
	unsigned long at = (unsigned long)addr;
	struct mm_struct *mm = kernel_mm();
	pgd_t *pgd;
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;

	*huge = false;
	if (!mm)
		return NULL;
	pgd = pgd_offset(mm, at);
	if (pgd_none(READ_ONCE(*pgd)))
		return NULL;
	p4d = p4d_offset(pgd, at);
	if (p4d_none(READ_ONCE(*p4d)))
		return NULL;
	pud = pud_offset(p4d, at);
	if (pud_none(READ_ONCE(*pud)))
		return NULL;
	*huge = true;
	if (pud_leaf(READ_ONCE(*pud)))
		return (pte_t *)pud;
	pmd = pmd_offset(pud, at);
	if (pmd_none(READ_ONCE(*pmd)))
		return NULL;
	if (pmd_leaf(READ_ONCE(*pmd)))
		return (pte_t *)pmd;
	*huge = false;
	return pte_offset_kernel(pmd, at);
}

pte_t *kernel_pte(const void *addr)
{
	bool huge;

	return find_entry(addr, &huge);
}

bool in_huge_page(const void *addr)
{
	bool huge;

	return find_entry(addr, &huge) && huge;
}

u64 pte_permissions(pte_t pte)
{
	return pgprot_val(pte_pgprot(pte)) & ~(PTE_AF | PTE_DIRTY | PTE_CONT);
}

bool pte_no_exec(pte_t pte)
{
	return pte_val(pte) & PTE_PXN;
}

#endif
