// SPDX-License-Identifier: GPL-2.0
/*
 * Decodes the memory operands of x86-64 instructions, as far as the kernel's compilers use them: no
 * vectors, no floating point.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>

#include "decode.h"

enum { NONE, READ, WRITE, UNKNOWN };

struct instruction {
	const uint8_t *at;
	int operand_16;
	int segment_gs;
	uint8_t rex;
};

static const int registers[16] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static unsigned long value(const ucontext_t *context, unsigned int number)
{
	return context->uc_mcontext.gregs[registers[number]];
}

/* What an instruction with a ModRM byte does to the operand that may be memory. */
static int one_byte(uint8_t opcode, unsigned int reg, unsigned int *immediate, int operand_16)
{
	unsigned int full = operand_16 ? 2 : 4;

	switch (opcode) {
	case 0x00 ... 0x3f:
		/* cmp only reads, and so does what has a register as its destination. */
		return opcode & 2 || opcode >= 0x38 ? READ : WRITE;
	case 0x63:
		return READ;
	case 0x69:
		*immediate = full;
		return READ;
	case 0x6b:
		*immediate = 1;
		return READ;
	case 0x80:
	case 0x83:
		*immediate = 1;
		return reg == 7 ? READ : WRITE;
	case 0x81:
		*immediate = full;
		return reg == 7 ? READ : WRITE;
	case 0x84:
	case 0x85:
	case 0x8a:
	case 0x8b:
		return READ;
	case 0x86 ... 0x89:
	case 0x8f:
	case 0xd0 ... 0xd3:
	case 0xfe:
		return WRITE;
	case 0x8d:
		return NONE;
	case 0xc0:
	case 0xc1:
	case 0xc6:
		*immediate = 1;
		return WRITE;
	case 0xc7:
		*immediate = full;
		return WRITE;
	case 0xf6:
	case 0xf7:
		if (reg < 2)
			*immediate = opcode == 0xf6 ? 1 : full;
		return reg == 2 || reg == 3 ? WRITE : READ;
	case 0xff:
		return reg < 2 ? WRITE : READ;
	}
	return UNKNOWN;
}

static int two_byte(uint8_t opcode, unsigned int reg, unsigned int *immediate)
{
	switch (opcode) {
	case 0x0d:
	case 0x18 ... 0x1f:
	case 0xae:
		/* Hints, nops and fences. */
		return NONE;
	case 0x40 ... 0x4f:
	case 0xa3:
	case 0xaf:
	case 0xb6 ... 0xb8:
	case 0xbc ... 0xbf:
		return READ;
	case 0x90 ... 0x9f:
	case 0xa5:
	case 0xab:
	case 0xad:
	case 0xb0:
	case 0xb1:
	case 0xb3:
	case 0xbb:
	case 0xc0:
	case 0xc1:
	case 0xc3:
	case 0xc7:
		return WRITE;
	case 0xa4:
	case 0xac:
		*immediate = 1;
		return WRITE;
	case 0xba:
		*immediate = 1;
		return reg == 4 ? READ : WRITE;
	}
	return UNKNOWN;
}

/* Whether an opcode has no ModRM byte, and no memory but the stack. */
static int plain(uint8_t opcode)
{
	switch (opcode) {
	case 0x00 ... 0x3f:
		return (opcode & 7) > 3;
	case 0x50 ... 0x5f:
	case 0x68:
	case 0x6a:
	case 0x70 ... 0x7f:
	case 0x90 ... 0x9f:
	case 0xa8:
	case 0xa9:
	case 0xb0 ... 0xbf:
	case 0xc2:
	case 0xc3:
	case 0xc9:
	case 0xcc:
	case 0xe0 ... 0xe3:
	case 0xe8 ... 0xeb:
	case 0xf4:
	case 0xf5:
	case 0xf8 ... 0xfd:
		return 1;
	}
	return 0;
}

/* Instructions on strings, one step of them. */
static int string(const ucontext_t *context, uint8_t opcode, struct access *accesses)
{
	unsigned long from = value(context, 6), to = value(context, 7);

	switch (opcode & ~1) {
	case 0xa4:
		accesses[0] = (struct access) { from, 0 };
		accesses[1] = (struct access) { to, 1 };
		return 2;
	case 0xaa:
		accesses[0] = (struct access) { to, 1 };
		return 1;
	case 0xac:
		accesses[0] = (struct access) { from, 0 };
		return 1;
	case 0xae:
		accesses[0] = (struct access) { to, 0 };
		return 1;
	}
	return -1;
}

/* The address of a memory operand; ->at is behind the ModRM byte, and then behind the operand. */
static unsigned long address_of(const ucontext_t *context, struct instruction *code, uint8_t modrm,
				unsigned int immediate)
{
	unsigned int mod = modrm >> 6, base = modrm & 7, extend = code->rex & 1 ? 8 : 0;
	unsigned long address = 0;
	int relative = mod == 0 && base == 5;
	int32_t distance = 0;

	if (base == 4) {
		uint8_t sib = *code->at++;
		unsigned int index = (sib >> 3 & 7) + (code->rex & 2 ? 8 : 0);

		base = sib & 7;
		if (index != 4)
			address += value(context, index) << (sib >> 6);
		if (mod == 0 && base == 5)
			mod = 4;
	}
	if (mod == 1) {
		distance = (int8_t)*code->at++;
	} else if (mod == 2 || mod == 4 || relative) {
		memcpy(&distance, code->at, sizeof(distance));
		code->at += sizeof(distance);
	}
	if (relative)
		address += (unsigned long)code->at + immediate;
	else if (mod != 4)
		address += value(context, base + extend);
	return address + distance;
}

int decode(const ucontext_t *context, unsigned long gs, struct access *accesses)
{
	struct instruction code = { .at = (const uint8_t *)context->uc_mcontext.gregs[REG_RIP] };
	unsigned int immediate = 0;
	int effect;
	uint8_t opcode, modrm;

	for (;; code.at++) {
		if (*code.at == 0x66)
			code.operand_16 = 1;
		else if (*code.at == 0x65)
			code.segment_gs = 1;
		else if (*code.at != 0xf0 && *code.at != 0xf2 && *code.at != 0xf3 &&
			 *code.at != 0x2e && *code.at != 0x3e)
			break;
	}
	if ((*code.at & 0xf0) == 0x40)
		code.rex = *code.at++;
	opcode = *code.at++;
	if (opcode == 0x0f) {
		opcode = *code.at++;
		/* Conditional jumps, bswap, and instructions without operands. */
		if ((opcode & 0xf0) == 0x80 || (opcode & 0xf8) == 0xc8 || opcode == 0x0b ||
		    opcode == 0x31 || opcode == 0xa2 || opcode == 0x05)
			return 0;
		modrm = *code.at++;
		effect = two_byte(opcode, modrm >> 3 & 7, &immediate);
	} else {
		if (plain(opcode))
			return 0;
		if (opcode >= 0xa4 && opcode <= 0xaf)
			return string(context, opcode, accesses);
		modrm = *code.at++;
		effect = one_byte(opcode, modrm >> 3 & 7, &immediate, code.operand_16);
	}
	if (effect == UNKNOWN)
		return -1;
	if (effect == NONE || modrm >> 6 == 3)
		return 0;
	accesses[0].address = address_of(context, &code, modrm, immediate);
	if (code.segment_gs)
		accesses[0].address += gs;
	accesses[0].write = effect == WRITE;
	return 1;
}
