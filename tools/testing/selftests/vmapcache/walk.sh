#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="walk over all areas, at rest and while 2 threads allocate and free"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
kcase walk
kcase walk_churn
grep -v failures "$TMP/notes"
empty
