#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=300
LONG="it has a boot of its own, which the kernel traces"
DESCRIPTION="record a boot that the kernel's command line has traced, compare it with what tracefs prints of it"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

needs_tool
"$TOOL" record --help >/dev/null 2>&1 || skip "a program vmapcache without record"
tracing=/sys/kernel/tracing
[ -e $tracing/instances ] || mount -t tracefs tracefs $tracing 2>/dev/null
[ -e $tracing/events/vmalloc ] || skip "this kernel has no trace events of vmalloc"

# said STATUS PATTERN ARGUMENT...: `record` with these ends with that status and says that, and in one line what is wrong
said() {
	wanted=$1 pattern=$2
	shift 2
	"$TOOL" record -o "$TMP/rec" "$@" >"$TMP/out" 2>"$TMP/err" </dev/null
	status=$?
	cat "$TMP/err"
	[ $status = "$wanted" ] || fail "vmapcache record $*: status $status"
	grep -q "$pattern" "$TMP/err" || fail "vmapcache record $*: does not say '$pattern'"
	[ "$wanted" != 2 ] || [ "$(wc -l <"$TMP/err")" = 1 ] || fail "vmapcache record $*: more than a line"
	[ "$wanted" != 2 ] || [ ! -e "$TMP/rec" ] || fail "vmapcache record $*: left a file"
}

# Nobody has traced this one, nor that, whatever the command line has.
said 2 'boot with this on the kernel.s command line: trace_instance=nobody,vmalloc' --boot=nobody
mkdir $tracing/instances/made
said 2 'not made by the kernel.s command line' --boot=made
rmdir $tracing/instances/made
said 2 'no name of an instance' --boot=../instances/made

booted=$tracing/instances/vmapcache
grep -q 'trace_instance=vmapcache,vmalloc' /proc/cmdline || skip "the kernel's command line has no trace_instance=vmapcache,vmalloc"
[ -e $booted ] || skip "another run has recorded this boot"

# What it cannot write costs nothing.
"$TOOL" record --boot -o /nowhere/rec 2>"$TMP/err"
[ $? = 2 ] || fail "wrote /nowhere/rec"
[ "$(cat $booted/tracing_on)" = 1 ] || fail "stopped, although there is nowhere to write to"

# kept FILE: allocations and frees, as tracefs prints them: CPU, and bytes of an allocation
printed() {
	sed -n 's/^ *[^ ].*\[0*\([0-9]\{1,\}\)\].*: alloc_vmap_area: .* size=\([0-9]*\) .* failed=0$/\1 alloc \2/p
		s/^ *[^ ].*\[0*\([0-9]\{1,\}\)\].*: free_vmap_area_noflush: .*/\1 free/p' "$1" | LC_ALL=C sort
}
echo 0 >$booted/tracing_on
cat $booted/trace >"$TMP/trace"
lost=$(awk '$1 == "overrun:" { lost += $2 } END { print lost }' $booted/per_cpu/cpu*/stats)
printed "$TMP/trace" >"$TMP/wanted"
[ "$(wc -l <"$TMP/wanted")" -gt 50 ] || fail "tracefs prints too little: $(head "$TMP/trace")"

if [ "$lost" = 0 ]; then
	said 0 ', 0 events lost: ' --boot
else
	said 1 "had no room for $lost events.* boot again with trace_instance=vmapcache,vmalloc .*trace_buf_size=[0-9]*M" --boot
fi
[ ! -e $booted ] || fail "the instance is still there"
"$TOOL" recording "$TMP/rec" -O csv | sed 1d | awk -F, '{ print $2, $3 ($3 == "alloc" ? " " $5 : "") }' | LC_ALL=C sort >"$TMP/recorded"
cmp "$TMP/wanted" "$TMP/recorded" || fail "recorded: $(wc -l <"$TMP/recorded"), printed: $(wc -l <"$TMP/wanted")"
"$TOOL" recording "$TMP/rec" | tee "$TMP/out"
from="whose beginning is lost"
[ "$lost" != 0 ] || from="from the kernel's beginning"
grep -q "^of a boot, $from\$" "$TMP/out" || fail "it does not say that it is of a boot"
grep -Eq '^ +[0-9]+  (copy_process|dup_task_struct|alloc_thread_stack_node)' "$TMP/out" || fail "nobody asked for stacks"
if [ "$lost" = 0 ]; then
	# Before the first process, and nothing is older than the beginning.
	"$TOOL" recording "$TMP/rec" --requests | head -n 3 | grep -q 'caller=\(irq_init_percpu_irqstack\|init_IRQ\|acpi_.*\|.*init.*\)$' ||
		fail "the kernel's beginning is missing: $("$TOOL" recording "$TMP/rec" --requests | head -n 3)"
	grep -q '(0 of older ones)' "$TMP/out" || fail "frees of what is older than the boot"
fi
rm "$TMP/rec"
said 2 'gone, although the kernel.s command line asks for it' --boot

# The command line has left an option, which a recording by itself does not inherit.
[ "$(cat $tracing/options/stacktrace)" = 1 ] || fail "the command line has no trace_options=stacktrace"
"$TOOL" record -o "$TMP/rec" --no-callers -- sh -c '(sleep 0.1) & (sleep 0.1) & (sleep 0.1) & wait' || fail "record after a boot"
"$TOOL" recording "$TMP/rec" -O csv --filter 'caller!=' | sed 1d >"$TMP/rows"
[ ! -s "$TMP/rows" ] || fail "callers, with --no-callers: $(head -n 3 "$TMP/rows")"
echo 0 >$tracing/options/stacktrace
