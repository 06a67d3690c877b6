#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
FIRST=2
DESCRIPTION="allocate and free in twice as many threads as CPUs, and see the numbers of addresses and page tables stay the same"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# STORM_SECONDS=60 (and LIMIT=120) for the whole minute.
own
# Eight times the limit may be lazy before tasks that free must wait.
kcase storm seconds="${STORM_SECONDS:-20}" grow=$(($(stat lazy_max_pages) * 8))
grep -v failures "$TMP/notes"
echo "backpressure steps: $(stat backpressure_steps), purges: $(stat purges)"
[ "$(noted tables_0)" -ge "$(noted windows_0)" ] || fail "page tables are not counted"
empty
