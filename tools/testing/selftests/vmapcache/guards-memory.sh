#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
FIRST=2
TIMEOUT=200
DESCRIPTION="read areas through /proc/kcore, and find the permissions of read-only pages reset when their area goes"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
guarded
kcase reset_perms
areas_end
empty

kcase kcore_hold
for i in 0 1 2 3; do
	python3 "${0%/*}/guards-kcore.py" "$(noted area_$i)" "$(noted pages_$i)" $i || fail "area $i through /proc/kcore"
done
echo 1 >/proc/sys/kernel/kptr_restrict
bounds=$(sed -n 's/^\(0x[0-9a-f]*\)-\(0x[0-9a-f]*\) .*\[vmapcache\].*/start=\1 end=\2/p' /proc/vmallocinfo)
# shellcheck disable=SC2086 # two words
kcase read_edges $bounds
kcase kcore_release
areas_end
empty

# The module takes a pinned area back when it goes, and all that the kernel knows of it.
kcase leak_read_only
rmmod vmapcache_test || fail "rmmod vmapcache_test"
expect_log "vmapcache: leaked area of $page_bytes bytes, allocated by leak_read_only\\+.*, 1 pins"
own
kcase writable frame="$(noted frame)"
