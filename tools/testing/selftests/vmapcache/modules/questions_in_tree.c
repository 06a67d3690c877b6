// SPDX-License-Identifier: GPL-2.0
/*
 * The questions, to the in-tree allocator.
 */
#define QUESTIONS	questions_in_tree

#include "questions.h"
