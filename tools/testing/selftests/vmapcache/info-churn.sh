#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
DESCRIPTION="read info, callers and /proc/vmapcacheinfo while 2 threads allocate, and find every line and every sum possible"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
slots=100
# Real addresses, so that their order can be seen.
restrict=$(cat /proc/sys/kernel/kptr_restrict)
echo 1 >/proc/sys/kernel/kptr_restrict
is_loaded vmapcache_test || insmod "$TMP/vmapcache_test.ko" || fail "insmod vmapcache_test.ko"
echo writers ms=100000 threads=2 slots=$slots max_pages=6 >$cases/run 2>/dev/null &
keeper=$!
trap keeper_ends EXIT
rounds=0
while [ $rounds -lt 6 ]; do
	cat $ours/info >"$TMP/info"
	cat /proc/vmapcacheinfo >"$TMP/proc"
	cat $ours/callers >"$TMP/callers"
	rounds=$((rounds + 1))
	areas=$(value areas "$TMP/info")
	[ "$areas" -le $((2 * slots + 2)) ] || fail "$areas areas of at most $((2 * slots + 2))"
	gross=$(($(value bytes_live "$TMP/info") + $(value bytes_guard "$TMP/info")))
	[ "$gross" -le $(((2 * slots + 2) * 7 * page_bytes)) ] || fail "$gross bytes live"
	for key in bytes_lazy bytes_stock bytes_free; do
		[ "$(value $key "$TMP/info")" -le "$(value bytes_arena "$TMP/info")" ] ||
			fail "$key is $(value $key "$TMP/info")"
	done
	awk '{ if (NF < 2 || $1 !~ /^[a-z_0-9]+$/) { print "info: " $0; exit 1 } }' "$TMP/info" ||
		fail "a line of info"
	awk '!/^#/ && $0 !~ /^[0-9]+ [0-9]+ [0-9]+ [0-9]+ [^ ]+( \[[a-z_0-9]+\])?$/ { print; exit 1 }' \
		"$TMP/callers" || fail "a line of callers"
	# Fixed width, lower case: their order as text is that as numbers.
	awk '{
		split($1, range, "-")
		if ($0 !~ /^0x[0-9a-f]+-0x[0-9a-f]+ +[0-9]+ ([^ ]+\+0x[0-9a-f]+\/0x[0-9a-f]+ \[vmapcache_test\] pages=[0-9]+ vmalloc( vpages)?( N[0-9]+=[0-9]+)* cpu=[0-9]+|unpurged vm_area lazy)$/) {
			print "what is this: " $0
			exit 1
		}
		if (range[1] "" < end "" || range[2] "" <= range[1] "") {
			print "behind " end ": " $0
			exit 1
		}
		end = range[2]
	}' "$TMP/proc" || fail "a line of /proc/vmapcacheinfo"
done
kill -0 $keeper || fail "the writers have given up"
keeper_ends
echo "$restrict" >/proc/sys/kernel/kptr_restrict
echo "$rounds rounds, $(value operations $cases/result) operations"
empty
