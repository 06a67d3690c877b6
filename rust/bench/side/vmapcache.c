// SPDX-License-Identifier: GPL-2.0
/* The side of vmapcache: see allocator.c. */
#define VMAPCACHE_DROPIN
#include "allocator.c"
