#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
FIRST=2
DESCRIPTION="let 4 tasks use an arena of 64 places, all lazy, and see none fail while another purges"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# 64 places of 4 pages.
own arena_mb=1
[ "$(arena_pages)" = 256 ] || skip "the smallest arena has $(arena_pages) pages, not 256"
kcase second_task slots=64 rounds="$(less 1250)"
echo "$(noted served) served, $(stat purge_waits) waits, $(stat purge_retries) retries"
[ "$(stat purge_retries)" -ge 1 ] || fail "nobody ever ran out of space"
empty
