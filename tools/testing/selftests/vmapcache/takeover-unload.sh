#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
DESCRIPTION="fill a small arena by takeover so that calls go in-tree, and unload the module, which must be refused while anybody holds what it made"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# refused WHY: the module is in use
refused() {
	rmmod vmapcache 2>"$TMP/error" && fail "it went: $1"
	grep -q 'in use' "$TMP/error" || fail "$1: $(cat "$TMP/error")"
}

# The arena has room for a part of it. Nobody notices.
can_take_over arena_mb=16
echo '[unaware]' >$takeover/filter || fail "filter"
echo on >$takeover/enable || fail "on"
refused "takeover is on"
mark="takeover-unload $$"
echo "$mark" >/dev/kmsg
user hold vmalloc 300 32
user hold vmap 100 32
user hold vm_map_ram 100 32
[ "$(user_value refused)" = 0 ] || fail "$(user_value refused) calls failed"
for target in vmalloc vmap vm_map_ram; do
	[ "$(taken ${target}_no_room)" -gt 0 ] || fail "$target: the arena had room: $(cat $takeover/stats)"
done
[ "$(taken vmalloc_redirected)" -gt 50 ] || fail "vmalloc: nothing was taken over"
user check
# A line for each would flood the log.
if dmesg | sed -n "/$mark/,\$p" | grep 'vmapcache: allocation failed'; then
	fail "the unaware user's requests were reported"
fi
held=$(taken areas_held)
[ "$held" -gt 100 ] || fail "$held areas are held"
expect_log "vmapcache: takeover is off; $held areas of [0-9]+ bytes are still in use, and the module stays until they are freed"
expect_log 'vmapcache: takeover: [0-9]+ areas of .*\[unaware\]'
echo off >$takeover/enable || fail "off"
sleep 3
refused "$held areas are held"
echo unhooked >$takeover/enable || fail "unhooked"
refused "$held areas are held without hooks"
user check
# Off means off: what is allocated now is not ours, and what is freed is.
user hold vmalloc 10 1
[ "$(taken areas_held)" = "$held" ] || fail "$(taken areas_held) areas are held, not $held"
# On and off once more: the reference is still that one.
echo on >$takeover/enable || fail "on"
echo off >$takeover/enable || fail "off"
refused "$held areas are still held"
user release
[ "$(taken areas_held)" = 0 ] || fail "$(cat $takeover/holders)"
empty
unloads
nothing_left
# What is left in-tree is freed when vmapcache is gone.
can_take_over
echo on >$takeover/enable || fail "on"
echo off >$takeover/enable || fail "off"
user hold vmalloc 100 3
unloads
nothing_left
user release
rmmod unaware || fail "rmmod unaware"

# Without all guards: no takeover, and a line.
own guards=off
expect_log 'vmapcache: takeover needs all guards, and there is none on vfree\(\)'
if echo on 2>"$TMP/error" >$takeover/enable; then
	fail "takeover without guards"
fi
[ "$(cat $takeover/enable)" = unhooked ] || fail "enable is $(cat $takeover/enable)"
unload
nothing_left
