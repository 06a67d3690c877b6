#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
FIRST=2
DESCRIPTION="call the kernel's vm_unmap_aliases() and see freed addresses fault, and no flush if nothing was freed"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
guarded
kcase aliases
[ "$(noted once)" = 1 ] || fail "$(noted once) flushes after one free"
# The caller in the kernel that the case has is one of x86.
[ "$(uname -m)" != x86_64 ] || [ "$(noted kernel)" = 1 ] ||
	fail "$(noted kernel) flushes after one free, by a caller in the kernel"
[ "$(noted more)" = 0 ] || fail "$(noted more) flushes of what was flushed already"
empty
