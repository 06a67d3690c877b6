#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="count TLB flushes over limits of lazy pages, beside the in-tree allocator"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
limit=$(stat lazy_max_pages)
kcase flush_count allocator=vmapcache count=200000
mine=$(noted flushes)
kcase flush_count allocator=in-tree count=200000
theirs=$(noted flushes)
echo "200,000 frees, limit $limit pages: $mine flushes, in-tree $theirs"
# The in-tree count has other users' flushes in it, and both depend on when a purge starts.
[ "$mine" -le $((theirs + 2)) ] || fail "more flushes than in-tree"
previous=1000000
for limit in 0 64 1024 16384; do
	echo $limit >$ours/lazy_max_pages
	echo 1 >$ours/purge
	kcase flush_count allocator=vmapcache count=2000
	echo "2,000 frees, limit $limit pages: $(noted flushes) flushes"
	[ $limit != 0 ] || [ "$(noted flushes)" -ge 2000 ] || fail "a free without a flush"
	[ "$(noted flushes)" -le "$previous" ] || fail "more flushes with a higher limit"
	previous=$(noted flushes)
done
empty
