#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="dirty memory, free it, and get it back zeroed where that was asked for"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# Where the kernel zeroes every page it allocates (init_on_alloc), this cannot fail.
need
for allocator in vmapcache in-tree; do
	kcase zeroed allocator=$allocator
done
