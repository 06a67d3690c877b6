#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
FIRST=2
DESCRIPTION="put the kernel under memory pressure and see stocks and lazy areas given back"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
kcase pairs count=10000 pages=1
kcase pairs count=2000 pages=16
full=$(($(stat bytes_stock) + $(stat bytes_lazy)))
[ "$full" -gt 0 ] || fail "no stock"
# No work item purges later.
echo 1 >$ours/purge
# The kernel does this under memory pressure.
purges=$(stat purges)
for _ in 1 2 3 4 5 6 7 8; do
	echo 2 >/proc/sys/vm/drop_caches
done
purges=$(($(stat purges) - purges))
[ "$purges" = 1 ] || fail "the shrinker purged $purges times for what it found once"
left=$(($(stat bytes_stock) + $(stat bytes_lazy)))
echo "$full bytes of addresses in stock or lazy, $left after the shrinker"
[ "$left" -le $((full / 10)) ] || fail "the shrinker left $left of $full bytes"
# All of it went back to the extents, under locks.
echo "longest hold of a lock $(stat hold_max_ns) ns"
[ "$(stat hold_max_ns)" -gt 0 ] || fail "no lock was ever held"
# While others allocate.
echo 2 >/proc/sys/vm/drop_caches &
kcase contents areas=200
wait
empty
