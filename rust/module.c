// SPDX-License-Identifier: GPL-2.0
/*
 * Module information that the module! macro cannot give.
 */
#include <linux/module.h>

MODULE_VERSION(VMAPCACHE_VERSION);

#ifdef VMAPCACHE_FAULTS
/* Taints the kernel. */
MODULE_INFO(test, "Y");
#endif
