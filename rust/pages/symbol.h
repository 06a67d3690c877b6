/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A kernel function that modules cannot link, and how it was found.
 */
#ifndef VMAPCACHE_SYMBOL_H
#define VMAPCACHE_SYMBOL_H

#include "alone.h"

/**
 * struct vc_symbol - a kernel function that modules cannot link
 * @name: its name
 * @how: the way it was found, or NULL
 * @needs: the kernel options that it needs
 * @optional: the module works without it
 */
struct vc_symbol {
	const char *name;
	const char *how;
	const char *needs;
	bool optional;
};

#endif /* VMAPCACHE_SYMBOL_H */
