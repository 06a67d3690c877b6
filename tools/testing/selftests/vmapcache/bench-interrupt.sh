#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
LONG="it interrupts twelve measurements, each a while after it began"
DESCRIPTION="interrupt measurements, ask for two at once, and find nothing left behind"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
laboratory
switches_before=$(cat $ours/switches/* $ours/lazy_max_pages)

# Before and while it measures; the second alone takes too long to come to on a slow kernel.
waits='0.2 1.5'
[ "$SLOWNESS" = 1 ] || waits=0.2
for words in "scenario=va_only live=$(less 20000)" 'scenario=vmap threads=4 magazines=0 lazy_max_pages=9' \
	'scenario=producer_consumer threads=4' "scenario=lookup_miss writers=2 live=$(less 50000)" \
	'scenario=info_read writers=1' 'scenario=full_fit_alloc_test'; do
	for wait in $waits; do
		# cat, for it says why a write fails.
		echo "$words ms=3000 runs=20" | LC_ALL=C cat 2>"$TMP/error" >$bench/run &
		sleep "$wait"
		grep -q '^state=running' $bench/progress || fail "$words: $(cat $bench/progress)"
		if echo scenario=va_only | LC_ALL=C cat 2>"$TMP/second" >$bench/run; then
			fail "two at once"
		fi
		grep -q busy "$TMP/second" || fail "the second one: $(cat "$TMP/second")"
		kill -TERM $!
		tenths=0
		while grep -q '^state=running' $bench/progress; do
			tenths=$((tenths + 1))
			[ $tenths -lt $((100 * SLOWNESS)) ] || fail "$words: runs 10 s after the signal"
			sleep 0.1
		done
		echo "$words, $wait s: ended $((tenths / 10)).$((tenths % 10)) s after the signal"
		wait $! && fail "$words: interrupted, and yet the write did not fail"
		grep -q '^interrupted' $bench/error || fail "$words: error is '$(cat $bench/error)'"
		[ -z "$(cat $bench/result)" ] || fail "$words: there is a result"
	done
done
[ "$(cat $ours/switches/* $ours/lazy_max_pages)" = "$switches_before" ] ||
	fail "switches are not what they were"
! grep -h vcbench /proc/[0-9]*/comm 2>/dev/null || fail "threads are left"
empty
! grep vmapcache_bench /proc/vmallocinfo || fail "in-tree areas are left"
