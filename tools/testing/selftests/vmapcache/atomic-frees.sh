#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
FIRST=2
DESCRIPTION="free areas in hard interrupts, softirqs, other CPUs' IPIs, with interrupts off, and in memory reclaim, and allocate where nobody may"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
deferred=$(stat frees_deferred)
kcase atomic_frees rounds=70
# Where each free flushes, if it may.
echo 0 >$ours/lazy_max_pages
kcase atomic_frees rounds=70
# Of 7 contexts 6 may not sleep.
deferred=$(($(stat frees_deferred) - deferred))
echo "$deferred of 140 frees deferred"
[ $deferred -ge 120 ] || fail "some were done where they must not be"
# Only once for each load.
own
expect_log 'WARNING: .*refuse_interrupt'
expect_log 'allocation in an interrupt, for .*vmapcache_test'
expect_log 'Call [Tt]race'
kcase atomic_allocations
kcase sleep_in_atomic
[ "$(noted checked)" != 1 ] || expect_log 'sleeping function called'
