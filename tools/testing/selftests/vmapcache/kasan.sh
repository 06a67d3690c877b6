#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it: a report switches lockdep off
GROUP=two
LAST=1
DESCRIPTION="use areas after they were freed and beyond their ends, and have KASAN report each use, and no other"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
# The first area of a CPU is kept, and no other of that CPU begins where the arena does: see shadow.c.
taskset -p -c 0 $$ >/dev/null || fail "taskset"
mark="kasan $$"
echo "$mark" >/dev/kmsg
earned=0
for case in use_after_free overrun resized; do
	# Without KASAN the same uses must not harm anybody.
	kcase $case
	[ "$(noted watched)" = 1 ] && earned=$((earned + $(noted reports)))
done
balanced
[ $earned != 0 ] || skip "this kernel is without KASAN_GENERIC and KASAN_VMALLOC"
grep -qw kasan_multi_shot /proc/cmdline || skip "KASAN reports one use only (boot with kasan_multi_shot)"
expect_log 'BUG: KASAN: vmalloc-out-of-bounds in (look|touch)\+0x[0-9a-f]+/0x[0-9a-f]+ \[vmapcache_test\]'
expect_log 'Call [Tt]race'
reports=$(dmesg | sed -n "/$mark/,\$p" | grep -c 'BUG: KASAN')
echo "$earned uses of what was not allocated, $reports reports"
[ "$reports" = $earned ] || fail "$reports reports of $earned uses"
