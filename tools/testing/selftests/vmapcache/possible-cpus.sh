#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
LONG="it has a boot with 240 possible CPUs of its own"
DESCRIPTION="load the module where many CPUs are possible and few are there, and find that each of the others costs less than 8 KiB"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# count RANGES: CPUs in "0-3,5"
count() {
	echo "$1" | tr ',' '\n' | awk -F - '{ sum += ($2 == "" ? $1 : $2) - $1 + 1 } END { print sum }'
}

# used: kB of memory that the kernel has for itself
used() {
	awk '/^(Slab|Percpu|VmallocUsed):/ { sum += $2 } END { print sum }' /proc/meminfo
}

absent=$(($(count "$(cat /sys/devices/system/cpu/possible)") - $(count "$(cat /sys/devices/system/cpu/online)")))
[ $absent -ge 60 ] || skip "only $absent possible CPUs are not there (boot with scripts/vm --possible 240)"

# What the kernel keeps from the first load is not the module's.
load
unload
sleep 1
before=$(used)
load
sleep 1
more=$(($(used) - before))
echo "$more kB more, $absent CPUs that are not there"
# Whatever the CPUs, 2 to 4 MB: tables for the arena, names of symbols, the module itself.
[ $more -lt $((6144 + 8 * absent)) ] || fail "that is too much"
unload
