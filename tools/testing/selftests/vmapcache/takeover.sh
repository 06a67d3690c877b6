#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=300
DESCRIPTION="turn takeover on and off 1,000 times, and put its hooks on and off 20 times, under load of a user who checks the contents of all areas"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

can_take_over
before=$(free_pages)
[ "$(cat $takeover/enable)" = unhooked ] || fail "enable is $(cat $takeover/enable)"
user start 3
# The first one puts the hooks on, which takes long.
echo on >$takeover/enable || fail "on"
[ "$(cat $takeover/enable)" = on ] || fail "enable is $(cat $takeover/enable)"
for hook in vmap vm_map_ram __vmalloc_node_range_noprof; do
	grep -q "^hook_$hook on$" $takeover/stats || fail "$(grep ^hook_ $takeover/stats)"
done
i=0
switches=$(less 1000)
while [ $i -lt "$switches" ]; do
	i=$((i + 1))
	echo off >$takeover/enable || fail "off, switch $i"
	echo on >$takeover/enable || fail "on, switch $i"
done
for target in vmap vm_map_ram vmalloc; do
	[ "$(taken ${target}_redirected)" -gt 0 ] || fail "no $target was taken over"
done
echo "$(user_value rounds) rounds, $(taken vmalloc_redirected) calls of vmalloc() taken over"
i=0
rounds=$(less 20)
while [ $i -lt "$rounds" ]; do
	i=$((i + 1))
	echo unhooked >$takeover/enable || fail "unhooked, round $i"
	[ "$(cat $takeover/enable)" = unhooked ] || fail "enable is $(cat $takeover/enable)"
	echo on >$takeover/enable || fail "on, round $i"
done
echo "$(user_value rounds) rounds"
# Both allocators had their turn, in the same threads.
redirected=$(($(taken vmap_redirected) + $(taken vm_map_ram_redirected) + $(taken vmalloc_redirected)))
made=$(($(user_value vmap) + $(user_value vm_map_ram) + $(user_value given) + $(user_value vmalloc) +
	$(user_value atomic) + $(user_value user) + $(user_value kvmalloc)))
[ "$redirected" -lt "$made" ] || fail "$redirected calls taken over of $made"
user stop
[ "$(user_value wrong)" = 0 ] || fail "$(user_value wrong) areas had other contents"
# With nobody else about: off is off.
echo off >$takeover/enable
redirected=$(taken vmalloc_redirected)
user hold vmalloc 10 3
[ "$(taken vmalloc_redirected)" = "$redirected" ] || fail "off, and yet taken over"
user release
rmmod unaware || fail "rmmod unaware"
tries=0
while [ "$(taken areas_held)" != 0 ]; do
	tries=$((tries + 1))
	[ $tries -lt $((50 * SLOWNESS)) ] || fail "still held: $(cat $takeover/holders)"
	sleep 0.1
done
balanced
unloads
nothing_left
lost=$(pages_lost "$before" 500)
[ "$lost" -lt 500 ] || fail "$lost pages are lost"
