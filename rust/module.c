// SPDX-License-Identifier: GPL-2.0
/*
 * What the module! macro does not know.
 */
#include <linux/module.h>

MODULE_VERSION(VMAPCACHE_VERSION);

#ifdef VMAPCACHE_FAULTS
/* Taints the kernel. */
MODULE_INFO(test, "Y");
#endif
