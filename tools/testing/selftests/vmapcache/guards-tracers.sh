#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
TIMEOUT=700
LONG="each tracer comes before and after the guards"
DESCRIPTION="put tracers and kprobes on functions that have a guard, before and after the guards, and see the guards in effect all the time"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
guarded
tracing=/sys/kernel/tracing
[ -e $tracing/current_tracer ] || mount -t tracefs tracefs $tracing || fail "no tracefs"
functions='vfree vunmap vfree_atomic vm_unmap_ram vm_unmap_aliases find_vm_area find_vmap_area vread_iter'

# in_effect: the guards are on, and do what they say
in_effect() {
	guarded
	kcase foreign_frees rounds="$(less 2000)"
	kcase aliases
	kcase found
	kcase in_tree_vreallocs
	areas_end
}

tracer_on() {
	echo "$functions" >$tracing/set_ftrace_filter || fail "set_ftrace_filter"
	echo "$1" >$tracing/current_tracer || fail "$1"
}

tracer_off() {
	grep -q vfree $tracing/trace || fail "the tracer has seen no vfree()"
	echo nop >$tracing/current_tracer
	echo >$tracing/set_ftrace_filter
}

kprobes_on() {
	for function in $functions; do
		echo "p:vmapcache_$function $function" >>$tracing/kprobe_events || fail "a kprobe on $function"
		echo 1 >"$tracing/events/kprobes/vmapcache_$function/enable" || fail "the kprobe on $function"
	done
}

kprobes_off() {
	grep -q vmapcache_vfree: $tracing/trace || fail "the kprobe has seen no vfree()"
	for function in $functions; do
		echo 0 >"$tracing/events/kprobes/vmapcache_$function/enable"
	done
	echo >$tracing/kprobe_events
	echo >$tracing/trace
}

for tracer in function function_graph; do
	grep -qw $tracer $tracing/available_tracers || continue
	tracer_on $tracer
	in_effect
	tracer_off
done
kprobes_on
in_effect
kprobes_off
# When they have gone, the guards are still there.
in_effect

# The other way round: they are there first, stay while the module comes and goes, and go while
# the guards are on.
for first in tracer kprobes; do
	unload
	if [ $first = tracer ]; then
		tracer_on function
	else
		kprobes_on
	fi
	for _ in $(seq "$(less 2)"); do
		load
		in_effect
		unload
		nothing_left
	done
	load
	${first}_off
	in_effect
done
unload
nothing_left
