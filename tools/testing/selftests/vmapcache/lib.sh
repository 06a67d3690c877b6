# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Functions that the tests share. A test is a script that sources this file, prints its
# results, and ends with 0 for "passed", 4 for "skipped", or another status for "failed".

set -u
debugfs=/sys/kernel/debug
ours=$debugfs/vmapcache
cases=$debugfs/vmapcache_test
page_bytes=$(getconf PAGESIZE)
# Started by itself, as kselftest does it: `run` makes what a test needs, and searches the kernel log.
if [ -z "${TMP:-}" ] && [ "${1:-}" != --help ]; then
	name=${0##*/}
	exec "${0%"$name"}run" "${name%.sh}"
fi
: "${SLOWNESS:=1}"

if [ "${1:-}" = --help ]; then
	echo "This test will $DESCRIPTION."
	exit
fi

fail() {
	echo "FAILED: $*"
	exit 1
}

skip() {
	echo "$*"
	exit 4
}

# needs_tool: skips, unless the program vmapcache is there, for this processor
needs_tool() {
	[ -x "$TOOL" ] || skip "no program vmapcache (make tool)"
	"$TOOL" --version >/dev/null 2>&1
	[ $? != 126 ] || skip "the program vmapcache is for another processor"
}

# less NUMBER: prints NUMBER divided by SLOWNESS (see run --help), 1 at least: slow kernels
# repeat less often
less() {
	echo $((($1 + SLOWNESS - 1) / SLOWNESS))
}

# expect_log PATTERN: the test makes the kernel say this, it is not an accident
expect_log() {
	printf '%s\n' "$1" >>"$TMP/expected"
}

# allow_log PATTERN: the kernel may say this, and it is not about us
allow_log() {
	printf '%s\n' "$1" >>"$TMP/allowed"
}

is_loaded() {
	[ -d "/sys/module/$1" ]
}

# unload [MODULE...]: unloads these, if they are loaded; default: vmapcache and its consumers
unload() {
	[ $# -gt 0 ] || set -- vmapcache_test vmapcache_bench vmapcache
	for module; do
		! is_loaded "$module" || rmmod "$module" || fail "rmmod $module"
	done
}

# load [PARAMETER=VALUE...]: vmapcache anew
load() {
	unload
	insmod "$TMP/vmapcache.ko" "$@" || fail "insmod vmapcache.ko $*"
}

# need: vmapcache with its defaults, as some test before may have left it, and no laboratory
need() {
	unload vmapcache_bench
	if ! is_loaded vmapcache || [ ! -e "$TMP/defaults" ]; then
		load
		: >"$TMP/defaults"
	fi
}

# own [PARAMETER=VALUE...]: vmapcache anew, for this test alone
own() {
	rm -f "$TMP/defaults"
	load "$@"
}

# laboratory: loads it, over the vmapcache that is there; $bench is its directory
laboratory() {
	bench=$ours/bench
	insmod "$TMP/vmapcache_bench.ko" || fail "insmod vmapcache_bench.ko"
	[ -e $bench/run ] || fail "the laboratory has no $bench/run"
}

# own_faulty FAULT [PARAMETER=VALUE...]: vmapcache anew, which leaves a step out
own_faulty() {
	fault=$1
	shift
	rm -f "$TMP/defaults"
	unload
	insmod "$TMP/vmapcache_faults.ko" "$@" || fail "insmod vmapcache_faults.ko $*"
	echo 1 >"$ours/faults/$fault" || fail "no fault $fault"
}

# arena_pages: of the arena that is loaded
arena_pages() {
	echo $(($(stat bytes_arena) / page_bytes))
}

# kcase CASE [KEY=VALUE...]: runs a case of the test module; its notes are in
# $TMP/notes afterwards
kcase() {
	is_loaded vmapcache_test || insmod "$TMP/vmapcache_test.ko" ||
		fail "insmod vmapcache_test.ko"
	if ! echo "$*" 2>"$TMP/error" >$cases/run; then
		echo "case $*: $(sed 's/.*: //' "$TMP/error")"
		cat $cases/result
		fail "$*"
	fi
	cat $cases/result >"$TMP/notes"
}

# kcase_fails TEXT CASE [KEY=VALUE...]: the case must fail, and say TEXT
kcase_fails() {
	text=$1
	shift
	if (kcase "$@") >"$TMP/said"; then
		fail "$*: nothing was missed"
	fi
	grep -m 1 -- "$text" "$TMP/said" || {
		cat "$TMP/said"
		fail "$*: it failed for another reason"
	}
}

# value KEY FILE: the number behind KEY in lines of keys and values
value() {
	while read -r key found _; do
		if [ "$key" = "$1" ]; then
			echo "$found"
			return 0
		fi
	done <"$2"
	fail "no $1 in $2"
}

# stat KEY: of vmapcache's statistics
stat() {
	value "$1" $ours/stats
}

# guarded: whether this kernel can have guards; the test ends here if not
guarded() {
	! grep -q '^guard_all none$' $ours/stats || skip "this kernel cannot have guards: it lacks ftrace direct calls"
	if grep '^guard_' $ours/stats | grep -v ' on$'; then
		fail "a guard is not on"
	fi
}

# areas_end: waits until no area is left that RCU or a work item still has to free
areas_end() {
	tries=0
	while [ "$(stat areas)" != 0 ]; do
		tries=$((tries + 1))
		[ $tries -lt $((100 * SLOWNESS)) ] || fail "$(stat areas) areas are never freed"
		sleep 0.1
	done
}

# balanced: every page of the arena is live, lazy or free
balanced() {
	sum=0
	for key in live guard lazy free; do
		sum=$((sum + $(stat bytes_$key)))
	done
	if [ "$sum" != "$(stat bytes_arena)" ]; then
		grep ^bytes $ours/stats
		fail "live + guard + lazy + free is $sum, the arena $(stat bytes_arena)"
	fi
}

# empty: purges, and then no area is left
empty() {
	echo 1 >$ours/purge || fail "purge"
	for key in areas bytes_live bytes_lazy; do
		[ "$(stat $key)" = 0 ] || fail "$key is $(stat $key), not 0"
	done
	balanced
}

# noted KEY: of the notes of the last case
noted() {
	value "$1" "$TMP/notes"
}

# nothing_left: complains about anything that an unloaded vmapcache left behind
nothing_left() {
	# A kworker keeps the name of its last work; a rescuer belongs to the queue.
	left=$(grep -l vmapcache /proc/modules /proc/vmallocinfo /proc/slabinfo 2>/dev/null
		grep -lE '^(vmapcache|kworker/R-vmap)' /proc/[0-9]*/comm 2>/dev/null)
	[ -z "$left" ] || {
		grep vmapcache /proc/modules /proc/vmallocinfo /proc/slabinfo
		fail "after unloading, vmapcache is still named in" "$left"
	}
	for left in $ours $cases /proc/vmapcacheinfo /sys/module/vmapcache; do
		[ ! -e "$left" ] || fail "after unloading, $left is there"
	done
}

has_kasan() {
	grep -q ' kasan_report$' /proc/kallsyms
}

# free_pages: how many there are, those in the CPUs' own lists included, with what
# caches held given back; with what KASAN holds back of freed objects, as much as a 32nd
# part of the memory, until their cache is shrunk; and with page tables, as the kernel
# keeps those of the vmalloc range for good
free_pages() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	! has_kasan || for cache in /sys/kernel/slab/*/shrink; do
		echo 1 >"$cache"
	done
	awk '$1 == "pages" && $2 == "free" { n += $3 } $1 == "count:" { n += $2 }
		$1 == "PageTables:" { n += $2 / 4 } END { print n }' /proc/zoneinfo /proc/meminfo
}

# pages_lost BEFORE BOUND: how many pages fewer than BEFORE are free. What others hold for a
# moment comes back, what is lost does not: looks again while it is BOUND or more
pages_lost() {
	for _ in 1 2 3 4 5 6; do
		lost=$(($1 - $(free_pages)))
		[ $lost -ge "$2" ] || break
		sleep 1
	done
	echo "$lost"
}

# keeper [KEY=VALUE...]: has the case `keep` hold areas until keeper_ends, and waits
# until they are there
keeper() {
	is_loaded vmapcache_test || insmod "$TMP/vmapcache_test.ko" ||
		fail "insmod vmapcache_test.ko"
	echo "keep $*" >$cases/run 2>/dev/null &
	keeper=$!
	# A test that fails leaves the module free.
	trap keeper_ends EXIT
	last=none
	tries=0
	# At rest it is when nothing has changed for a while.
	while [ "$(stat frees)$(stat allocations)" != "$last" ] || [ "$(stat areas)" = 0 ]; do
		last=$(stat frees)$(stat allocations)
		tries=$((tries + 1))
		[ $tries -lt $((100 * SLOWNESS)) ] || fail "nothing is kept"
		sleep 0.3
	done
}

keeper_ends() {
	trap - EXIT
	kill "$keeper" 2>/dev/null
	wait "$keeper" 2>/dev/null
}

slab=$debugfs/failslab
page=$debugfs/fail_page_alloc

# can_fail: whether this kernel can let allocations fail on request
can_fail() {
	[ -w $slab/probability ] && [ -w $page/probability ]
}

# may_fail Y|N: allocations of all kinds may fail, but only where a test says so; with Y none that user
# space asks for. The test ends here if this kernel has no such faults
may_fail() {
	can_fail || skip "this kernel is without failslab and fail_page_alloc"
	for fault in $slab $page; do
		echo 0 >"$fault"/probability
		echo 0 >"$fault"/verbose
		echo Y >"$fault"/task-filter
		echo -1 >"$fault"/times
		echo N >"$fault"/ignore-gfp-wait
	done
	echo 0 >$page/min-order
	echo "$1" >$page/ignore-gfp-highmem
}

# tracepoints: $events is the folder of our trace events; the test ends here if the kernel has none
tracepoints() {
	tracing=/sys/kernel/tracing
	events=$tracing/events/vmapcache
	[ -e $tracing/events ] || mount -t tracefs tracefs $tracing 2>/dev/null
	[ -e $tracing/events ] || skip "this kernel has no trace events"
	# The order of all CPUs' events, which no other clock of an emulated machine knows.
	echo counter >$tracing/trace_clock || fail "trace_clock"
	trap 'echo local >$tracing/trace_clock' EXIT
}

# traced COMMAND...: leaves our events while it runs in $TMP/trace
traced() {
	echo >"$tracing/trace"
	echo 1 >"$events/enable" || fail "enable"
	"$@"
	echo 0 >"$events/enable"
	cat "$tracing/trace" >"$TMP/trace"
	! grep -q LOST "$TMP/trace" || fail "events were lost"
}

# compare exact|pairs OTHER: what $TMP/trace has with what must be there: see tracepoints.py
compare() {
	python3 "${0%/*}/tracepoints.py" "$1" "$TMP/trace" "$2" || {
		tail -n 60 "$TMP/trace"
		fail "the trace is not as expected"
	}
}

# stat_mode FILE: its permissions
stat_mode() {
	command stat -c %a "$1"
}

# ---- takeover ----

takeover=$ours/takeover
unaware=/sys/module/unaware/parameters/do

# can_take_over: vmapcache anew with all guards, and a user that knows nothing of it; the test ends
# here if this kernel can have no guards
can_take_over() {
	own "$@"
	unaware_comes
}

# unaware_comes: the same over the vmapcache that is there
unaware_comes() {
	guarded
	is_loaded unaware || insmod "$TMP/unaware.ko" || fail "insmod unaware.ko"
	trap takeover_ends EXIT
}

# threads_apart: kernel threads begin on the last CPU, and this test and its children run on the others. A
# kernel thread that is given a stack which the kernel kept from a process has it for good, and the module
# stays with it; the kernel keeps stacks for the CPU on which they were freed.
threads_apart() {
	apart=$(sed 's/.*[-,]//' /sys/devices/system/cpu/online)
	[ "$apart" -gt 0 ] || return 0
	taskset -p -c "$apart" 2 >/dev/null || fail "taskset: kthreadd"
	taskset -p -c 0-$((apart - 1)) $$ >/dev/null || fail "taskset: this test"
}

# takeover_ends: nothing is taken over or held any more
takeover_ends() {
	trap - EXIT
	[ -z "${apart:-}" ] || taskset -p -c 0-"$apart" 2 >/dev/null
	! is_loaded unaware || rmmod unaware
	[ ! -e $takeover ] || echo unhooked >$takeover/enable
}

# user LINE: has the unaware user do it
user() {
	echo "$*" >$unaware || fail "unaware user: $*"
}

# user_value KEY: what it has counted
user_value() {
	value "$1" $unaware
}

# taken KEY: of the statistics of takeover; 0 if the key is left out
taken() {
	awk -v key="$1" '$1 == key { found = $2 } END { print found + 0 }' $takeover/stats
}

# all_given_back [COMMAND]: waits until nobody holds an area that takeover made, or as many are held as
# COMMAND prints
all_given_back() {
	tries=0
	while :; do
		echo 1 >$takeover/drain || fail "drain"
		stay=$(${1:-echo 0})
		[ "$(taken areas_held)" != "$stay" ] || break
		tries=$((tries + 1))
		[ $tries -lt $((30 * SLOWNESS)) ] || fail "areas are left, $stay of which may stay: $(cat $takeover/holders)"
		sleep 0.3
	done
}

# unloads: vmapcache goes soon, as nobody holds anything any more
unloads() {
	tries=0
	until rmmod vmapcache 2>/dev/null; do
		tries=$((tries + 1))
		[ $tries -lt $((100 * SLOWNESS)) ] || fail "vmapcache cannot be unloaded: $(cat $takeover/holders)"
		sleep 0.1
	done
}
