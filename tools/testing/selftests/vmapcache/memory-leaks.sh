#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it: it looks for what all others left
GROUP="one two"
LAST=2
DESCRIPTION="scan the whole memory for allocations of vmapcache that nobody points to, while loaded and after"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

kmemleak=$debugfs/kmemleak
[ -w $kmemleak ] || skip "this kernel is without kmemleak"

# scan WHEN: complains about new leaks; ignores memory younger than 5 s
scan() {
	sleep 6
	echo scan >$kmemleak 2>/dev/null || fail "kmemleak is off"
	# Once more: a pointer may have been on its way.
	echo scan >$kmemleak
	cat $kmemleak >"$TMP/leaks"
	if grep -qE 'vmapcache|vc_|insmod|modprobe' "$TMP/leaks"; then
		cat "$TMP/leaks"
		fail "$1: kmemleak has found something"
	fi
	echo "$1: $(grep -c '^unreferenced' "$TMP/leaks") leaks, none of them ours"
}

need
kcase contents areas=200
kcase pairs count=1000 pages=4
scan "loaded"
unload
scan "unloaded"
# And it does find one.
need
kcase lose_memory
expect_log 'kmemleak: [0-9]+ new'
found=0
for _ in 1 2 3; do
	sleep 6
	echo scan >$kmemleak
	if grep -q 'lose_memory' $kmemleak; then
		found=1
		break
	fi
done
[ $found = 1 ] || fail "kmemleak does not find what is lost on purpose"
echo clear >$kmemleak
unload
