#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
FIRST=2
DESCRIPTION="look for old translations after addresses were given out anew"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# Frees that are flushed at once bring the same addresses in another colour soonest;
# with a limit, they come back through batches and magazines.
own arena_mb=16
for limit in 0 64 500; do
	echo $limit >$ours/lazy_max_pages
	kcase stale_tlb rounds="$(less 10000)"
	echo "limit $limit: $(noted reads) reads, $(noted reused) times the same address," \
		"$(noted flushes) flushes"
	[ "$(noted reads)" -ge 1000 ] || fail "hardly anything was read"
	[ "$(noted flushes)" -ge 1 ] || fail "nothing was flushed"
done
empty
