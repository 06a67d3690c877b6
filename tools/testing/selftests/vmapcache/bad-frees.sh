#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
DESCRIPTION="free addresses without an area, of other allocators, inside areas and freed before, and see each counted and without effect"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
for kind in inner foreign double unaligned; do
	eval "before_$kind=$(stat errors_${kind}_free)"
done
# Each kind is said once.
kcase bad_frees
for kind in inner foreign double unaligned; do
	eval "counted_$kind=\$(($(stat errors_${kind}_free) - before_$kind))"
done
# shellcheck disable=SC2154
counted=$((counted_inner + counted_foreign + counted_double + counted_unaligned))
asked=$(($(noted inner) + $(noted foreign) + $(noted double)))
# shellcheck disable=SC2154
echo "inner $counted_inner, foreign $counted_foreign, double $counted_double," \
	"unaligned $counted_unaligned of $asked"
[ "$counted" = "$asked" ] || fail "$asked bad frees, $counted counted"
[ "$counted_double" = "$(noted double)" ] || fail "$(noted double) double frees"
# The next caller's mistake is said, too, once the first one's reports are some seconds old.
sleep 6
expect_log 'vmapcache: free of an address outside of the arena: .* by free_wrongly[+.]'
kcase late_bad_free
