#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
FIRST=2
DESCRIPTION="ask for areas of every odd size, alignment, flag and node, as of the in-tree allocator"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
for allocator in vmapcache in-tree; do
	kcase sizes allocator=$allocator
	kcase gfp_flags allocator=$allocator
	kcase nodes allocator=$allocator
	kcase free_null allocator=$allocator
done
kcase impossible
# In-tree, no bytes are a WARN.
kcase impossible allocator=in-tree zero=0
kcase alignments
# Said once for each load; of failures, some in each few seconds.
own
expect_log 'vmapcache: flags .* are left out, for unknown code$'
expect_log 'vmapcache: flags .* are not for address space alone, for unknown code$'
expect_log 'vmapcache: allocation failed \(alignment is no power of two\): .*, for unknown code;'
kcase nameless
own
expect_log "vmapcache: allocation failed \\(no array of pages\\): size $((64 * page_bytes)), align 1, flags GFP_KERNEL,"
kcase no_array
expect_log 'vmapcache: flags .* are left out, for '
kcase odd_flags
expect_log 'vmapcache: flags .* are not for address space alone, for '
expect_log 'vmapcache: allocation failed'
kcase address_space
kcase tuning
need
kcase vmaps
kcase vreallocs
kcase callers
kcase given_areas
kcase shrunk_areas
