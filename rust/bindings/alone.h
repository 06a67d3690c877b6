/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For headers that bindgen reads without the kernel's headers: the few types that it needs. C
 * uses the kernel's own types.
 */
#ifndef VMAPCACHE_ALONE_H
#define VMAPCACHE_ALONE_H

#ifdef __BINDGEN__
#define bool _Bool
#define __user
#define __no_caller_saved_registers
#define gfp_t unsigned int
#define size_t unsigned long
#define ssize_t long
#define u32 unsigned int
#define u64 unsigned long long
#else
#include <linux/types.h>
#endif

#endif /* VMAPCACHE_ALONE_H */
