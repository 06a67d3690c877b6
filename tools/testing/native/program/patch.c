// SPDX-License-Identifier: GPL-2.0
/*
 * What a kernel does to its own code when it boots and when a module is loaded: alternatives,
 * returns, static calls. The tables are those of both halves' objects.
 */
#include <cpuid.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "code.h"
#include "host.h"

/* As arch/x86/include/asm/alternative.h has it. */
struct alternative {
	int32_t at;
	int32_t with;
	uint16_t feature;
	uint16_t flags;
	uint8_t length;
	uint8_t with_length;
};

/* Bytes of an entry in the table, which has no padding. */
#define ALTERNATIVE	14

#define FLAG_NOT	1
#define FLAG_CALL	2

/* Those of cpufeatures.h that alternatives of these files ask for, and that are not 0 here. */
#define FEATURE(word, bit)	((word) * 32 + (bit))
#define ALWAYS			FEATURE(3, 21)
#define POPCNT			FEATURE(4, 23)
#define ERMS			FEATURE(9, 9)
#define FSRM			FEATURE(18, 4)

#define TAIL	1

struct call_key {
	void *func;
};


/* @from is a place in a table, and what is there is the distance to the code. */
static unsigned char *target(const void *from)
{
	int32_t distance;

	memcpy(&distance, from, sizeof(distance));
	return (unsigned char *)from + distance;
}

static int has(unsigned int feature)
{
	unsigned int a, b = 0, c = 0, d = 0;

	switch (feature) {
	case ALWAYS:
	case POPCNT:
		return 1;
	case ERMS:
		return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & 1 << 9;
	case FSRM:
		return __get_cpuid_count(7, 0, &a, &b, &c, &d) && d & 1 << 4;
	}
	return 0;
}

static void write_alternative(const unsigned char *in_table)
{
	unsigned char *at = target(in_table), *with = target(in_table + sizeof(int32_t));
	struct alternative entry;
	unsigned char code[256];
	int32_t distance;

	memcpy(&entry, in_table, ALTERNATIVE);
	if (has(entry.feature) == !!(entry.flags & FLAG_NOT) || entry.flags & FLAG_CALL)
		return;
	memset(code, 0x90, sizeof(code));
	/* A program must not turn interrupts off or on: cli and sti become nops. */
	if (entry.with_length != 1 || (*with != 0xfa && *with != 0xfb))
		memcpy(code, with, entry.with_length);
	if (entry.with_length == 5 && (code[0] == 0xe8 || code[0] == 0xe9)) {
		memcpy(&distance, code + 1, sizeof(distance));
		distance += with - at;
		memcpy(code + 1, &distance, sizeof(distance));
	}
	memcpy(at, code, entry.length);
}

static void write_return(int32_t *site)
{
	unsigned char *at = target(site);

	/* jmp __x86_return_thunk becomes ret, as without mitigations. */
	if (*at != 0xe9)
		host_fatal("a return site is none");
	at[0] = 0xc3;
	memset(at + 1, 0xcc, 4);
}

/* Calls of the function tracer, which is off. */
static void write_tracer_call(unsigned char *at)
{
	static const unsigned char nothing[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

	if (*at == 0xe8)
		memcpy(at, nothing, sizeof(nothing));
}

static void write_call(unsigned char *at, const void *func, int tail)
{
	static const unsigned char return_0[] = { 0x2e, 0x2e, 0x2e, 0x31, 0xc0 };
	static const unsigned char nothing[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
	int32_t distance = (const unsigned char *)func - (at + 5);

	if (!func && tail) {
		at[0] = 0xc3;
	} else if (!func) {
		memcpy(at, nothing, 5);
	} else if (func == __static_call_return0 && !tail) {
		memcpy(at, return_0, 5);
	} else {
		at[0] = tail ? 0xe9 : 0xe8;
		memcpy(at + 1, &distance, sizeof(distance));
	}
}

/* The key's address, with flags in its low bits. */
static unsigned long key_of(struct call_site *site)
{
	return (unsigned long)&site->key + site->key;
}

static void write_calls(const struct call_key *only)
{
	struct call_site *site;

	for (site = __start_static_call_sites; site < __stop_static_call_sites; site++) {
		struct call_key *key = (struct call_key *)(key_of(site) & ~3UL);

		/* A module names the trampoline where the kernel does not export the key. */
		if ((char *)key == __SCT__cond_resched || (char *)key == __SCT__might_resched)
			write_call(target(&site->at), __static_call_return0, key_of(site) & TAIL);
		else if (!only || key == only)
			write_call(target(&site->at), key->func, key_of(site) & TAIL);
	}
}

void host_static_call(void *key, void *tramp, void *func)
{
	((struct call_key *)key)->func = func;
	write_calls(key);
}

void patch_code(void)
{
	unsigned long from = (unsigned long)__executable_start & ~4095UL;
	unsigned long to = ((unsigned long)etext + 4095) & ~4095UL;
	const unsigned char *entry;
	unsigned char **call;
	int32_t *site;

	if (mprotect((void *)from, to - from, PROT_READ | PROT_WRITE | PROT_EXEC))
		host_fatal("the program may not write to its code");
	for (entry = __start_altinstructions; entry < __stop_altinstructions;
	     entry += ALTERNATIVE)
		write_alternative(entry);
	for (site = __start_return_sites; site < __stop_return_sites; site++)
		write_return(site);
	for (call = __start___mcount_loc; call < __stop___mcount_loc; call++)
		write_tracer_call(*call);
	write_calls(NULL);
}

/* Has every call of the one function go to the other. */
static void replace(void *function, const void *with)
{
	unsigned char *at = function;
	int32_t distance = (const unsigned char *)with - (at + 5);

	at[0] = 0xe9;
	memcpy(at + 1, &distance, sizeof(distance));
}

void count_locks(void)
{
	replace(_raw_spin_lock, counting_spin_lock);
	replace(_raw_spin_trylock, counting_spin_trylock);
	replace(_raw_spin_unlock, counting_spin_unlock);
	replace(_raw_spin_lock_irqsave, counting_spin_lock_irqsave);
	replace(_raw_spin_unlock_irqrestore, counting_spin_unlock_irqrestore);
}
