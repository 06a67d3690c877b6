#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="count TLB flushes of 1,000,000 frees beside the in-tree allocator, and over limits of lazy pages"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
# A kernel that checks each step of the in-tree allocator, too, is slower still.
count=$(less "$(less 1000000)")
limit=$(stat lazy_max_pages)
kcase flush_count allocator=vmapcache count="$count"
mine=$(noted flushes)
# Elsewhere nobody sees those of the in-tree allocator.
if [ "$(uname -m)" = x86_64 ]; then
	kcase flush_count allocator=in-tree count="$count"
	theirs=$(noted flushes)
	echo "$count frees of a page, both limits $limit pages: $mine flushes, in-tree $theirs"
	[ "$mine" -le "$theirs" ] || fail "more flushes than in-tree"
fi
[ "$mine" -ge 1 ] || fail "no flush was counted"

# Each free leaves a page and its guard page; no purge before the limit is passed. When
# the purge is late, tasks purge a part themselves, with a flush for each.
for limit in 0 16 64 256 1024 4096 16384 65536; do
	echo $limit >$ours/lazy_max_pages
	echo 1 >$ours/purge
	count=$(less 100000)
	[ $limit != 0 ] || count=$(less 2000)
	kcase flush_count allocator=vmapcache count="$count"
	flushes=$(noted flushes)
	echo "limit $limit pages: $flushes flushes for $count frees"
	if [ $limit = 0 ]; then
		[ "$flushes" = "$count" ] || fail "not a flush for each free"
	else
		[ "$flushes" -le $((4 * count / limit + 8)) ] || fail "more than two per $limit pages"
	fi
done

# Above the limit a purge comes soon, even if nobody allocates or frees any more.
limit=1024
echo $limit >$ours/lazy_max_pages
echo 1 >$ours/purge
kcase flush_count allocator=vmapcache count=800
tries=0
while [ "$(stat bytes_lazy)" -gt $((limit * page_bytes)) ]; do
	tries=$((tries + 1))
	[ $tries -lt $((50 * SLOWNESS)) ] || fail "$(stat bytes_lazy) bytes stay lazy with a limit of $limit pages"
	sleep 0.1
done
empty
