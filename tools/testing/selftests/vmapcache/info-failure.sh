#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="fill and fragment the arena until an allocation fails, and read the same reason from the kernel log and from info"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own arena_mb=64
expect_log 'vmapcache: allocation failed \(no free extent\)'
mark="info-failure $$"
echo "$mark" >/dev/kmsg
is_loaded vmapcache_test || insmod "$TMP/vmapcache_test.ko" || fail "insmod vmapcache_test.ko"
echo fragment pages=7 >$cases/run 2>/dev/null &
keeper=$!
trap keeper_ends EXIT
tries=0
until dmesg | sed -n "/$mark/,\$p" | grep "vmapcache: allocation failed.* size $((7 * page_bytes))," >"$TMP/message"; do
	tries=$((tries + 1))
	[ $tries -lt $((300 * SLOWNESS)) ] || fail "no message"
	sleep 0.1
done
echo 1 >$ours/purge
cat $ours/info >"$TMP/info"
cat "$TMP/message"
# said TEXT: the number behind it in the message
said() {
	sed -n "1s/.*$1 \([0-9]*\).*/\1/p" "$TMP/message"
}
free=$(sed -n '1s/.*extent [0-9]* of \([0-9]*\) free bytes.*/\1/p' "$TMP/message")
# The message says what a drain would leave. Until then some of it is stock.
[ "$(said 'largest free extent')" -ge "$(value largest_free_bytes "$TMP/info")" ] ||
	fail "largest: $(value largest_free_bytes "$TMP/info") in info"
[ "$free" = "$(value bytes_free "$TMP/info")" ] || fail "free: $(value bytes_free "$TMP/info") in info"
[ "$(said fragmentation)" -le "$(value fragmentation_percent "$TMP/info")" ] ||
	fail "fragmentation: $(value fragmentation_percent "$TMP/info") in info"
# Enough is free, but not in one piece: that is the reason.
[ "$free" -ge "$(said size)" ] || fail "not even enough in all"
[ "$(said 'largest free extent')" -le "$(said size)" ] || fail "it would have fitted"
[ "$(said fragmentation)" -ge 90 ] || fail "the arena is not fragmented"
keeper_ends
empty
