#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
FIRST=2
DESCRIPTION="leave out flushes, waiting for purges, and purges, and see the tests of each fail; and do what cannot happen"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

[ -e "$TMP/vmapcache_faults.ko" ] || skip "no build with faults at hand (make vm FAULTS=y CMD=...)"
# The builds that people load have none.
grep -q no_flush "$TMP/vmapcache_faults.ko" || fail "not built with faults"
! grep -q no_flush "$TMP/vmapcache.ko" || fail "faults in a normal build"

# As in stale-tlb.sh.
own_faulty no_flush arena_mb=16
echo 0 >$ours/lazy_max_pages
kcase_fails "reads saw an old colour" stale_tlb rounds="$(less 10000)"
# The next test must not meet addresses that were not flushed.
echo 0 >$ours/faults/no_flush
kcase stale_tlb rounds="$(less 1000)"
empty

# As in second-task.sh.
own_faulty no_wait arena_mb=1
kcase_fails "allocations failed" second_task slots=64 rounds="$(less 1250)"
echo 0 >$ours/faults/no_wait
kcase second_task slots=64 rounds="$(less 100)"
empty

# As in backpressure.sh. Without purges each pair takes new addresses, 4.5 pages and a
# guard page of them, so that the number of pairs says how far it grows, whatever the time:
# to three times what may be lazy, in an arena that has several times as much.
mb=65536
[ "$SLOWNESS" = 1 ] || mb=1024
own_faulty no_purge arena_mb=$mb
echo $(($(stat lazy_max_pages) / SLOWNESS)) >$ours/lazy_max_pages
grow=$(($(stat lazy_max_pages) * 8))
kcase_fails "the span grew" storm pairs=$((grow * 6 / 11)) grow=$grow
echo 0 >$ours/faults/no_purge
empty

# A bug is counted, and reported once. It does no harm: all sums are right.
expect_log 'WARNING:.*broken'
expect_log 'Call [Tt]race'
mark="faults $$"
echo "$mark" >/dev/kmsg
own_faulty give_twice arena_mb=16
[ "$(stat errors_internal)" = 0 ] || fail "$(stat errors_internal) internal errors before the first"
echo 0 >$ours/switches/magazines
kcase storm pairs="$(less 1000)" grow=100000
empty
found=$(stat errors_internal)
[ "$found" -gt 0 ] || fail "ranges were given back twice, and nobody noticed"
said=$(dmesg | sed -n "/$mark/,\$p" | grep -c 'a range is given back that is free')
[ "$said" = 1 ] || fail "said $said times"
echo 0 >$ours/faults/give_twice
kcase storm pairs="$(less 1000)" grow=100000
empty
[ "$(stat errors_internal)" = "$found" ] || fail "more without the fault: $(stat errors_internal)"
echo "# $found internal errors"
