// SPDX-License-Identifier: GPL-2.0
/*
 * What rust/sys/kernel/bug.rs says in the kernel log.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bug.h>
#include <linux/printk.h>

#include "sys.h"

/**
 * vc_broken() - warn of what cannot happen, the first time
 * @what: happened
 *
 * Context: Any.
 */
void vc_broken(const char *what)
{
	WARN_ONCE(1, pr_fmt("%s: a bug of this module; further ones are only counted\n"), what);
}
