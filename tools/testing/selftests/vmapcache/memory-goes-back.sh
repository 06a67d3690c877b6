#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
TIMEOUT=240
DESCRIPTION="let 1,000,000 areas come and go, and see their bookkeeping given back under memory pressure"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

areas=$(less 1000000)
# With KASAN an arena has at most 1 GiB.
if has_kasan && [ "$areas" -gt 60000 ]; then
	areas=60000
fi
# Room for twice as many, each with its guard page.
own arena_mb=$((areas * 4 * page_bytes / 1048576))
laboratory

mine() {
	echo $(($(stat descriptor_bytes) + $(stat index_bytes) + $(stat extent_bytes)))
}

# Slabs that nobody can reclaim from outside, of any user, in bytes: most of ours are among them.
slabs() {
	echo $(($(value SUnreclaim: /proc/meminfo) * 1024))
}

before=$(mine)
echo "scenario=va_only sides=vmapcache live=$areas ms=10 runs=1 latency=0 flushes=0 hold=0" >$bench/run ||
	fail "$(cat $bench/error)"
areas_end
peak=$(mine)
slabs=$(slabs)
[ $((peak - before)) -ge $((areas * 100)) ] || fail "only $((peak - before)) bytes for $areas areas"
# The kernel does this under memory pressure. Some of the memory goes at once, the rest when its readers have ended.
tries=0
until [ $(($(mine) * 10)) -le "$peak" ]; do
	tries=$((tries + 1))
	[ $tries -le $((100 * SLOWNESS)) ] || fail "$(mine) of $peak bytes are left"
	echo 2 >/proc/sys/vm/drop_caches
	sleep 0.3
done
# What is out of use is not free before its readers have ended; KASAN holds it back for longer.
tries=0
until has_kasan || [ $((slabs - $(slabs))) -ge $((peak / 3)) ]; do
	tries=$((tries + 1))
	[ $tries -le $((50 * SLOWNESS)) ] || fail "slabs had $slabs bytes, and have $(slabs)"
	sleep 0.3
done
echo "$areas areas took $peak bytes, of which $(mine) are left; slabs have $((slabs - $(slabs))) bytes less"
# And again and again, while others allocate, free, pin, look and walk.
(while echo 2 >/proc/sys/vm/drop_caches; do :; done) &
presser=$!
trap 'kill $presser 2>/dev/null' EXIT
kcase torture seconds=8 threads=2 seed=7
kcase walk
kcase contents areas=200
kill $presser
wait $presser 2>/dev/null
empty
[ "$(stat errors_internal)" = 0 ] || fail "something happened that cannot"
