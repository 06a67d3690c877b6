#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
FIRST=2
DESCRIPTION="read around areas and catch the faults: in front, behind, and after the free"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
for allocator in vmapcache in-tree; do
	kcase guard_pages allocator=$allocator
	kcase unmapped allocator=$allocator
done
