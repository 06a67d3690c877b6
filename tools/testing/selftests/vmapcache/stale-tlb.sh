#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="look for old translations after an address was given out anew, and find them only if flushes are left out"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# Frees that are flushed at once bring the same addresses in another colour soonest;
# with a small limit, they come back through batches and magazines.
own arena_mb=16
for limit in 0 64; do
	echo $limit >$ours/lazy_max_pages
	kcase stale_tlb rounds=5000
	echo "limit $limit: $(noted reads) reads, $(noted reused) times the same address," \
		"$(noted flushes) flushes"
	[ "$(noted reads)" -ge 1000 ] || fail "hardly anything was read"
	[ "$(noted flushes)" -ge 1 ] || fail "nothing was flushed"
done
# And without flushes the same test must see old colours.
echo 0 >$ours/lazy_max_pages
kcase stale_tlb rounds=2000 flush=0
echo "without $(noted flushes) flushes: $(noted stale) of $(noted reads) reads saw an old colour"
[ "$(noted stale)" -ge 1 ] || fail "no old colour was seen with the flushes left out"
empty
