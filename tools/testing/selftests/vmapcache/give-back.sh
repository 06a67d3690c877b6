#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
FIRST=2
DESCRIPTION="fill a large part of memory, free it, unload, and find every page free again"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# The pages of the areas freed last must come back as well.
own
kcase hold areas=3000 max_pages=32
unload
before=$(free_pages)
own
# This also finds small losses that add up.
for _ in 1 2 3 4; do
	kcase hold areas=3000 max_pages=32
done
held=$(noted pages)
unload
nothing_left
# A page lost for each area would be 12,000.
lost=$(pages_lost "$before" 200)
echo "$before pages free before, $lost less after, of $held held"
[ "$lost" -lt 200 ] || fail "$lost pages lost"
