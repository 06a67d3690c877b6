#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
LONG="it has a boot with two nodes of its own, and compares with the in-tree allocator"
DESCRIPTION="find pages on the NUMA node that the caller or the task's memory policy asks for, also in single pages, as of the in-tree allocator"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

nodes=$(cat /sys/devices/system/node/online)
[ "$nodes" = 0-1 ] || skip "this machine has nodes $nodes, not 0-1 (boot with scripts/vm --nodes 2)"
need
is_loaded vmapcache_test || insmod "$TMP/vmapcache_test.ko" || fail "insmod vmapcache_test.ko"
python3 "${0%/*}/nodes.py" || fail "pages are on another node than they should be"
empty
