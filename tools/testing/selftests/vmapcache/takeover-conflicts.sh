#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=700
LONG="each rival comes before and after the hook"
DESCRIPTION="take functions over that a BPF program, a livepatch or another direct call has, or that are traced, and see the others served; whoever comes second is refused"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tools/testing/selftests/vmapcache/lib-rivals.sh
. "${0%/*}/lib-rivals.sh"

can_take_over
# ends: nobody has anything any more
ends() {
	rival_ends
	takeover_ends
}
trap ends EXIT
tracing=/sys/kernel/tracing
[ -e $tracing/current_tracer ] || mount -t tracefs tracefs $tracing || fail "no tracefs"
echo '[unaware]' >$takeover/filter || fail "filter"

# serves TARGET...: these are taken over, the others are not
serves() {
	for target in vmap vm_map_ram vmalloc; do
		was=$(taken ${target}_redirected)
		user hold $target 5 3
		now=$(taken ${target}_redirected)
		case " $* " in
			*" $target "*) [ $((now - was)) = 5 ] || fail "$name: $((now - was)) of 5 calls of $target" ;;
			*) [ "$now" = "$was" ] || fail "$name: $target was taken over" ;;
		esac
	done
	user check
	user release
}

tried=
for name in direct:vmap fentry:vmap fentry:vm_map_ram fentry:__vmalloc_node_range_noprof fexit:vmap livepatch:vmap; do
	who=${name%:*} function=${name#*:}
	rival_exists "$who" || continue
	tried="$tried $name"
	case $function in
		vmap) others="vm_map_ram vmalloc" ;;
		vm_map_ram) others="vmap vmalloc" ;;
		*) others="vmap vm_map_ram" ;;
	esac

	# It came first: that function is named, the others are taken over.
	rival_begins "$who" "$function" || fail "$name: $(cat "$TMP/error")"
	mark="takeover-conflicts $name $$"
	echo "$mark" >/dev/kmsg
	echo on >$takeover/enable || fail "$name: on"
	dmesg | sed -n "/$mark/,\$p" | grep 'no takeover of' >"$TMP/said"
	[ "$(wc -l <"$TMP/said")" = 1 ] || fail "$name: $(cat "$TMP/said")"
	grep -q "vmapcache: no takeover of $function(): a BPF program, a livepatch, a kprobe with a post_handler or another direct call has it" \
		"$TMP/said" || fail "$name: $(cat "$TMP/said")"
	grep -q "^hook_$function busy$" $takeover/stats || fail "$name: $(grep ^hook_ $takeover/stats)"
	[ "$(grep -c '^hook_.* on$' $takeover/stats)" = 2 ] || fail "$name: $(grep ^hook_ $takeover/stats)"
	# shellcheck disable=SC2086 # names
	serves $others
	echo unhooked >$takeover/enable || fail "$name: unhooked"
	rival_ends

	# Then it is free, and whoever comes second is refused.
	echo on >$takeover/enable || fail "$name: on"
	[ "$(grep -c '^hook_.* on$' $takeover/stats)" = 3 ] || fail "$name: $(grep ^hook_ $takeover/stats)"
	rival_refused "$who" "$function"
	serves vmap vm_map_ram vmalloc
	echo unhooked >$takeover/enable || fail "$name: unhooked"
done
echo "against$tried"

echo on >$takeover/enable || fail "on"
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
