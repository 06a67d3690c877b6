#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
FIRST=2
DESCRIPTION="leak areas and find them reported with their size, and reclaimed, when the module goes"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
kcase contents areas=20
# Consumers hold the module.
rmmod vmapcache 2>/dev/null && fail "unloaded under its consumer"
unload
before=$(free_pages)
own
kcase leak
rmmod vmapcache_test || fail "rmmod vmapcache_test"
# Its module is gone, the caller's name is not; nor is there an address without a name.
caller='allocated by leak\+0x[0-9a-f]+/0x[0-9a-f]+ \[vmapcache_test\]'
expect_log "vmapcache: leaked area of $((3 * page_bytes)) bytes, $caller, 0 pins"
expect_log "vmapcache: leaked area of $page_bytes bytes, $caller, 1 pins"
expect_log "vmapcache: leaked area of 16777216 bytes, $caller, 1 pins"
grep -q ' leak \[vmapcache_test\]$' $ours/callers || fail "the caller's name is gone"
rmmod vmapcache || fail "rmmod vmapcache"
nothing_left
lost=$(pages_lost "$before" 200)
echo "$before pages free before the leak, $lost less after"
[ "$lost" -lt 200 ] || fail "$lost pages were not reclaimed"

# An open file keeps debugfs readers safe: nothing is taken away under them.
own
exec 3<$ours/stats
if rmmod vmapcache 2>/dev/null; then
	cat <&3 >/dev/null
	exec 3<&-
else
	exec 3<&-
	rmmod vmapcache || fail "rmmod vmapcache, with nobody left"
fi
nothing_left
