// SPDX-License-Identifier: GPL-2.0
/*
 * The warning of rust/sys/kernel/bug.rs in the kernel log.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bug.h>
#include <linux/printk.h>

#include "sys.h"

/**
 * vc_broken() - warn of a bug of this module, the first time
 * @what: what happened, which cannot
 *
 * Context: Any.
 */
void vc_broken(const char *what)
{
	WARN_ONCE(1, pr_fmt("%s: a bug of this module; further ones are only counted\n"), what);
}
