#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
DESCRIPTION="load the module with each value of guards= and with wrong ones, and see what is on"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# count STATE: how many guards have it
count() {
	grep -c "^guard_.* $1\$" $ours/stats
}

own
all=$(grep -c ^guard_ $ours/stats)
[ "$(stat guard_all 2>/dev/null)" = none ] || guarded
own guards=off
[ "$(cat /sys/module/vmapcache/parameters/guards)" = off ] || fail "guards=off is not shown"
if [ -e /sys/kernel/tracing/enabled_functions ] && grep vmapcache /sys/kernel/tracing/enabled_functions; then
	fail "a guard is on"
fi
[ "$(count on)" = 0 ] || fail "$(count on) guards are on with guards=off"
kcase contents areas=100
unload
for word in '' x on Auto offf 'auto,off' 1; do
	expect_log "vmapcache: guards=$word is none of auto, require, off"
	insmod "$TMP/vmapcache.ko" guards="$word" 2>"$TMP/error" && fail "loaded with guards=$word"
	grep -q 'Invalid ' "$TMP/error" || fail "guards=$word: $(cat "$TMP/error")"
	nothing_left
done
if insmod "$TMP/vmapcache.ko" guards=require 2>"$TMP/error"; then
	[ "$(count on)" = "$all" ] || fail "with guards=require $(count on) of $all are on"
	kcase contents areas=100
else
	expect_log "vmapcache: no guards: they need CONFIG_"
	grep -q 'not supported' "$TMP/error" || fail "guards=require: $(cat "$TMP/error")"
	nothing_left
	skip "this kernel cannot have guards"
fi
unload
nothing_left
