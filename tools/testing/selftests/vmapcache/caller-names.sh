#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
DESCRIPTION="leak areas, load other modules at the address of the leaker, and find the leaker named everywhere"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

leaker=$TMP/vmapcache_leaker.ko
innocent=$TMP/vmapcache_innocent.ko
[ -e "$leaker" ] || fail "no $leaker"
[ -e "$innocent" ] || fail "no $innocent"
trap 'rmmod vmapcache_leaker 2>/dev/null; rmmod vmapcache_innocent 2>/dev/null' EXIT

own arena_mb=64
text() {
	cat "/sys/module/vmapcache_$1/sections/.text"
}

# named COUNT PATTERN FILE
named() {
	found=$(grep -cE "$2" "$3")
	[ "$found" = "$1" ] || {
		cat "$3"
		fail "$found lines of $3 name $2, not $1"
	}
}

# the_leaker_is_named TIMES
the_leaker_is_named() {
	named "$1" 'leak_later\+.*\[vmapcache_leaker\]' /proc/vmapcacheinfo
	named "$1" 'leak_at_init\+.*\[vmapcache_leaker\]' /proc/vmapcacheinfo
	for function in leak_later leak_at_init; do
		# Each leaker has a line of its own, with one area that was allocated once.
		named "$1" "^[0-9]+ 1 1 0 $function \[vmapcache_leaker\]$" $ours/callers
	done
	named "$1" "^caller_[0-9]+ $((3 * page_bytes)) 1 leak_later\\+" $ours/info
	for file in /proc/vmapcacheinfo $ours/callers $ours/info; do
		named 0 'innocent' "$file"
	done
}

# Its __init code goes at once, and other modules' code comes there.
insmod "$leaker" || fail "insmod $leaker"
the_leaker_is_named 1
insmod "$innocent" || fail "insmod $innocent"
the_leaker_is_named 1
rmmod vmapcache_innocent || fail "rmmod vmapcache_innocent"
where=$(text leaker)
rmmod vmapcache_leaker || fail "rmmod vmapcache_leaker"

# The kernel gives the address away again, sooner or later.
same=0
for _ in 1 2 3 4 5; do
	insmod "$innocent" || fail "insmod $innocent"
	[ "$(text innocent)" != "$where" ] || same=$((same + 1))
	the_leaker_is_named 1
	rmmod vmapcache_innocent
done
echo "the other module was at the leaker's address $same times of 5"

# The same module again is another caller.
insmod "$leaker" || fail "insmod $leaker"
the_leaker_is_named 2
rmmod vmapcache_leaker
the_leaker_is_named 2
insmod "$innocent" || fail "insmod $innocent"
the_leaker_is_named 2
expect_log "leaked area of $((2 * page_bytes)) bytes, allocated by leak_at_init\\+.*\\[vmapcache_leaker\\]"
expect_log "leaked area of $((3 * page_bytes)) bytes, allocated by leak_later\\+.*\\[vmapcache_leaker\\]"
mark="caller-names $$"
echo "$mark" >/dev/kmsg
rmmod vmapcache || fail "rmmod vmapcache"
dmesg | sed -n "/$mark/,\$p" >"$TMP/leaks"
named 4 'leaked area of .*\[vmapcache_leaker\], 0 pins' "$TMP/leaks"
rmmod vmapcache_innocent || fail "rmmod vmapcache_innocent"
nothing_left

# Callers whose areas are all gone leave nothing behind: numbers are for those that come.
own
modules=0
for _ in 1 2 3; do
	insmod "$TMP/vmapcache_test.ko" || fail "insmod vmapcache_test.ko"
	echo "contents areas=5" >$cases/run || fail "contents"
	rmmod vmapcache_test
	modules=$((modules + 1))
done
lines=$(grep -c vmapcache_test $ours/callers)
[ "$lines" = 0 ] || fail "$lines callers of $modules modules that are gone"
empty
