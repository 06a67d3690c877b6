#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
FIRST=2
DESCRIPTION="pin areas, free them, and find them there until the last pin is given back, and no longer"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
kcase pins
kcase sync_free
before=$(stat errors_unpin)
kcase twice
[ $(($(stat errors_unpin) - before)) = 2 ] || fail "not both wrong unpins were counted"
kcase pin_race rounds=20000
grep -v failures "$TMP/notes"
empty
# Frees that are not lazy bring the same address, and its descriptor, again at once.
echo 0 >$ours/lazy_max_pages
before=$(stat errors_unpin)
kcase stale_pins
counted=$(($(stat errors_unpin) - before))
[ "$counted" = "$(noted stale)" ] || fail "$(noted stale) stale pins, $counted counted"
grep -q reused "$TMP/notes" || fail "no descriptor was used again"
empty
