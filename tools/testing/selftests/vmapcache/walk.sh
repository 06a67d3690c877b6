#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="walk over all areas, at rest and while 2 threads allocate and free"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
kcase walk
kcase walk_churn
grep -v failures "$TMP/notes"
empty
