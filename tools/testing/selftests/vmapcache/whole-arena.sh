#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="ask for the whole arena in one area, and fill it with areas of 1, 2, 7 and 300 pages"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own arena_mb=64
kcase whole_arena arena_pages="$(arena_pages)"
empty
for pages in 1 2 7 300; do
	kcase fill arena_pages="$(arena_pages)" pages=$pages
	echo "$pages pages: $(noted areas) areas"
	empty
done
# As one shard is full, others serve.
echo 0 >$ours/switches/magazines
kcase fill arena_pages="$(arena_pages)" pages=3
empty
