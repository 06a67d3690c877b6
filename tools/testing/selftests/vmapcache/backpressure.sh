#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="allocate and free in twice as many threads as CPUs, and see the span of addresses stay flat"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
kcase storm seconds=4
grep -v failures "$TMP/notes"
echo "backpressure steps: $(stat backpressure_steps)"
limit=$(stat lazy_max_pages)
# A purge limit's worth may come on top of the first quarter's span, not more.
[ "$(noted span_3)" -le $(($(noted span_0) + 2 * limit)) ] ||
	fail "the span grew from $(noted span_0) to $(noted span_3) pages"
empty
