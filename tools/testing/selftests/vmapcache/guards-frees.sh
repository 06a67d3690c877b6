#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
FIRST=2
TIMEOUT=300
DESCRIPTION="free areas by in-tree functions 100,000 times from many contexts, rightly and wrongly, beside areas whose contents it checks"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
guarded
kcase foreign_frees rounds="$(less 100000)"
areas_end
counted=0
for kind in inner foreign double unaligned; do
	counted=$((counted + $(stat errors_${kind}_free)))
done
asked=$(($(noted bad) + $(noted double)))
echo "$(noted frees) frees, $asked bad ones, $counted counted"
[ "$counted" = "$asked" ] || fail "$asked bad frees, $counted counted"
[ "$(stat frees)" = "$(noted frees)" ] || fail "$(noted frees) frees, $(stat frees) counted"
grep -q '\[vmapcache\]' /proc/vmallocinfo || fail "no arena in /proc/vmallocinfo"
empty
