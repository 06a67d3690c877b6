#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
TIMEOUT=150
DESCRIPTION="have tasks of real-time priority read the areas, and the module's files, on the CPU of a task that changes them: none waits for the task that it keeps away"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

[ "$(nproc)" -gt 1 ] || skip "one CPU: nobody could watch"
# The kernel lets a task that a real-time one keeps away run for a part of each second. Not here: who waits for it, waits.
servers=$debugfs/sched/fair_server
limit=$(cat /proc/sys/kernel/sched_rt_runtime_us)
trap 'echo "$limit" >/proc/sys/kernel/sched_rt_runtime_us
	for server in "$servers"/cpu*; do [ ! -e "$server" ] || cat "$TMP/${server##*/}" >"$server/runtime"; done' EXIT
for server in "$servers"/cpu*; do
	[ ! -e "$server" ] || { cat "$server/runtime" >"$TMP/${server##*/}" && echo 0 >"$server/runtime"; } || fail "$server"
done
echo -1 >/proc/sys/kernel/sched_rt_runtime_us || fail "sched_rt_runtime_us"

# Each request changes the free extents, which readers see without their lock.
own arena_mb=1024 lazy_max_pages=256
echo 0 >$ours/switches/magazines
echo 0 >$ours/switches/free_area_cache
rm -f "$TMP/begun" "$TMP/over"
python3 "${0%/*}/priorities.py" "$TMP/begun" "$TMP/over" $ours/stats $ours/info >"$TMP/read" 2>&1 &
reader=$!
tenths=0
until [ -e "$TMP/begun" ]; do
	tenths=$((tenths + 1))
	[ $tenths -lt $((300 * SLOWNESS)) ] || fail "it does not begin: $(cat "$TMP/read")"
	sleep 0.1
done
kcase priorities rounds="$(less 3000)"
: >"$TMP/over"
wait $reader || fail "$(cat "$TMP/read")"
read -r rounds stuck <"$TMP/read"
echo "beside $(noted changes) changes: $(noted rounds) rounds of lookups, the longest $(noted longest) us; $rounds of the files"
[ $(($(noted changes) * 4)) -ge "$(noted rounds)" ] || fail "hardly a change"
[ "$(noted seen)" -ge "$(noted rounds)" ] || fail "the walks saw nothing"
[ "$rounds" -ge 20 ] || fail "hardly a read"
[ "$stuck" = 0 ] || fail "a reader of a file waits for a task that it has preempted"
empty
