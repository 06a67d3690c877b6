#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="read /proc/vmapcacheinfo in small pieces, half-way, from the middle, twice at once, and while the module goes"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
proc=/proc/vmapcacheinfo
restrict=$(cat /proc/sys/kernel/kptr_restrict)
echo 1 >/proc/sys/kernel/kptr_restrict
keeper areas=400 max_pages=20 lazy=60
cat $proc >"$TMP/whole"
for size in 1 7 100 4096 100000; do
	dd if=$proc bs=$size 2>/dev/null | cmp - "$TMP/whole" || fail "in pieces of $size bytes it is another"
done
# Half-way, and on from there later.
{
	head -n 50 "$TMP/whole" | wc -c >"$TMP/bytes"
	read -r bytes <"$TMP/bytes"
	dd bs=1 count="$bytes" 2>/dev/null
	dd if=$proc bs=4096 count=1 of=/dev/null 2>/dev/null
	cat
} <$proc >"$TMP/halves"
cmp "$TMP/halves" "$TMP/whole" || fail "in two halves it is another"
for at in 1 33 5000 20000 1000000; do
	tail -c +$((at + 1)) "$TMP/whole" >"$TMP/rest"
	dd if=$proc bs=1 skip=$at 2>/dev/null >"$TMP/sought"
	cmp "$TMP/sought" "$TMP/rest" || fail "from byte $at on it is another"
done
# A file that nobody goes on reading.
exec 3<$proc
dd bs=10 count=1 <&3 of=/dev/null 2>/dev/null
for reader in 1 2; do
	for round in 1 2 3; do
		cat $proc
	done >"$TMP/reader$reader" &
	eval "reader$reader=\$!"
done
# shellcheck disable=SC2154
wait "$reader1" "$reader2"
cat "$TMP/whole" "$TMP/whole" "$TMP/whole" >"$TMP/three"
for reader in 1 2; do
	cmp "$TMP/reader$reader" "$TMP/three" || fail "reader $reader read something else"
done
keeper_ends
echo "$restrict" >/proc/sys/kernel/kptr_restrict

# An open file in debugfs keeps the module; one in procfs does not.
rmmod vmapcache_test || fail "rmmod vmapcache_test"
exec 4<$ours/info
dd bs=10 count=1 <&4 of=/dev/null 2>/dev/null
rmmod vmapcache 2>/dev/null && fail "the module went with info open"
dd bs=10 count=1 <&4 2>/dev/null | grep -q . || fail "info cannot be read on"
exec 4<&-
rmmod vmapcache || fail "rmmod with $proc open"
cat <&3 >"$TMP/gone" 2>"$TMP/error" && fail "it can still be read"
grep -q 'Input/output error' "$TMP/error" || fail "$(cat "$TMP/error")"
exec 3<&-
[ ! -e $proc ] || fail "$proc is there"
# Readers that come and go while it does.
for round in 1 2 3 4 5; do
	insmod "$TMP/vmapcache.ko" || fail "insmod, round $round"
	while cat $proc $ours/info $ours/callers >/dev/null 2>&1; do :; done &
	reader=$!
	tries=0
	until rmmod vmapcache 2>/dev/null; do
		tries=$((tries + 1))
		[ $tries -lt 500 ] || fail "the readers keep it"
	done
	wait $reader
done
nothing_left
