#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="leave many holes that are too small, and count how many a search visits, with the free-area cache and without"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# Without magazines each allocation searches; frees that are not lazy leave holes.
own arena_mb=1024
echo 0 >$ours/switches/magazines
echo 0 >$ours/lazy_max_pages
for count in 100 500 2000; do
	for cache in 1 0; do
		echo $cache >$ours/switches/free_area_cache
		visited=$(stat extents_visited)
		searches=$(stat extent_searches)
		kcase holes count=$count
		visited=$(($(stat extents_visited) - visited))
		searches=$(($(stat extent_searches) - searches))
		[ "$searches" -ge $((3 * count)) ] || fail "$searches searches for $((3 * count)) areas"
		# Of the 3 x count searches the last third meets the holes.
		tenths=$(((visited - searches * 2 / 3) * 10 / count))
		eval "tenths_$cache=$tenths"
		echo "$count holes, cache $cache: $((tenths / 10)).$((tenths % 10)) extents visited per search"
	done
	# shellcheck disable=SC2154
	[ "$tenths_1" -le 40 ] || fail "more than 4 with the cache"
	# shellcheck disable=SC2154
	[ "$tenths_0" -ge $((count * 10 / 4)) ] || fail "without the cache no more than that"
done
empty
