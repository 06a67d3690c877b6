/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NATIVE_DECODE_H
#define NATIVE_DECODE_H

#include <ucontext.h>

/* One access to memory. */
struct access {
	unsigned long address;
	int write;
};

#define ACCESSES_MAX	2

/*
 * What the instruction that is to run next does to memory, its stack aside. Returns the number of
 * accesses, or -1 if this does not know the instruction.
 */
int decode(const ucontext_t *context, unsigned long gs, struct access *accesses);

#endif /* NATIVE_DECODE_H */
