#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=200
DESCRIPTION="take functions over that somebody else has a direct call on, or that are traced, and see which of them are served"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

can_take_over
tracing=/sys/kernel/tracing
[ -e $tracing/current_tracer ] || mount -t tracefs tracefs $tracing || fail "no tracefs"
echo '[unaware]' >$takeover/filter || fail "filter"

# Somebody else came first: that function is named, the others are taken over.
insmod "$TMP/vmapcache_direct.ko" function=vmap || fail "insmod vmapcache_direct.ko"
expect_log 'vmapcache: no takeover of vmap\(\): a BPF program, a livepatch, a kprobe with a post_handler or another direct call has it'
echo on >$takeover/enable || fail "on"
grep -q '^hook_vmap busy$' $takeover/stats || fail "$(grep ^hook_ $takeover/stats)"
[ "$(grep -c '^hook_.* on$' $takeover/stats)" = 2 ] || fail "$(grep ^hook_ $takeover/stats)"
user hold vmap 5 3
user hold vmalloc 5 3
[ "$(taken vmap_redirected)" = 0 ] || fail "vmap() was taken over"
[ "$(taken vmalloc_redirected)" = 5 ] || fail "vmalloc() was not taken over"
user release
echo unhooked >$takeover/enable || fail "unhooked"
rmmod vmapcache_direct || fail "rmmod vmapcache_direct"

# Then it is free.
echo on >$takeover/enable || fail "on"
insmod "$TMP/vmapcache_direct.ko" function=vmap 2>/dev/null && fail "a second direct call on vmap()"
# function_graph hides the callers of what it traces, in-tree as well.
echo all >$takeover/filter || fail "filter"
functions='vmap vm_map_ram __vmalloc_node_range_noprof'
echo "$functions" >$tracing/set_ftrace_filter || fail "set_ftrace_filter"
for tracer in function function_graph; do
	grep -qw $tracer $tracing/available_tracers || continue
	echo $tracer >$tracing/current_tracer || fail "$tracer"
	was=$(($(taken vmap_redirected) + $(taken vm_map_ram_redirected) + $(taken vmalloc_redirected)))
	user hold vmap 5 3
	user hold vm_map_ram 5 3
	user hold vmalloc 5 3
	now=$(($(taken vmap_redirected) + $(taken vm_map_ram_redirected) + $(taken vmalloc_redirected)))
	echo nop >$tracing/current_tracer
	[ $((now - was)) -ge 15 ] || fail "$tracer: $((now - was)) of 15 calls were taken over"
	user release
done
echo >$tracing/set_ftrace_filter
echo >$tracing/trace
takeover_ends
unloads
nothing_left
