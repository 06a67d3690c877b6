// SPDX-License-Identifier: GPL-2.0
/* The side of the in-tree allocator: see allocator.c. */
#include "allocator.c"
