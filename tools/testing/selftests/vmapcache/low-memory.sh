#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
LONG="it has a boot with little memory of its own"
DESCRIPTION="run out of memory under load, see stocks given back, the hog killed, and everything go on"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

total=$(awk '$1 == "MemTotal:" { print int($2 / 1024) }' /proc/meminfo)
[ "$total" -le 400 ] || skip "$total MB of memory are too many (boot with 256)"

# available: what the kernel could still give, in MB
available() {
	awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo
}

# fill MB: has that much of the memory used by a file that cannot be written out
fill() {
	mkdir -p "$TMP/full"
	busybox mount -t tmpfs -o size=100% full "$TMP/full" || fail "mount"
	trap 'busybox umount "$TMP/full"' EXIT
	head -c "$1"M /dev/zero >"$TMP/full/file"
}

# A hog of which nothing can be reclaimed, not even its text: while that comes and goes, the
# kernel sees itself get on, and kills nobody for minutes.
cp "$(command -v busybox)" "$TMP/tail" || fail "no busybox"
# Whom the OOM killer has chosen gets no page any more.
allow_log ' tail: page allocation failure'
own
kcase pairs count=20000 pages=1
kcase pairs count=4000 pages=16
before=$(($(stat bytes_stock) + $(stat bytes_lazy)))
fill $(($(available) - 16))
after=$(($(stat bytes_stock) + $(stat bytes_lazy)))
echo "memory filled: $before bytes of addresses in stock or lazy before, $after after"
[ "$before" -gt 0 ] || fail "no stock"
[ "$after" -le $((before / 4)) ] || fail "the shrinker has left $after of $before bytes"
rm "$TMP/full/file"

# A process that takes all there is, while the arena is at work.
expect_log 'invoked oom-killer'
expect_log 'Call [Tt]race'
expect_log 'Out of memory: Killed process [0-9]+ \(tail\)'
mark="low-memory $$"
echo "$mark" >/dev/kmsg
echo "torture seconds=12 threads=2 seed=5" >$cases/run 2>"$TMP/error" &
torture=$!
sleep 1
"$TMP/tail" /dev/zero 2>/dev/null
"$TMP/tail" /dev/zero 2>/dev/null
wait $torture || fail "torture: $(cat "$TMP/error")"
cat $cases/result >"$TMP/notes"
grep -v failures "$TMP/notes"
[ "$(noted operations)" -ge 1000 ] || fail "hardly anything was done"
dmesg | sed -n "/$mark/,\$p" | grep 'Out of memory: Killed' >"$TMP/killed"
[ "$(wc -l <"$TMP/killed")" -ge 2 ] || fail "the hog was not killed"
if grep -v '(tail)' "$TMP/killed"; then
	fail "another was killed"
fi
empty
