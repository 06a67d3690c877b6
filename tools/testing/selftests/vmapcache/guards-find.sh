#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
FIRST=2
TIMEOUT=200
DESCRIPTION="ask the kernel's find_vm_area() and find_vmap_area() for areas of each kind, from four threads at once and from NMIs, and get their exact bounds"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
guarded
kcase found
kcase found_race rounds="$(less 20000)"
kcase found_in_nmi rounds="$(less 500)"
kcase in_tree_vreallocs
areas_end
empty
own arena_mb=64
for pages in 6 63; do
	kcase found_everywhere arena_pages="$(arena_pages)" pages=$pages
done
empty
