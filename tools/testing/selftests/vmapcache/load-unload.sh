#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
FIRST=2
TIMEOUT=700
LONG="200 loads"
DESCRIPTION="load the module and unload it 200 times, with readers, consumers and open files in between, and find no memory lost afterwards"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# refuses WHY: rmmod says that the module is in use
refuses() {
	rmmod vmapcache 2>"$TMP/error" && fail "it went under $1"
	grep -q 'in use' "$TMP/error" || fail "under $1: $(cat "$TMP/error")"
}

unload
rm -f "$TMP/defaults"
rounds=$(less 200)
# With KASAN each page of it has a shadow, and none is larger than 1 GiB.
sizes=9
[ "$SLOWNESS" = 1 ] || sizes=3
before=0
round=0
refused=0
while [ $round -lt "$rounds" ]; do
	round=$((round + 1))
	# The arena needs not be at the same place, or of the same size: 64 MiB to 16 GiB.
	insmod "$TMP/vmapcache.ko" arena_mb=$((64 << round % sizes)) || fail "insmod, round $round"
	case $((round % 10)) in
		0)
			kcase contents areas=100 seed=$round
			refuses "a consumer"
			rmmod vmapcache_test || fail "rmmod vmapcache_test, round $round"
			;;
		3)
			exec 3<$ours/info
			refuses "an open file"
			read -r _ <&3 || fail "it cannot be read"
			exec 3<&-
			;;
		5)
			# What it does at load takes time.
			if [ $((round % 50)) = 5 ]; then
				laboratory
				refuses "the laboratory"
				exec 3<$bench/progress
				rmmod vmapcache_bench 2>/dev/null && fail "the laboratory went under an open file"
				exec 3<&-
				unload vmapcache_bench
				[ ! -e $bench ] || fail "the laboratory has left $bench"
			fi
			;;
		6)
			# One does not keep the module.
			exec 3</proc/vmapcacheinfo
			;;
		9)
			cat $ours/stats $ours/callers /proc/vmapcacheinfo >/dev/null || fail "files"
			grep -q '\[vmapcache\]' /proc/vmallocinfo || fail "no arena in /proc/vmallocinfo"
			;;
	esac
	rmmod vmapcache || fail "rmmod, round $round"
	exec 3<&-
	if [ $((round % 10)) = 0 ]; then
		nothing_left
		# The first rounds warm up.
		[ "$before" != 0 ] || before=$(free_pages)
	fi
done
nothing_left
# A page for each round would be 190.
lost=$(pages_lost "$before" 150)
echo "$before pages free after 10 rounds, $lost less after $rounds"
[ "$lost" -lt 150 ] || fail "$lost pages lost in $rounds rounds"
