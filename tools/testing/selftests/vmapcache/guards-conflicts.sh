#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=200
DESCRIPTION="put tracers and kprobes on functions that have a guard, and another direct call in a guard's place, and see which guards are in effect"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
guarded
tracing=/sys/kernel/tracing
[ -e $tracing/current_tracer ] || mount -t tracefs tracefs $tracing || fail "no tracefs"

# in_effect: the guards that are on do what they say
in_effect() {
	kcase foreign_frees rounds="$(less 2000)"
	kcase aliases
	kcase found
	kcase in_tree_vreallocs
	areas_end
}

# Tracers, and then kprobes, on the same functions.
functions='vfree vunmap vfree_atomic vm_unmap_ram vm_unmap_aliases find_vm_area find_vmap_area vread_iter'
echo "$functions" >$tracing/set_ftrace_filter || fail "set_ftrace_filter"
for tracer in function function_graph; do
	grep -qw $tracer $tracing/available_tracers || continue
	echo $tracer >$tracing/current_tracer || fail "$tracer"
	in_effect
	grep -q vfree $tracing/trace || fail "$tracer has seen no vfree()"
	echo nop >$tracing/current_tracer
done
echo >$tracing/set_ftrace_filter
for function in $functions; do
	echo "p:vmapcache_$function $function" >>$tracing/kprobe_events || fail "a kprobe on $function"
	echo 1 >"$tracing/events/kprobes/vmapcache_$function/enable" || fail "the kprobe on $function"
done
in_effect
grep -q vmapcache_vfree: $tracing/trace || fail "the kprobe has seen no vfree()"
for function in $functions; do
	echo 0 >"$tracing/events/kprobes/vmapcache_$function/enable"
done
echo >$tracing/kprobe_events
echo >$tracing/trace
# When they have gone, the guards are still there.
in_effect
guarded

# Somebody else's direct call: whoever comes second is refused.
insmod "$TMP/vmapcache_direct.ko" 2>/dev/null && fail "a second direct call on vunmap()"
unload
insmod "$TMP/vmapcache_direct.ko" || fail "insmod vmapcache_direct.ko"
expect_log 'vmapcache: no guard on vunmap\(\): a BPF program, a livepatch or another direct call has it'
load
[ "$(stat guard_vunmap)" = busy ] || fail "guard_vunmap is $(stat guard_vunmap)"
[ "$(grep '^guard_' $ours/stats | grep -vc ' on$')" = 1 ] || fail "$(grep ^guard_ $ours/stats)"
kcase found
kcase in_tree_vreallocs
areas_end
unload
insmod "$TMP/vmapcache.ko" guards=require 2>"$TMP/error" && fail "guards=require with one missing"
grep -q 'busy' "$TMP/error" || fail "guards=require: $(cat "$TMP/error")"
rmmod vmapcache_direct || fail "rmmod vmapcache_direct"
nothing_left
load guards=require
guarded
unload
nothing_left
