#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
FIRST=2
TIMEOUT=60
DESCRIPTION="let the 1st, 2nd, ... inner allocation of each call and each file fail, then every tenth of 5,000 operations, and find no memory lost afterwards"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# Also before there is anything to turn off: a skip says why in its last line.
trap '{ echo 0 >$slab/probability; echo 0 >$page/probability; } 2>/dev/null' EXIT

# Nothing is there yet that a call may need. Requests that must not sleep get no space that is lazy, or that another
# CPU keeps: so there is plenty.
may_fail N
own arena_mb=1024
kcase nth_faults
grep -v failures "$TMP/notes"
[ "$(noted hits)" -ge "$(noted passes)" ] || fail "hardly anything failed"
[ "$(noted failed)" -ge 100 ] || fail "hardly any call was refused"
empty

# The reader's own memory must not fail.
may_fail Y
laboratory
python3 "${0%/*}/no-memory.py" || fail "no-memory.py"
empty

own arena_mb=256
may_fail N
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
