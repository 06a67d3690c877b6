# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# "vmapcache events" started, followed and ended: for tests that source this file behind lib.sh.

needs_tool
instances=/sys/kernel/tracing/instances
[ -e $instances ] || mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
[ -e $instances ] || skip "this kernel has no trace events"

# start [OPTION...]: follows, until it is ended; returns when the events are on. A shell without a terminal
# has its jobs ignore SIGINT.
start() {
	python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
		"$TOOL" events "$@" >"$TMP/out" 2>"$TMP/err" &
	program=$!
	on
}

# on: waits until the program traces
on() {
	tenths=0
	until cat $instances/vmapcache-events-"$program"/events/vmapcache/*/enable 2>/dev/null | grep -q 1 &&
		[ "$(cat $instances/vmapcache-events-"$program"/tracing_on)" = 1 ]; do
		tenths=$((tenths + 1))
		[ $tenths -lt $((200 * SLOWNESS)) ] || fail "it does not begin: $(cat "$TMP/err")"
		sleep 0.1
	done
}

# ended STATUS: the program ends with it, and leaves nothing
ended() {
	tenths=0
	while [ -e "/proc/$program/fd/0" ]; do
		tenths=$((tenths + 1))
		[ $tenths -lt $((200 * SLOWNESS)) ] || fail "it does not end"
		sleep 0.1
	done
	wait "$program"
	status=$?
	echo "ended with $status: $(cat "$TMP/err")"
	[ $status = "$1" ] || fail "status $status instead of $1"
	gone
}

gone() {
	[ -z "$(ls $instances)" ] || fail "left: $(ls $instances)"
}

# work PAIRS: so many allocations and frees
work() {
	kcase pairs count="$1" threads=1 pages=1 >"$TMP/said"
}
