#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=200
LONG="it starts 500 processes, and waits for the kernel to give their stacks back"
DESCRIPTION="take over the stacks of 500 processes, turn takeover off, and have the kernel give the stacks back that it keeps"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

can_take_over
grep -q ' free_vm_stack_cache$' /proc/kallsyms || skip "this kernel keeps no stacks in vmalloc memory"
threads_apart
# So that the kernel has none in stock.
echo 1 >$takeover/drain || fail "drain"
echo "stacks" >$takeover/what || fail "what"
echo on >$takeover/enable || fail "on"
i=0
tasks=
while [ $i -lt "$(less 100)" ]; do
	i=$((i + 1))
	sleep 600 &
	tasks="$tasks $!"
done
held=$(taken areas_held)
[ "$held" -ge $((i / 2)) ] || fail "$i processes, $held stacks of ours: $(cat $takeover/stats)"
grep -q 'copy_process\|kernel_clone\|alloc_thread_stack\|dup_task_struct' $takeover/holders ||
	fail "holders: $(cat $takeover/holders)"
i=0
while [ $i -lt "$(less 400)" ]; do
	i=$((i + 1))
	/bin/true || fail "process $i"
done
# Stacks of threads of the kernel would keep the module.
modprobe -q loop 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
echo off >$takeover/enable || fail "off"
rmmod vmapcache 2>/dev/null && fail "it went with $(taken areas_held) stacks"
# shellcheck disable=SC2086 # numbers
kill $tasks
wait 2>/dev/null
rmmod unaware || fail "rmmod unaware"
# Tasks that began meanwhile, as this shell's children, end soon; those that stay are not ours.
all_given_back
echo "$(taken stacks_redirected) stacks, $(taken stacks_kthread) left to kernel threads"
empty
unloads
nothing_left
