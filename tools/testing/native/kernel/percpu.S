/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The per-CPU variables that compiled code names. Each CPU has a copy of this section, and gs says
 * how far from here it is. The room behind them is for pcpu_alloc_noprof().
 */
	.section .data..percpu, "aw", @progbits
	.balign 64
	.globl __preempt_count, cpu_number, numa_node, this_cpu_off
	.globl const_current_task, __ref_stack_chk_guard
__preempt_count:	.quad 0x8000000000000000
cpu_number:		.long 0
numa_node:		.long 0
this_cpu_off:		.quad 0
const_current_task:	.quad 0
__ref_stack_chk_guard:	.quad 0x5bd1e9955bd1e900

	.section .data..percpu_space, "aw", @progbits
	.balign 64
	.globl percpu_space
percpu_space:		.zero 131072

	.section .note.GNU-stack, "", @progbits
