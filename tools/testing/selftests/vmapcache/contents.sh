#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
FIRST=2
DESCRIPTION="give every page of 1,000 random areas a signature and find it there, on both allocators"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
kcase contents allocator=vmapcache areas=1000
kcase contents allocator=in-tree areas=1000
