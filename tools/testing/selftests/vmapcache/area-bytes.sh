#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="weigh the bookkeeping of 100,000 areas of a page, beside the in-tree allocator's"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
laboratory
areas=$(less 100000)

mine() {
	echo $(($(stat descriptor_bytes) + $(stat index_bytes)))
}

# All bytes in slabs, of any user: 100,000 areas outweigh the rest.
theirs() {
	awk '/^[^#s]|^s[^l]/ { bytes += $2 * $4 } END { printf "%d\n", bytes }' /proc/slabinfo
}

# hold ALLOCATOR: has the laboratory make the areas; they stay for some seconds
hold() {
	echo "scenario=va_only sides=$1 live=$areas ms=10000 runs=3 latency=0 flushes=0 hold=0" |
		LC_ALL=C cat >$bench/run 2>"$TMP/error" &
	holder=$!
}

held() {
	kill -0 $holder 2>/dev/null || fail "$(cat $bench/error) $(cat "$TMP/error")"
}

let_go() {
	kill $holder
	wait $holder 2>/dev/null
}

before=$(mine)
hold vmapcache
tenths=0
until [ "$(stat areas)" -ge "$areas" ]; do
	tenths=$((tenths + 1))
	[ $tenths -lt $((200 * SLOWNESS)) ] || fail "$(stat areas) areas"
	held
	sleep 0.1
done
bytes=$((($(mine) - before) / areas))
let_go

in_tree="no slabinfo to tell"
# A debug kernel keeps what was freed for a while, in the same slabs.
if [ -r /proc/slabinfo ] && [ "$SLOWNESS" = 1 ]; then
	before=$(theirs)
	hold in-tree
	last=0
	now=$before
	# Until no more come: the areas are there, and what is measured among them is one at a time.
	until [ $((now - before)) -gt $((areas * 32)) ] && [ $((now - last)) -lt $((areas * 4)) ]; do
		tenths=$((tenths + 1))
		[ $tenths -lt 400 ] || fail "$((now - before)) bytes in slabs"
		held
		last=$now
		sleep 0.3
		now=$(theirs)
	done
	in_tree="$(((now - before) / areas)) bytes"
	let_go
fi
echo "an area of a page takes $bytes bytes of descriptor and index; in-tree $in_tree"
# 64 of the descriptor, 8 of the index, and what lazy areas and stock take beside them, which is more where there are
# fewer areas.
[ $bytes -le 140 ] || fail "more than 140 bytes"
empty
