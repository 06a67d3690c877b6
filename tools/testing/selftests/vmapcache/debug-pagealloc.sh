#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="see that each free flushes at once if the kernel runs with debug_pagealloc=on, and that none does otherwise"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"
tracepoints

own
flush=0
! grep -qw debug_pagealloc=on /proc/cmdline || flush=1
grep -q ' _debug_pagealloc_enabled$' /proc/kallsyms || flush=0
guards=1
grep -q '^guard_vfree on$' $ours/stats || guards=0
kcase traced_areas guards=$guards
empty
traced kcase traced_areas guards=$guards flush=$flush
compare exact "$TMP/notes"
[ $flush = 1 ] || skip "no free flushes by itself: this kernel runs without debug_pagealloc=on"
