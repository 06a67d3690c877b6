#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
LONG="it compares latencies, and repeats that"
DESCRIPTION="measure how late a timer's thread is while 50,000 areas are purged, beside the in-tree allocator"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# All that is freed is purged at once, which is the worst case; the in-tree allocator
# purges what its own limit makes it.
own
# Less if the arena is small: at most a quarter of it is lazy.
areas=$(less 52000) rounds=$(less 5)
# A little less than they take, so that the last of them have all purged.
echo $((areas * 25 / 13)) >$ours/lazy_max_pages
# Medians of several rounds, and some tries: the machine under the VM may be busy.
for try in 1 2 3; do
	purged=$(stat flushed_areas) purges=$(stat purges)
	kcase latency areas="$areas" rounds="$rounds"
	purged=$(($(stat flushed_areas) - purged)) purges=$(($(stat purges) - purges))
	idle=$(noted idle) mine=$(noted vmapcache) theirs=$(noted in_tree)
	echo "try $try: worst delay idle $idle ns, vmapcache $mine ns, in-tree $theirs ns;" \
		"$purged areas in $purges purges"
	[ $purged -ge $((areas * rounds * 25 / 26)) ] || fail "not all were purged"
	if [ $((mine * 10)) -le "$theirs" ] || [ "$mine" -le $((idle * 2)) ]; then
		empty
		exit
	fi
done
fail "more than a tenth of the in-tree delay, and more than twice the idle one"
