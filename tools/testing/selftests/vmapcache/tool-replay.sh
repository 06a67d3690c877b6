#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=300
LONG="it makes several recordings, and replays them on both sides"
DESCRIPTION="record requests to the in-tree allocator, count them by other means, and replay them on both sides"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

needs_tool
"$TOOL" record --help >/dev/null 2>&1 || skip "a program vmapcache without record"
tracing=/sys/kernel/tracing
[ -e $tracing/instances ] || mount -t tracefs tracefs $tracing 2>/dev/null
event=$tracing/events/vmalloc/alloc_vmap_area
[ -e $event ] || skip "this kernel has no trace events of vmalloc"

# The program must load nothing.
unset VMAPCACHE_KO BENCH_KO

# said STATUS PATTERN COMMAND...: it ends with that status and says that, in one line
said() {
	wanted=$1 pattern=$2
	shift 2
	"$TOOL" "$@" >"$TMP/out" 2>"$TMP/err" </dev/null
	status=$?
	[ $status = "$wanted" ] || fail "vmapcache $*: status $status: $(cat "$TMP/err")"
	[ -z "$pattern" ] || grep -q "$pattern" "$TMP/err" || fail "vmapcache $*: says $(cat "$TMP/err")"
	[ "$wanted" != 2 ] || [ "$(wc -l <"$TMP/err")" = 1 ] || fail "vmapcache $*: more than a line: $(cat "$TMP/err")"
	[ -z "$(ls $tracing/instances)" ] || fail "left: $(ls $tracing/instances)"
}

# of BYTES [FILE]: requests for so many in the recording
of() {
	"$TOOL" recording "${2:-$TMP/rec}" -O csv --filter request=alloc --filter bytes="$1" | sed 1d | wc -l
}

# Without the module: processes, whose stacks the kernel counts by size, too.
unload
cat >"$TMP/work" <<END
echo 'hist:keys=size' >$event/trigger || exit 9
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	(sleep 0.1; sleep 0.1) & (sleep 0.1; sleep 0.1) &
	wait
done
cat $event/hist >"$TMP/hist"
echo '!hist:keys=size' >$event/trigger
exit 7
END
if [ -e $event/hist ]; then
	said 1 ' requests recorded in .*, 0 events lost: ' record -o "$TMP/rec" -- sh "$TMP/work"
	grep -q 'exit status: 7' "$TMP/err" || fail "how the command ended is not said: $(cat "$TMP/err")"
	grep 'hitcount:' "$TMP/hist"
	sed -n 's/.*size: *\([0-9]*\) .*hitcount: *\([0-9]*\).*/\1 \2/p' "$TMP/hist" >"$TMP/counts"
	[ -s "$TMP/counts" ] || fail "the kernel counted nothing: $(cat "$TMP/hist")"
	while read -r bytes count; do
		recorded=$(of "$bytes")
		# It began before the kernel's own count and ended after it.
		if [ "$recorded" -lt "$count" ] || [ "$recorded" -gt $((count + 20)) ]; then
			fail "$recorded requests of $bytes bytes recorded, $count counted by the kernel"
		fi
	done <"$TMP/counts"
	"$TOOL" recording "$TMP/rec" | tee "$TMP/out"
	grep -Eq '^ +[0-9]+  (copy_process|dup_task_struct|alloc_thread_stack_node)' "$TMP/out" || fail "nobody asked for stacks"
fi
said 2 'vmapcache_bench is not loaded\|vmapcache is not loaded' replay "$TMP/rec"
said 2 'this is no recording' replay "$TMP/work"
said 2 'No such file' replay "$TMP/none"
head -c 100 "$TMP/rec" >"$TMP/cut"
said 2 'the recording is cut off' replay "$TMP/cut"
{ echo 'vmapcache recording, format 9'; tail -n +2 "$TMP/rec"; } >"$TMP/other"
said 2 'has format 9' recording "$TMP/other"
said 0 '^vmapcache: [0-9]* request' record -o "$TMP/rec" --for 1s
said 2 '' record -o /nowhere/rec -- true
said 2 'no-such-program' record -o "$TMP/rec" -- no-such-program

# So many of a size that nobody else asks for, by two threads, in two passes: the first one warms up. Where the
# processor counts instructions, there is a third.
own
laboratory
pairs=$(less 1000)
line="scenario=va_only sides=in-tree pages=37 align=2 threads=2 ops=$pairs runs=1 latency=0 flushes=0 hold=0 check=0"
said 0 ' 0 events lost: ' record -o "$TMP/rec" -- sh -c "echo $line >$bench/run"
cat "$TMP/err"
recorded=$(of $((38 * $(getconf PAGESIZE))))
case $recorded in
	$((4 * pairs)) | $((6 * pairs))) ;;
	*)
		"$TOOL" recording "$TMP/rec"
		fail "$recorded requests recorded, $((4 * pairs)) made"
		;;
esac
"$TOOL" recording "$TMP/rec" -O csv --filter caller~vc_in_tree_va_alloc --filter lives_ns\>0 | sed 1d >"$TMP/rows"
[ "$(wc -l <"$TMP/rows")" -ge $((4 * pairs)) ] || fail "$(wc -l <"$TMP/rows") of them have a caller and a free"

# As fast as the in-tree allocator is, it records all; and with hardly a buffer it says how much is missing.
pairs=$(less 20000)
line="scenario=va_only sides=in-tree pages=41 threads=2 ops=$pairs runs=1 latency=0 flushes=0 hold=0 check=0"
for options in '' '--buffer-kb 8'; do
	# shellcheck disable=SC2086 # words
	said 0 ' events lost: ' record $options -o "$TMP/fast" -- sh -c "echo $line >$bench/run"
	lost=$(sed -n 's/.* \([0-9]*\) events lost: .*/\1/p' "$TMP/err")
	kept=$(of $((42 * $(getconf PAGESIZE))) "$TMP/fast")
	cat "$TMP/err"
	echo "$kept requests recorded, $lost events lost"
	# Two threads, two passes, or three.
	if [ -z "$options" ]; then
		[ "$lost" = 0 ] || fail "$lost events were lost"
		[ "$kept" = $((4 * pairs)) ] || [ "$kept" = $((6 * pairs)) ] || fail "$kept requests recorded, $((4 * pairs)) made"
		made=$kept
	else
		[ "$lost" -gt 0 ] || fail "nothing was lost"
		# A pair is two events, and others ask, too.
		[ "$kept" -lt "$made" ] || fail "$kept requests recorded"
		[ $((2 * kept + lost)) -ge $((2 * made)) ] || fail "$kept requests and $lost events of $((2 * made)) events"
	fi
done

# On both sides, which hold what the recording says, and nothing afterwards.
areas=$(stat areas)
said 0 '' replay "$TMP/rec" --runs 3 -O json
python3 - "$TMP/out" "$recorded" <<'END' || fail "$(cat "$TMP/out")"
import json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    sides = json.load(file)
print([(side["allocator"], side["median_ns"], side["live_sets"]) for side in sides])
ok = [side["allocator"] for side in sides] == ["in-tree", "vmapcache"]
for side in sides:
    ok &= side["check"] == "ok" and side["failures"] == 0 and len(side["runs_ns"]) == 3
    ok &= side["ops"] >= 3 * 2 * int(sys.argv[2]) - 3 * 20 and side["live_sets"] == sides[0]["live_sets"]
sys.exit(not ok)
END
[ "$(stat areas)" = "$areas" ] || fail "$(stat areas) areas live instead of $areas"
said 0 '' replay "$TMP/rec" --runs 2
grep -q 'the live areas were those of the recording at all 8 checkpoints' "$TMP/out" || fail "$(cat "$TMP/out")"

# A program by hand: what lives is what it says, and a bad one changes nothing.
printf 'requests 5\n0 a 4 1\n1 a 16 16\n1 f 0\n0 a 1 1\n0 f 1\n' >$bench/program || fail "$(cat $bench/error)"
has='requests=5 allocations=3 cpus=2 areas_most=2 pages_most=20'
[ "$(cat $bench/program)" = "$has" ] || fail "$(cat $bench/program)"
echo 'scenario=replay runs=2 hold=0' >$bench/run || fail "$(cat $bench/error)"
[ "$(grep -c ' check=ok live_sets=0:0,1:4,1:4,2:20,1:16,1:16,2:17,1:1$' $bench/result)" = 2 ] || fail "$(cat $bench/result)"
# refused TEXT PATTERN
refused() {
	if printf "%b" "$1" 2>/dev/null >$bench/program; then
		fail "took: $1"
	fi
	grep -q "$2" $bench/error || fail "'$1' is refused with '$(cat $bench/error)', not '$2'"
	[ "$(cat $bench/program)" = "$has" ] || fail "after '$1' the program is $(cat $bench/program)"
}
refused 'requests 2\n0 a 1 1\n' 'the whole program must be one write'
refused 'requests 1\n0 a 1 1' 'cut off'
refused 'requests 1\n0 f 0\n' 'line 2: frees allocation 0, which no line before makes'
refused 'requests 3\n0 a 1 1\n1 f 0\n0 f 0\n' 'line 4: frees allocation 0 a second time'
refused 'requests 1\n0 a 1 3\n' 'line 2: the alignment must be a power of two'
refused 'requests 99999999\n' 'line 1: must be 1 to 1048576 requests'
refused '\0377\0376\n' 'line 1: not'
# More than the arena has: refused; what fits into no range fails, and the tool says so.
printf 'requests 3\n0 a 1048576 1\n0 a 1048576 1\n0 a 1048576 1\n' >$bench/program || fail "$(cat $bench/error)"
if echo 'scenario=replay' 2>/dev/null >$bench/run; then
	fail "took a program that is larger than the arena"
fi
grep -q 'the arena has .* arena_mb=$' $bench/error || fail "$(cat $bench/error)"
unload
nothing_left
