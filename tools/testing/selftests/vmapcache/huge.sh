#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="map areas by huge pages, cut and split them, and let small areas follow in their places"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
# Free memory in large pieces, as far as there is any.
[ ! -w /proc/sys/vm/compact_memory ] || echo 1 >/proc/sys/vm/compact_memory
if grep -qw nohugevmalloc /proc/cmdline; then
	kcase huge_areas allowed=0
	[ "$(noted huge)" = 0 ] || fail "the kernel's command line forbids huge pages"
	exit 0
fi
kcase huge_areas
huge=$(noted huge)
windows=$(noted windows)
echo "$huge of $windows windows were mapped by huge pages"
# The page allocator may be short of large pieces at times.
[ $((huge * 2)) -ge "$windows" ] || fail "hardly any"
kcase huge_askers
for way in 0 1 2; do
	[ "$(noted asked_$way)" -ge 1 ] || fail "way $way got no huge page"
done
kcase huge_cut
[ "$(noted huge)" = 1 ] || fail "nothing was cut"
kcase split_huge
[ "$(noted huge)" = 1 ] || fail "no huge page to split"
# More than once: the second area finds what the first one left of the tables.
for round in 1 2 3; do
	kcase collapse
	echo "round $round: the kernel made $(noted collapsed) of 2 windows huge"
done
kcase huge_cost
cat "$TMP/notes"
empty
