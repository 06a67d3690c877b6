#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="ask for space that is freed a moment later, never there, or kept by others, and see who waits, who fails, and at what cost"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# What was freed without waiting is there for the next request.
own arena_mb=1
kcase reuse pages=254 rounds="$(less 2000)"
own arena_mb=64
kcase reuse pages=9000 rounds="$(less 200)"
empty

# Fails at once, and says why.
expect_log 'vmapcache: allocation failed \(more than the arena holds\)'
expect_log 'vmapcache: allocation failed \(alignment above the arena.s\)'
kcase never arena_pages="$(arena_pages)"

# A request that must not fail says that it waits.
mark="shortage $$"
echo "$mark" >/dev/kmsg
expect_log 'vmapcache: allocation waits \(no free extent\)'
kcase nofail arena_pages="$(arena_pages)"
dmesg | sed -n "/$mark/,\$p" | grep -q 'allocation waits .* for wait_for_area+' ||
	fail "it waited without a word"
empty

# Others have a say where the kernel tells us how to reach them.
if grep -q ' vmap_notify_list$' /proc/kallsyms; then
	kcase others arena_pages="$(arena_pages)"
	empty
fi

# A flush costs all CPUs, and a drain costs them their stock: not for nothing.
kcase hopeless arena_pages="$(arena_pages)" asks=10
echo "10 requests that cannot be served: $(noted flushes) full flushes, $(noted mean_us) us each, $(noted slowest_us) us at most"
[ "$(noted flushes)" -le 20 ] || fail "$(noted flushes) flushes for 10 requests"
empty
