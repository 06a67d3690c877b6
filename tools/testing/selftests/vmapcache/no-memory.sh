#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
FIRST=2
TIMEOUT=60
DESCRIPTION="let the 1st, 2nd, ... inner allocation of each call and each file fail, then every tenth of 5,000 operations, and find no memory lost afterwards"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

slab=$debugfs/failslab
page=$debugfs/fail_page_alloc
if [ ! -w $slab/probability ] || [ ! -w $page/probability ]; then
	skip "this kernel is without failslab and fail_page_alloc"
fi

# any: allocations of all kinds may fail, but only where a test says so
any() {
	for fault in $slab $page; do
		echo 0 >"$fault"/probability
		echo 0 >"$fault"/verbose
		echo Y >"$fault"/task-filter
		echo -1 >"$fault"/times
		echo N >"$fault"/ignore-gfp-wait
	done
	echo 0 >$page/min-order
	echo "$1" >$page/ignore-gfp-highmem
}
trap 'echo 0 >$slab/probability; echo 0 >$page/probability' EXIT

# Nothing is there yet that a call may need.
own arena_mb=256
any N
kcase nth_faults
grep -v failures "$TMP/notes"
[ "$(noted hits)" -ge "$(noted passes)" ] || fail "hardly anything failed"
[ "$(noted failed)" -ge 100 ] || fail "hardly any call was refused"
empty

# The reader's own memory must not fail.
any Y
laboratory
python3 "${0%/*}/no-memory.py" || fail "no-memory.py"
empty

own arena_mb=256
any N
echo 10 >$slab/probability
echo 10 >$page/probability
kcase random_faults operations=5000 seed=1
echo 0 >$slab/probability
echo 0 >$page/probability
grep -v failures "$TMP/notes"
[ "$(noted operations)" = 5000 ] || fail "$(noted operations) operations"
[ "$(noted failed)" -ge 50 ] || fail "hardly anything failed"
empty
kcase contents areas=100
unload
nothing_left
