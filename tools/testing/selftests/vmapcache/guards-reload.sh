#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
TIMEOUT=700
LONG="50 loads"
DESCRIPTION="load and unload the module ROUNDS times while processes come and go, whose stacks go through guards, with frees left to RCU and to work items"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
guarded
unload
rm -f "$TMP/defaults"
tasks=
for _ in 1 2; do
	while :; do
		cat /proc/self/maps
	done >/dev/null 2>&1 &
	tasks="$tasks $!"
done
# shellcheck disable=SC2064,SC2086 # the numbers of now
trap "kill $tasks" EXIT
mark="guards-reload $$"
echo "$mark" >/dev/kmsg
round=0
rounds=${ROUNDS:-$(less 50)}
while [ $round -lt "$rounds" ]; do
	round=$((round + 1))
	insmod "$TMP/vmapcache.ko" guards=require arena_mb=1024 || fail "insmod, round $round"
	# As much in the last of many rounds as in the first ones.
	kcase foreign_frees rounds=$((round % 50 * 7 + 7))
	rmmod vmapcache_test || fail "rmmod vmapcache_test, round $round"
	rmmod vmapcache || fail "rmmod, round $round"
done
nothing_left
echo "$rounds rounds"
# What RCU still had to free when the consumer went is no leak.
if dmesg | sed -n "/$mark/,\$ s/.*leaked area/leaked area/p" | grep .; then
	fail "an area that RCU had to free was reported"
fi
