// SPDX-License-Identifier: GPL-2.0
/*
 * The questions, to vmapcache. The header comes twice: without VMAPCACHE_DROPIN it takes no name.
 */
#include <vmapcache.h>

#define VMAPCACHE_DROPIN
#include <vmapcache.h>

#define QUESTIONS	questions_ours

#include "questions.h"
