#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=600
LONG="it starts the program twenty times"
DESCRIPTION="end \"vmapcache events\" in each way, filter in the kernel and in the program, follow bursts, and find no instance of tracefs left"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tools/testing/selftests/vmapcache/lib-events.sh
. "${0%/*}/lib-events.sh"

own

# Filters that the kernel knows let through what the program by itself lets through.
expect_log 'WARNING: .*refuse_interrupt'
expect_log 'Call [Tt]race'
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
unload
nothing_left
