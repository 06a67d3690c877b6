#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=700
LONG="each rival comes before and after the guard"
DESCRIPTION="have a BPF program, a livepatch, another direct call and a kprobe with a post_handler on a function that should have a guard, before and after the guard: who comes second is refused, with a line"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tools/testing/selftests/vmapcache/lib-rivals.sh
. "${0%/*}/lib-rivals.sh"

own
guarded
line='vmapcache: no guard on vunmap\(\): a BPF program, a livepatch, a kprobe with a post_handler or another direct call has it'

# works: what has a guard is served; nobody frees by the function that has none
works() {
	kcase found
	kcase aliases
	kcase in_tree_vreallocs
	areas_end
}

tried=
for name in direct kprobe fentry fexit livepatch; do
	rival_exists $name || continue
	tried="$tried $name"

	# It comes second, and is refused.
	rival_refused $name vunmap
	guarded
	works
	kcase foreign_frees rounds="$(less 500)"
	areas_end

	# It comes first.
	unload
	rival_begins $name vunmap || fail "$name without a guard: $(cat "$TMP/error")"
	mark="guards-conflicts $name $$"
	echo "$mark" >/dev/kmsg
	load
	dmesg | sed -n "/$mark/,\$p" >"$TMP/said"
	[ "$(grep -c 'no guard on' "$TMP/said")" = 1 ] || fail "$name: $(cat "$TMP/said")"
	grep -qE "$line" "$TMP/said" || fail "$name: $(cat "$TMP/said")"
	[ "$(stat guard_vunmap)" = busy ] || fail "$name: guard_vunmap is $(stat guard_vunmap)"
	[ "$(grep '^guard_' $ours/stats | grep -vc ' on$')" = 1 ] || fail "$name: $(grep ^guard_ $ours/stats)"
	works
	unload
	insmod "$TMP/vmapcache.ko" guards=require 2>"$TMP/error" && fail "$name: guards=require with one missing"
	grep -q 'busy' "$TMP/error" || fail "$name, guards=require: $(cat "$TMP/error")"
	# The rival's module has our name in it, too.
	if is_loaded vmapcache || [ -e $ours ] || grep -q '\[vmapcache\]' /proc/vmallocinfo; then
		fail "$name: something of vmapcache is left"
	fi

	# It goes while the module is there; the next load has all guards.
	load
	kcase contents allocator=in-tree areas=100
	rival_ends
	works
	load guards=require
	guarded
done
echo "against$tried"
unload
nothing_left
