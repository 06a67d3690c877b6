#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
FIRST=2
DESCRIPTION="unload the module while its worker has taken, or has still to take, areas that an interrupt freed, and see all of them flushed and nothing run later"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

[ -e "$TMP/vmapcache_faults.ko" ] || skip "no build with faults at hand (make vm FAULTS=y CMD=...)"

for fault in slow_worker late_worker; do
	mark="unload-worker $fault $$"
	echo "$mark" >/dev/kmsg
	own_faulty $fault arena_mb=64
	# So that the worker, which is last to free, asks for a purge.
	echo 1 >$ours/lazy_max_pages
	kcase leave_to_worker areas=200
	deferred=$(stat frees_deferred)
	[ "$deferred" = 200 ] || fail "$fault: $deferred frees are left to the worker"
	# The worker sleeps for five seconds from the first free on.
	read -r before _ </proc/uptime
	unload
	read -r after _ </proc/uptime
	nothing_left
	echo "$fault: rmmod took from $before to $after"
	[ $((${after%.*} - ${before%.*})) -ge 1 ] || fail "$fault: the worker was through before the unload"
	if dmesg | sed -n "/$mark/,\$ s/.*leaked area/leaked area/p" | grep .; then
		fail "$fault: a freed area was reported as a leak"
	fi
	# A timer that nobody stopped would come in a tick.
	sleep 1
done
