#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
LONG="a load for each kernel function that the module needs"
DESCRIPTION="load the module with each kernel function that it needs under a name that no kernel has"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# stats says how the module found each symbol.
own
sed -n 's/^symbol_\([^ ]*\) .*/\1/p' $ours/stats >"$TMP/symbols"
unload
rm -f "$TMP/defaults"
[ "$(wc -l <"$TMP/symbols")" -ge 6 ] || fail "stats names $(wc -l <"$TMP/symbols") symbols"

while read -r name; do
	# As long as the true one, so that all else in the file stays where it is.
	LC_ALL=C sed "s/\\x00$name\\x00/\\x00${name%??}zz\\x00/g" "$TMP/vmapcache.ko" >"$TMP/lacking.ko"
	! cmp -s "$TMP/vmapcache.ko" "$TMP/lacking.ko" || fail "$name is not in the module"
	case $name in
		free_pages_bulk | alloc_pages_bulk_mempolicy_noprof | ftrace_location | kvfree_rcu_barrier | \
			debug_check_no_obj_freed | set_direct_map_* | vmap_notify_list | saved_command_line)
			# Faster than what there is without it, or for guards, and no more.
			insmod "$TMP/lacking.ko" || fail "without $name"
			grep -q "^symbol_${name%??}zz " $ours/stats || fail "$name: $(grep symbol_ $ours/stats)"
			kcase contents areas=20
			empty
			unload
			;;
		*)
			expect_log "vmapcache: kernel symbol ${name%??}zz not found: the kernel must be built with CONFIG_"
			if insmod "$TMP/lacking.ko" 2>"$TMP/error"; then
				fail "loaded without $name"
			fi
			grep -qE 'No such file|Unknown symbol' "$TMP/error" || fail "$name: $(cat "$TMP/error")"
			;;
	esac
	nothing_left
done <"$TMP/symbols"

# The laboratory has its own, and is refused likewise.
load
for name in get_vm_area __get_vm_area_node find_vm_area __vmalloc_node_noprof vmap_pages_range_noflush \
	vunmap_range_noflush __module_address; do
	LC_ALL=C sed "s/\\x00$name\\x00/\\x00${name%??}zz\\x00/g" "$TMP/vmapcache_bench.ko" >"$TMP/lacking.ko"
	! cmp -s "$TMP/vmapcache_bench.ko" "$TMP/lacking.ko" || fail "$name is not in the laboratory"
	expect_log "vmapcache_bench: kernel symbol ${name%??}zz not found: the kernel must be built with CONFIG_"
	if insmod "$TMP/lacking.ko" 2>"$TMP/error"; then
		fail "the laboratory loaded without $name"
	fi
	grep -qE 'No such file|Unknown symbol' "$TMP/error" || fail "$name: $(cat "$TMP/error")"
	[ ! -e $ours/bench ] || fail "$name: the laboratory has left $ours/bench"
done
unload
nothing_left

# A function that has a guard. Where it is missing the others have theirs, unless all are required.
load
if [ "$(stat guard_vfree 2>/dev/null)" = on ]; then
	all=$(grep -c '^guard_.* on$' $ours/stats)
	unload
	LC_ALL=C sed 's/\x00remove_vm_area\x00/\x00remove_vm_arzz\x00/g' "$TMP/vmapcache.ko" >"$TMP/lacking.ko"
	expect_log 'vmapcache: no guard on remove_vm_arzz\(\): this kernel has no such function'
	insmod "$TMP/lacking.ko" || fail "without a function that has a guard"
	[ "$(stat guard_remove_vm_arzz)" = none ] || fail "guard_remove_vm_arzz is $(stat guard_remove_vm_arzz)"
	[ "$(grep -c '^guard_.* on$' $ours/stats)" = $((all - 1)) ] || fail "$(grep ^guard_ $ours/stats)"
	unload
	insmod "$TMP/lacking.ko" guards=require 2>"$TMP/error" && fail "guards=require without a function"
fi
unload
nothing_left
rm "$TMP/lacking.ko"
echo "$(wc -l <"$TMP/symbols") symbols, and 7 of the laboratory"
