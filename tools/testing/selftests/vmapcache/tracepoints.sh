#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
TIMEOUT=200
DESCRIPTION="trace known work by the tracepoints of vmapcache, and compare each field; unload the module while somebody traces"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

tracepoints
names="alloc fail flush free purge_begin purge_end"

own
found=$(cd $events && echo */)
[ "$found" = "$(echo "$names" | sed 's| |/ |g; s|$|/|')" ] || fail "the events are $found"
for name in $names; do
	[ "$(cat $events/"$name"/enable)" = 0 ] || fail "$name is on from the start"
done
guards=1
grep -q '^guard_vfree on$' $ours/stats || guards=0

# Each kind of areas and each way to free, from all contexts, each field. Nothing else runs: at rest no
# page is handed on for a purge.
expect_log 'WARNING: .*refuse_interrupt'
expect_log 'Call [Tt]race'
kcase traced guards=$guards
empty
traced kcase traced guards=$guards
compare exact "$TMP/notes"
# Where each free flushes.
echo 0 >$ours/lazy_max_pages
traced kcase traced_eager
compare exact "$TMP/notes"

# One event alone.
echo >$tracing/trace
echo 1 >$events/free/enable
kcase traced_eager
echo 0 >$events/free/enable
[ "$(grep -vc '^#' $tracing/trace)" = "$(grep -c ': free: addr=0x' $tracing/trace)" ] || fail "not only free"
[ "$(grep -c ': free: ' $tracing/trace)" = 4 ] || fail "4 frees: $(cat $tracing/trace)"

# Purges of the worker and of tasks that help, each with its end.
echo 2000 >$ours/lazy_max_pages
echo 1 >$ours/purge
areas=$(stat flushed_areas)
purges=$(stat purges)
echo >$tracing/trace
for name in purge_begin purge_end flush; do
	echo 1 >$events/$name/enable
done
kcase pairs count="$(less 8000)" threads=3 pages=4
echo 1 >$ours/purge
for name in purge_begin purge_end flush; do
	echo 0 >$events/$name/enable
done
cat $tracing/trace >"$TMP/trace"
purges=$(($(stat purges) - purges))
[ "$purges" -gt 3 ] || fail "only $purges purges"
[ "$(grep -c ': purge_end: ' "$TMP/trace")" = $purges ] || fail "$purges purges, but $(grep -c ': purge_end: ' "$TMP/trace") ends"
compare pairs $(($(stat flushed_areas) - areas))

# A request that waits says so each time, and so does the reason.
own arena_mb=8
traced kcase traced_wait
grep -q ': fail: size='$((16 * page_bytes))' align=1 kind=vmalloc gfp_flags=GFP_KERNEL|__GFP_NOFAIL error=-12 waits=1 nr_lazy=[0-9]* reason="no free extent" caller=traced_eager' "$TMP/trace" || {
	tail -n 60 "$TMP/trace"
	fail "no request waits"
}

# Unloaded while somebody traces, with areas left: no event is left, none comes back by itself.
echo 1 >$events/enable
kcase traced_eager
unload
[ ! -e $events ] || fail "the events outlive the module"
cat $tracing/trace >/dev/null
nothing_left
load
[ "$(cat $events/alloc/enable)" = 0 ] || fail "a new module traces by itself"
unload
nothing_left
