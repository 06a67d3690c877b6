#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
TIMEOUT=300
DESCRIPTION="let vmapcache run out of room and its inner allocations fail while it is taken over, and see its unaware users get memory all the same, with the right contents"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# load_for SECONDS VERB: threads allocate, check and free; none of their calls may fail
load_for() {
	before=$(user_value rounds)
	user "$2" 3
	sleep "$1"
	user stop
	served
	echo "$2: $(($(user_value rounds) - before)) rounds"
}

# served: no call of the user failed
served() {
	[ "$(user_value refused)" = 0 ] || fail "$(user_value refused) calls failed"
	[ "$(user_value wrong)" = 0 ] || fail "$(user_value wrong) areas had other contents"
}

# both_serve TARGET...: some calls were taken over, others failed here, so that the in-tree allocator served them
both_serve() {
	for target; do
		for fate in redirected no_room; do
			[ "$(taken "${target}_$fate")" -gt 0 ] || fail "no ${target}_$fate: $(cat $takeover/stats)"
		done
	done
}

# ends: everything comes back
ends() {
	user release
	rmmod unaware || fail "rmmod unaware"
	all_given_back
	empty
	unloads
}

# Too small for all. Processes do not notice either.
can_take_over arena_mb=1
threads_apart
echo "vmap vm_map_ram vmalloc stacks" >$takeover/what || fail "what"
echo 1 >$takeover/drain || fail "drain"
echo on >$takeover/enable || fail "on"
load_for 3 start
user hold vmalloc 60 3
i=0
tasks=
while [ $i -lt "$(less 60)" ]; do
	i=$((i + 1))
	sleep 600 &
	tasks="$tasks $!"
	/bin/true || fail "process $i"
done
user check
both_serve vmap vm_map_ram vmalloc stacks
echo off >$takeover/enable || fail "off"
# shellcheck disable=SC2086 # numbers
kill $tasks
wait 2>/dev/null
ends

# Builds with faults: nobody waits for another task's purge; a range is given back twice, which the extents notice.
if [ -e "$TMP/vmapcache_faults.ko" ]; then
	for fault in no_wait give_twice; do
		[ $fault != give_twice ] || { expect_log 'WARNING:.*broken'; expect_log 'Call [Tt]race'; }
		own_faulty $fault arena_mb=1
		unaware_comes
		echo '[unaware]' >$takeover/filter || fail "filter"
		echo on >$takeover/enable || fail "on"
		load_for 3 start
		both_serve vmap vm_map_ram vmalloc
		echo 0 >"$ours/faults/$fault"
		echo off >$takeover/enable || fail "off"
		ends
	done
fi

# The 1st, 2nd, ... inner allocation of each call. Areas are held, so that each needs memory of its own.
if can_fail; then
	may_fail N
	trap 'echo 0 >$slab/probability; echo 0 >$page/probability' EXIT
	can_take_over
	echo '[unaware]' >$takeover/filter || fail "filter"
	echo on >$takeover/enable || fail "on"
	# The largest need page tables and a part of the index of their own.
	for pages in 1 5 70 600; do
		for kind in vmap vm_map_ram given vmalloc atomic user kvmalloc; do
			user faults $kind $pages
		done
		served
		user check
		user release
	done
	# vm_map_ram() often needs no memory of its own.
	both_serve vmap vmalloc
	echo "$(user_value hits) allocations failed"
	[ "$(user_value hits)" -ge 20 ] || fail "hardly anything failed"
	# The same in several threads, which meet in the middle of it.
	load_for 5 start-faulty
	[ "$(taken areas_held)" = 0 ] || fail "$(cat $takeover/holders)"
	echo off >$takeover/enable || fail "off"
	ends
else
	echo "this kernel lets no inner allocation fail"
fi
nothing_left
