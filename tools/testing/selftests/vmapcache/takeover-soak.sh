#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=700
LONG="it goes on for 20 seconds at the least, and then waits for what is left"
DESCRIPTION="take everything of everybody over, on and off each second, while bpf maps, filters, processes and CPUs come and go and memory is short, and find all of it given back"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# For 20 seconds, or SOAK_MINUTES.
long=${SOAK_MINUTES:-}
[ "$long" != 0 ] || long=
seconds=$((${long:-0} * 60))
[ -n "$long" ] || seconds=20

# kernel_stacks: prints how many kernel threads have a stack of ours
kernel_stacks() {
	kcase kernel_stacks
	noted kernel_threads
}

can_take_over
reserve=/proc/sys/vm/min_free_kbytes
usual=$(cat $reserve)
tasks=
# ends: takes everything back
ends() {
	: >"$TMP/enough"
	# shellcheck disable=SC2086 # numbers
	[ -z "$tasks" ] || kill $tasks 2>/dev/null
	wait
	tasks=
	echo "$usual" >$reserve
	for online in /sys/devices/system/cpu/cpu[1-9]*/online; do
		[ ! -w "$online" ] || echo 1 >"$online" 2>/dev/null
	done
}
trap 'ends; takeover_ends' EXIT
rm -f "$TMP/enough" "$TMP/begun"
before=$(free_pages)
targets="vmap vm_map_ram vmalloc"
# A kernel thread that begins meanwhile may be given a stack that the kernel kept, and has it for good: the
# module stays, and no test after this one could load another.
[ -z "$long" ] || targets="$targets stacks"
echo "$targets" >$takeover/what || fail "what"
user start 2
# bpf maps, socket filters and threads.
python3 "${0%/*}/takeover-users.py" $takeover "$TMP/enough" >"$TMP/users" 2>&1 &
users=$!
# A slow kernel takes longer to start them than the whole test lasts.
tries=0
while [ ! -e "$TMP/begun" ]; do
	tries=$((tries + 1))
	kill -0 $users 2>/dev/null || fail "$(cat "$TMP/users")"
	[ $tries -lt $((300 * SLOWNESS)) ] || fail "nobody made maps and filters"
	sleep 0.1
done
# Processes, whose stacks are of either allocator.
while [ ! -e "$TMP/enough" ]; do
	(: | : | cat /proc/self/stat | cat) >/dev/null
done &
tasks=$!
read -r now _ </proc/uptime
end=$((${now%.*} + seconds))
round=0
while [ "${now%.*}" -lt $end ]; do
	round=$((round + 1))
	echo on >$takeover/enable || fail "on, round $round"
	cat $takeover/stats $takeover/holders >/dev/null
	if [ $((round % 4)) = 1 ]; then
		# Most free memory becomes a reserve, so that the kernel starts to reclaim.
		free=$(awk '$1 == "MemFree:" { print $2 }' /proc/meminfo)
		echo $((free * 80 / 100)) >$reserve
		sleep 0.2
		echo "$usual" >$reserve
	fi
	# A CPU that goes frees the stacks that it keeps.
	for online in /sys/devices/system/cpu/cpu[1-9]*/online; do
		[ -w "$online" ] || continue
		echo 0 >"$online"
		sleep 0.2
		echo 1 >"$online"
	done
	echo 1 >$takeover/drain || fail "drain, round $round"
	sleep 0.3
	echo off >$takeover/enable || fail "off, round $round"
	echo 1 >$ours/purge
	sleep 0.2
	read -r now _ </proc/uptime
done
user stop
: >"$TMP/enough"
wait $users || fail "$(cat "$TMP/users")"
cat "$TMP/users"
ends
trap takeover_ends EXIT
[ "$(user_value wrong)" = 0 ] || fail "$(user_value wrong) areas had other contents"
for target in $targets; do
	echo "$target: $(taken "${target}_redirected") taken over, $(taken "${target}_no_room") without room"
	[ "$(taken "${target}_redirected")" -gt 0 ] || fail "no $target was taken over"
done
rmmod unaware || fail "rmmod unaware"
if [ -z "$long" ]; then
	all_given_back
else
	all_given_back kernel_stacks
	rmmod vmapcache_test || fail "rmmod vmapcache_test"
	held=$(taken areas_held)
	if [ "$held" != 0 ]; then
		echo "$round rounds, $held stacks are those of kernel threads: vmapcache stays as long as they live"
		exit
	fi
fi
empty
unloads
nothing_left
lost=$(pages_lost "$before" 500)
echo "$round rounds, $lost pages fewer are free"
[ "$lost" -lt 500 ] || fail "$lost pages are lost"
