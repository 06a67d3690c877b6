#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
DESCRIPTION="find the pages of areas in nr_vmalloc, VmallocUsed and memory.stat of their cgroup, as of the in-tree allocator, and none after the free"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
# nr_vmalloc: as the kernel counts it, what its CPUs keep to themselves included
nr_vmalloc() {
	echo 1 >/proc/sys/vm/stat_refresh
	value nr_vmalloc /proc/vmstat
}
grep -q '^nr_vmalloc ' /proc/vmstat || skip "this kernel does not count pages of vmalloc by node"

# near WHAT NUMBER WANTED: others may allocate a few pages meanwhile
near() {
	echo "$1: $2 pages, $3 wanted"
	if [ $(($2 - $3)) -gt 64 ] || [ $(($3 - $2)) -gt 64 ]; then
		fail "$1: $2 pages, not $3"
	fi
}

# A module's own code is memory of vmalloc(), too.
is_loaded vmapcache_test || insmod "$TMP/vmapcache_test.ko" || fail "insmod vmapcache_test.ko"
# Many operations of all sizes: what is lost in each adds up.
before=$(nr_vmalloc)
kcase count_churn rounds="$(less 3000)"
near "nr_vmalloc after $(noted operations) operations" $(($(nr_vmalloc) - before)) 0

group=/sys/fs/cgroup/vmapcache_test
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
	mount -t cgroup2 cgroup2 /sys/fs/cgroup || skip "no cgroup2"
fi
echo +memory >/sys/fs/cgroup/cgroup.subtree_control || skip "no memory controller"
mkdir -p $group || fail "no cgroup"
trap 'keeper_ends; rmdir $group' EXIT
for allocator in vmapcache in-tree; do
	before=$(nr_vmalloc)
	is_loaded vmapcache_test || insmod "$TMP/vmapcache_test.ko"
	# The task that waits in the case is in the cgroup.
	(
		sh -c 'echo $PPID' >$group/cgroup.procs
		echo count_keep allocator=$allocator >$cases/run
	) 2>/dev/null &
	keeper=$!
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		sleep 1
		held=$(($(nr_vmalloc) - before))
		[ $held -lt 8000 ] || break
	done
	near "$allocator: nr_vmalloc" "$held" 8192
	used=$(($(awk '$1 == "VmallocUsed:" { print $2 }' /proc/meminfo) * 1024 / page_bytes))
	near "$allocator: VmallocUsed" $used "$(nr_vmalloc)"
	# Sums of a cgroup are up to date after some seconds.
	for _ in 1 2 3 4 5; do
		charged=$(($(value vmalloc $group/memory.stat) / page_bytes))
		[ $charged -lt 8192 ] || break
		sleep 1
	done
	near "$allocator: vmalloc of the cgroup" "$charged" 8192
	keeper_ends
	trap 'rmdir $group' EXIT
	near "$allocator: nr_vmalloc after the free" $(($(nr_vmalloc) - before)) 0
	sleep 3
	near "$allocator: vmalloc of the cgroup after the free" $(($(value vmalloc $group/memory.stat) / page_bytes)) 0
done
empty
