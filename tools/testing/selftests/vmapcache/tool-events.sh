#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=600
DESCRIPTION="follow all events with the program vmapcache, lose some, have the kernel filter, and find no instance of tracefs left"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tools/testing/selftests/vmapcache/lib-events.sh
. "${0%/*}/lib-events.sh"

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

# Of these events the kernel keeps none, so that none is lost.
start alloc --buffer-kb 8 --filter 'size>1M'
kill -STOP $program
work "$(less 5000)"
kill -CONT $program
kill -INT $program
ended 0
grep -q '0 events shown, 0 lost' "$TMP/err" || fail "the kernel does not filter"

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
