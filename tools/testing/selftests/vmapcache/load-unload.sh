#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
TIMEOUT=300
DESCRIPTION="load the module, use it and unload it 20 times, and miss nothing afterwards"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# The first rounds warm up: page tables of the vmalloc range stay with the kernel.
before=0
for round in $(seq 20); do
	own
	[ -r $ours/stats ] || fail "no $ours/stats"
	grep -q '\[vmapcache\]' /proc/vmallocinfo || fail "no arena in /proc/vmallocinfo"
	kcase contents areas=100 seed="$round"
	unload
	nothing_left
	[ "$round" != 5 ] || before=$(free_pages)
done
after=$(free_pages)
echo "free pages: $before after 5 rounds, $after after 20"
# A page for each area in each round would be 1,500.
[ $((before - after)) -lt 200 ] || fail "$((before - after)) pages lost in 15 rounds"
