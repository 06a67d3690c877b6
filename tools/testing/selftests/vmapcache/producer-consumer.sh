#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="allocate on one CPU and free on another, and see addresses and memory stay where they are"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# ROUNDS: some 50,000 a second on emulated CPUs. For minutes by hand, with LIMIT= for run.
own
kcase producer_consumer rounds="${ROUNDS:-100000}"
grep -v failures "$TMP/notes"
# At most the pages of one purge limit may come on top of the first quarter's span.
limit=$(stat lazy_max_pages)
[ "$(noted span_3)" -le $(($(noted span_0) + limit)) ] ||
	fail "the span grew from $(noted span_0) to $(noted span_3) pages"
# Besides, KASAN holds back freed objects, up to a 32nd part of the memory.
allowed=5000
! has_kasan ||
	allowed=$((allowed + $(awk '$1 == "MemTotal:" { print int($2 / 4 / 32) }' /proc/meminfo)))
[ "$(noted available_3)" -ge $(($(noted available_1) - allowed)) ] ||
	fail "memory shrank from $(noted available_1) to $(noted available_3) pages"
empty
