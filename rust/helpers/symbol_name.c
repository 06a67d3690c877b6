// SPDX-License-Identifier: GPL-2.0
/*
 * Names of code addresses.
 */
#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "helpers.h"

/**
 * vc_symbol_name() - name the place at a code address
 * @addr: the address
 * @name: gets "function+0x12/0x34 [module]"; must have room for VC_SYMBOL_NAME bytes
 *
 * Context: Any.
 * Return: the length of the name; 0 if there is no symbol, and then nothing of the
 * address is shown either.
 */
size_t vc_symbol_name(unsigned long addr, char *name)
{
	int len;

	BUILD_BUG_ON(KSYM_SYMBOL_LEN > VC_SYMBOL_NAME);
	len = sprint_symbol(name, addr);
	if (len <= 0 || !strncmp(name, "0x", 2))
		return 0;
	return len;
}
