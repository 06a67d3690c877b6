#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
FIRST=1
DESCRIPTION="do everything at once: all calls, sizes, CPUs and interrupts, under readers, switches and memory pressure"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# SECONDS_EACH at a time, MINUTES in all: each part begins with a balanced arena, and
# with a seed of its own.
seconds=${SECONDS_EACH:-10}
# Where what comes before and behind takes long.
[ "$SLOWNESS" = 1 ] || seconds=${SECONDS_EACH:-$((${MINUTES:-0} > 0 ? 30 : 10))}
parts=$((${MINUTES:-0} * 60 / seconds))
[ "$parts" -ge 1 ] || parts=1
seed=${SEED:-1}

# disturb: readers, purges, switches, memory pressure, CPUs that come and go
disturb() {
	while [ ! -e "$TMP/enough" ]; do
		cat $ours/info $ours/callers $ours/stats /proc/vmapcacheinfo >/dev/null
		echo 1 >$ours/purge
		for switch in free_area_cache magazines lookup_cache info_cache; do
			echo 0 >$ours/switches/$switch
			head -n 3 /proc/vmapcacheinfo >/dev/null
			echo 1 >$ours/switches/$switch
		done
		echo 2 >/proc/sys/vm/drop_caches
		# Most free memory becomes a reserve, so that the kernel starts to reclaim.
		free=$(awk '$1 == "MemFree:" { print $2 }' /proc/meminfo)
		echo $((free * 85 / 100)) >$reserve
		sleep 0.2
		echo "$usual" >$reserve
		for limit in 0 100 16384; do
			echo $limit >$ours/lazy_max_pages
			cat $ours/info >/dev/null
		done
		for online in /sys/devices/system/cpu/cpu[1-9]*/online; do
			[ -w "$online" ] || continue
			echo 0 >"$online"
			sleep 0.2
			echo 1 >"$online"
		done
	done
}

own
is_loaded vmapcache_test || insmod "$TMP/vmapcache_test.ko" || fail "insmod vmapcache_test.ko"
reserve=/proc/sys/vm/min_free_kbytes
usual=$(cat $reserve)
trap ': >"$TMP/enough"; wait; echo "$usual" >$reserve' EXIT
while [ "$parts" -gt 0 ]; do
	echo "seed $seed"
	rm -f "$TMP/enough"
	disturb &
	disturber=$!
	kcase torture seconds="$seconds" seed="$seed"
	: >"$TMP/enough"
	wait $disturber
	grep -v failures "$TMP/notes"
	# A watchdog reports no progress, and this hardly any.
	[ "$(noted operations)" -ge 1000 ] || fail "hardly anything was done"
	# Nothing is lost: all live, lazy and stock areas become free space again, in one piece.
	empty
	[ "$(wc -l </proc/vmapcacheinfo)" = 0 ] || fail "$(wc -l </proc/vmapcacheinfo) areas are listed"
	kcase take_all arena_pages="$(arena_pages)"
	empty
	# What was in nobody's way is in stock still.
	kcase drain
	[ "$(stat bytes_stock)" = 0 ] || fail "$(stat bytes_stock) bytes are in stock"
	[ "$(stat largest_free_bytes)" = "$(stat bytes_arena)" ] ||
		fail "$(stat largest_free_bytes) bytes of $(stat bytes_arena) are free in one piece"
	seed=$((seed + 1))
	parts=$((parts - 1))
done
