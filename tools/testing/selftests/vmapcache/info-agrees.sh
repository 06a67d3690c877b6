#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
DESCRIPTION="hold areas of all kinds, free some, and read the same sums from info, stats, callers and /proc/vmapcacheinfo"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
info=$ours/info
proc=/proc/vmapcacheinfo

# sums FILE: live, lazy and all bytes of its lines
sums() {
	awk '$3 == "unpurged" { lazy += $2; next } { live += $2; n++ }
		END { printf "lines %d\nlive %d\nlazy %d\n", n, live, lazy }' "$1"
}

# compare WHEN: at rest all files say the same
compare() {
	cat $info >"$TMP/info"
	cat $ours/stats >"$TMP/stats"
	cat $ours/callers >"$TMP/callers"
	cat $proc >"$TMP/proc"
	sums "$TMP/proc" >"$TMP/sums"
	for key in bytes_live bytes_guard bytes_lazy bytes_free bytes_stock bytes_arena areas \
		free_extents largest_free_bytes; do
		[ "$(value $key "$TMP/info")" = "$(value $key "$TMP/stats")" ] ||
			fail "$1: $key is $(value $key "$TMP/info") in info, $(value $key "$TMP/stats") in stats"
	done
	live=$(value bytes_live "$TMP/info")
	guard=$(value bytes_guard "$TMP/info")
	lazy=$(value bytes_lazy "$TMP/info")
	[ "$(value live "$TMP/sums")" = $((live + guard)) ] ||
		fail "$1: the lines of live areas have $(value live "$TMP/sums") bytes, not $((live + guard))"
	[ "$(value lazy "$TMP/sums")" = "$lazy" ] ||
		fail "$1: the lines of lazy areas have $(value lazy "$TMP/sums") bytes, not $lazy"
	[ "$(value lines "$TMP/sums")" = "$(value areas "$TMP/info")" ] ||
		fail "$1: $(value lines "$TMP/sums") lines of live areas, $(value areas "$TMP/info") areas"
	used=$(value bytes_used "$TMP/info")
	free=$(value bytes_free "$TMP/info")
	[ "$used" = $((live + guard + lazy)) ] || fail "$1: used $used"
	[ "$((used + free))" = "$(value bytes_arena "$TMP/info")" ] || fail "$1: used and free $((used + free))"
	held=$(awk '!/^#/ { n += $1 } END { printf "%d\n", n }' "$TMP/callers")
	[ "$held" = "$live" ] || fail "$1: callers hold $held bytes, of $live"
	held=$(awk '!/^#/ { n += $3 - $4 } END { printf "%d\n", n }' "$TMP/callers")
	[ "$held" = "$(value areas "$TMP/info")" ] || fail "$1: callers have $held areas"
	awk '!/^#/ { if (last != "" && $1 > last) exit 1; last = $1 }' "$TMP/callers" ||
		fail "$1: callers are not sorted"
	held=$(awk '/^areas_upto/ { n += $2 } END { printf "%d\n", n }' "$TMP/info")
	[ "$held" = "$(value areas "$TMP/info")" ] || fail "$1: sizes of $held areas"
	held=$(awk '/^free_extents_upto/ { n += $2 } END { printf "%d\n", n }' "$TMP/info")
	[ "$held" = "$(value free_extents "$TMP/info")" ] || fail "$1: sizes of $held free extents"
	if grep -qE '0x[0-9a-f]{8}|[^0-9a-f]ffff[0-9a-f]{8}' "$TMP/info" "$TMP/callers"; then
		fail "$1: an address is shown"
	fi
	echo "$1: $(value areas "$TMP/info") areas, $live bytes live, $lazy lazy, $(value bytes_stock "$TMP/info") in stock"
}

[ "$(value cached $info)" = no ] || fail "the first read came from the cache"
[ "$(value cached $info)" = yes ] || fail "the second read did not"
compare "nothing there"
keeper areas=700 max_pages=40 lazy=150
compare "held"
[ "$(value bytes_lazy $info)" != 0 ] || fail "nothing is lazy"
[ "$(value cached $info)" = yes ] || fail "reading has changed something"
grep -q ' keep.* \[vmapcache_test\]$' $ours/callers || fail "the caller is not named"
grep -q '^caller_1 .* keep+.* \[vmapcache_test\]$' $info || fail "the largest caller is not named"
echo 1 >$ours/purge
[ "$(value cached $info)" = no ] || fail "a purge has not changed anything"
compare "purged"
[ "$(value bytes_lazy $info)" = 0 ] || fail "something is lazy after a purge"
[ "$(value bytes_stock $info)" != 0 ] || fail "nothing is in stock"
echo 0 >$ours/switches/info_cache
[ "$(value cached $info)$(value cached $info)" = nono ] || fail "cached with the cache switched off"
echo 1 >$ours/switches/info_cache
keeper_ends
compare "freed"
echo 1 >$ours/purge
compare "empty"
[ "$(value areas $info)" = 0 ] || fail "$(value areas $info) areas are left"
