#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="count the locks that CPUs share: at most 20 per 1,000 operations once stocks are full"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
# A magazine takes a 256th part of the arena: in a small one there are few large areas to it.
large=64
[ "$(stat bytes_arena)" -ge $((8 << 30)) ] || large=8
for pages in 1 4 $large; do
	# Stocks grow until they cover what is lazy while a purge waits for its turn.
	for round in $(seq 8); do
		locks=$(stat shared_locks)
		kcase pairs count=25000 threads=2 pages="$pages"
		locks=$(($(stat shared_locks) - locks))
		per1000=$((locks * 1000 / (2 * $(noted count))))
		[ "$per1000" -gt 20 ] || break
	done
	echo "$pages pages, round $round: $per1000 shared locks per 1,000 operations, $(noted ns) ns per pair"
	[ "$per1000" -le 20 ] || fail "more than 20 shared locks per 1,000 operations"
done
empty
