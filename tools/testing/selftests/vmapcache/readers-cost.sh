#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=700
LONG="it compares CPU times, and repeats that"
DESCRIPTION="measure the CPU time of 2 writers while 2 others read without a pause, beside the in-tree allocator"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

command -v perl >/dev/null || skip "no perl"
own
turns=7
[ "$SLOWNESS" = 1 ] || turns=3

# read_on FILE NAME: from beginning to end, without a pause; counts that in $TMP/NAME
read_on() {
	# Before the reader does it itself: what the last one said must not count.
	: >"$TMP/$2"
	# shellcheck disable=SC2016
	perl -e '
		$SIG{TERM} = sub { print("$n\n"); exit };
		$| = 1;
		print("begun\n");
		for (;; $n++) { open(F, "<", $ARGV[0]) || die; while (sysread(F, $b, 131072)) {} close(F); }
	' "$1" >"$TMP/$2" &
	reader=$!
	until [ -s "$TMP/$2" ]; do
		kill -0 $reader || fail "no reader of $1"
		sleep 0.1
	done
}

# reads NAME: as counted
reads() {
	sed -n '2s/^$/0/; 2p' "$TMP/$1"
}

# writers ALLOCATOR FILE: adds a line to FILE, their time for one operation in ns
writers() {
	kcase writers allocator="$1" ms=1200 threads=2 slots=32
	noted ns_per_operation >>"$2"
}

# beside FILE FILE ALLOCATOR TO: the same, while two tasks read
beside() {
	read_on "$1" first
	first=$reader
	read_on "$2" second
	second=$reader
	writers "$3" "$4"
	kill $first $second
	wait $first $second
	for name in first second; do
		[ "$(reads $name)" -ge 3 ] || fail "the $name reader hardly read"
	done
}

# median FILE: of a number a turn
median() {
	sort -n "$1" | sed -n $((turns / 2 + 1))p
}

# grown ALLOCATOR FILE FILE: the time of its writers alone, beside two tasks that read an
# unrelated file, and beside two tasks that read these files: medians of turns. The second
# minus the first is the cost of sharing CPUs: cold caches, and a cold TLB, which is
# expensive under emulation. The third minus the second is the cost of readers, in per
# mille.
grown() {
	: >"$TMP/alone"
	: >"$TMP/shared"
	: >"$TMP/read"
	for _ in $(seq $turns); do
		writers "$1" "$TMP/alone"
		beside $cases/empty $cases/empty "$1" "$TMP/shared"
		beside "$2" "$3" "$1" "$TMP/read"
	done
	alone=$(median "$TMP/alone")
	shared=$(median "$TMP/shared")
	read=$(median "$TMP/read")
	more=$(((read - shared) * 1000 / shared))
	echo "$1: $alone ns for an operation alone, $shared beside tasks that read nothing, $read beside" \
		"readers: $more per mille more than beside others, $(((read - alone) * 1000 / alone)) than" \
		"alone; last turn: $(reads first) reads of $2, $(reads second) of $3"
}

grown in-tree /proc/vmallocinfo /proc/vmallocinfo
# 50 is the goal, and a quiet machine reaches it. One that others use may not, so it has three tries.
for _ in 1 2 3; do
	grown vmapcache $ours/info /proc/vmapcacheinfo
	[ $more -gt $((150 * SLOWNESS)) ] || break
done
[ $more -le $((150 * SLOWNESS)) ] || fail "to be read about makes writers dearer by $more per mille"
empty
