#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=600
DESCRIPTION="follow all events with the program vmapcache, end it in each way, and find no instance of tracefs left"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

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
	until cat $instances/vmapcache-events-$program/events/vmapcache/*/enable 2>/dev/null | grep -q 1 &&
		[ "$(cat $instances/vmapcache-events-$program/tracing_on)" = 1 ]; do
		tenths=$((tenths + 1))
		[ $tenths -lt $((200 * SLOWNESS)) ] || fail "it does not begin: $(cat "$TMP/err")"
		sleep 0.1
	done
}

# ended STATUS: the program ends with it, and leaves nothing
ended() {
	tenths=0
	while [ -e /proc/$program/fd/0 ]; do
		tenths=$((tenths + 1))
		[ $tenths -lt $((200 * SLOWNESS)) ] || fail "it does not end"
		sleep 0.1
	done
	wait $program
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

unload
"$TOOL" events >"$TMP/out" 2>"$TMP/err" && fail "there is no module"
grep -q 'vmapcache.ko is not loaded' "$TMP/err" || fail "$(cat "$TMP/err")"

own
work 10
allocations=$(stat allocations) frees=$(stat frees)
start -O json
[ "$(cat /sys/kernel/tracing/events/vmapcache/alloc/enable)" = 0 ] || fail "others trace, too"
work "$(less 5000)"
kill -INT $program
ended 0
allocations=$(($(stat allocations) - allocations)) frees=$(($(stat frees) - frees))
grep -q ' shown, 0 lost$' "$TMP/err" || fail "some were lost"
python3 - "$TMP/out" "$allocations" "$frees" <<'END' || fail "the events are not those that the module counted"
import collections, json, sys
with open(sys.argv[1], encoding="utf-8") as lines:
    events = [json.loads(line) for line in lines]
seen = collections.Counter(event["event"] for event in events)
print(dict(seen))
live = {}
for event in sorted((e for e in events if e["event"] in ("alloc", "free")), key=lambda e: float(e["time"])):
    if event["event"] == "alloc":
        live[event["addr"]] = event["size"]
    elif live.pop(event["addr"]) != event["size"]:
        sys.exit(f"another size: {event}")
sys.exit(live or (seen["alloc"], seen["free"]) != (int(sys.argv[2]), int(sys.argv[3])))
END

# What it prints is what tracefs prints of the same events: both follow, and a third one reads what is saved. Only the
# name of a task may be another: tracefs does not know one that has not slept yet, or by then has forgotten it.
expect_log 'WARNING: .*refuse_interrupt'
expect_log 'Call [Tt]race'
mkdir $instances/beside || fail "no instance of our own"
echo mono >$instances/beside/trace_clock
echo 1 >$instances/beside/events/vmapcache/enable
start
for guards in 0 1; do
	kcase traced guards=$guards
done >"$TMP/said"
echo 1 >$ours/purge
kill -INT $program
tenths=0
while [ -e /proc/$program/fd/0 ] && [ $tenths -lt $((200 * SLOWNESS)) ]; do
	tenths=$((tenths + 1))
	sleep 0.1
done
echo 0 >$instances/beside/events/vmapcache/enable
# Both stamp an event, one after the other; meanwhile somebody may ask for the CPU.
bare() {
	sed -n 's/^.\{16\}-\([0-9]*\) *\(\[[0-9]*\]\) \(.\).\(...\) *[0-9]*\.[0-9]\{6\}: /\1 \2 \3\4 /p' "$1" | LC_ALL=C sort
}
cat $instances/beside/trace >"$TMP/trace"
bare "$TMP/trace" >"$TMP/wanted"
bare "$TMP/out" >"$TMP/printed"
[ "$(wc -l <"$TMP/wanted")" -gt 50 ] || fail "too few events: $(cat "$TMP/trace")"
diff "$TMP/wanted" "$TMP/printed" || fail "not what tracefs prints"
[ "$(cut -c 1-16 "$TMP/out" | sort -u | grep -vc '^ *run$\|^ *tool-events')" -le 3 ] || fail "tasks: $(cut -c 1-16 "$TMP/out" | sort -u)"
rmdir $instances/beside
gone

# Filters that the kernel knows let through what the program by itself lets through.
work 20 # an allocator at rest
start -O raw
kcase traced guards=0 >"$TMP/said"
echo 1 >$ours/purge
kill -INT $program
ended 0
mv "$TMP/out" "$TMP/all"
for condition in 'size>8K' 'kind!=vmalloc' 'deferred=1' 'event=flush' 'cpu>=0'; do
	start --filter "$condition"
	kcase traced guards=0 >"$TMP/said"
	echo 1 >$ours/purge
	kill -INT $program
	ended 0
	# Addresses, times and contexts differ from run to run, and whether a CPU has stock.
	for file in all out; do
		"$TOOL" events -O csv --filter "$condition" --from "$TMP/$file" | cut -d , -f 5,7-11,13-15 | sort >"$TMP/$file.rows"
	done
	cmp "$TMP/all.rows" "$TMP/out.rows" || {
		diff "$TMP/all.rows" "$TMP/out.rows"
		fail "--filter '$condition'"
	}
done
# Of these the kernel keeps none, so that none is lost.
start alloc --buffer-kb 8 --filter 'size>1M'
kill -STOP $program
work "$(less 5000)"
kill -CONT $program
kill -INT $program
ended 0
grep -q '0 events shown, 0 lost' "$TMP/err" || fail "the kernel does not filter"

# The events and rows that are wanted, in CSV; an end after some.
start -O csv alloc --filter 'size>=4K' -n 3
work 20
ended 0
[ "$(wc -l <"$TMP/out")" = 4 ] || fail "not a head and 3 rows: $(cat "$TMP/out")"
[ "$(cut -d , -f 5 "$TMP/out" | sort -u | tr '\n' ' ')" = 'alloc event ' ] || fail "not only alloc"
start alloc --filter 'size>4K' --seconds 2
work 20
ended 0
[ ! -s "$TMP/out" ] || fail "the filter lets through: $(cat "$TMP/out")"

# Killed in each way. Of SIGKILL, the next run removes what is left.
start
kill -TERM $program
ended 143
start
kill -KILL $program
wait $program
[ -n "$(ls $instances)" ] || fail "who removed it?"
start
[ "$(ls $instances)" = "vmapcache-events-$program" ] || fail "left: $(ls $instances)"
kill -HUP $program
ended 129

# Its reader goes: between two events, and with one.
mkfifo "$TMP/fifo"
for words in 'sleep 1000' 'head -n 1'; do
	# shellcheck disable=SC2086 # words
	$words <"$TMP/fifo" >"$TMP/read" &
	reader=$!
	"$TOOL" events >"$TMP/fifo" 2>"$TMP/err" &
	program=$!
	on
	if [ "$words" = 'head -n 1' ]; then
		work 50
	else
		kill $reader
	fi
	wait $reader
	ended 0
done
grep -q ': alloc: addr=' "$TMP/read" || fail "head read $(cat "$TMP/read")"
# Its reader has slept until the pipe was full. When the reader goes, that is no error; and while it
# sleeps, it keeps no signal away.
for ending in reader program; do
	(exec <"$TMP/fifo" && exec sleep 1000) &
	reader=$!
	"$TOOL" events >"$TMP/fifo" 2>"$TMP/err" &
	program=$!
	on
	work "$(less 5000)"
	sleep 1
	if [ $ending = reader ]; then
		kill $reader
		ended 0
	else
		kill -TERM $program
		ended 143
		kill $reader
	fi
done

# A burst, which an emulated machine makes faster than it can be read: the buffers have room for it.
own
laboratory
for words in '' '-O json' '-O csv'; do
	before=$(($(stat allocations) + $(stat frees)))
	# shellcheck disable=SC2086 # words
	start $words
	began=$(date +%s%N)
	echo "scenario=va_only sides=vmapcache runs=1 latency=0 flushes=0 hold=0 check=0 ops=$(less 50000)" >$bench/run
	took=$((($(date +%s%N) - began) / 1000000 + 1))
	kill -INT $program
	ended 0
	events=$(($(stat allocations) + $(stat frees) - before))
	shown=$(sed -n 's/^vmapcache: \([0-9]*\) events shown, [0-9]* lost$/\1/p' "$TMP/err")
	lost=$(sed -n 's/^vmapcache: [0-9]* events shown, \([0-9]*\) lost$/\1/p' "$TMP/err")
	echo "$events events in $took ms, $((events * 1000 / took)) a second: $lost lost"
	[ "$lost" = 0 ] || fail "$lost were lost"
	[ "$shown" -ge "$events" ] || fail "$shown shown of $events"
done
unload vmapcache_bench

# Slower than the events: what is shown and what is lost is all there was.
allocations=$(stat allocations)
start alloc --buffer-kb 8
kill -STOP $program
work "$(less 5000)"
kill -CONT $program
kill -INT $program
ended 0
allocations=$(($(stat allocations) - allocations))
shown=$(sed -n 's/^vmapcache: \([0-9]*\) events shown, [0-9]* lost$/\1/p' "$TMP/err")
lost=$(sed -n 's/^vmapcache: [0-9]* events shown, \([0-9]*\) lost$/\1/p' "$TMP/err")
[ "$lost" -gt 0 ] || fail "nothing was lost"
[ $((shown + lost)) = "$allocations" ] || fail "$shown shown and $lost lost of $allocations"

# Unloaded meanwhile.
start
unload
ended 2
grep -q 'vmapcache.ko has been unloaded' "$TMP/err" || fail "$(cat "$TMP/err")"
nothing_left
