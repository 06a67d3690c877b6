#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="put each question of Documentation/compat.rst to both allocators and find the same answers, but where it says why not"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# In-tree, holes, pages without a frame and odd flags are a WARN each.
for pattern in 'WARNING: .*vmalloc.c' 'WARNING: .*vmap' 'Call [Tt]race' 'Unexpected gfp'; do
	allow_log "$pattern"
done
expect_log 'vmapcache: allocation failed \(a page of the array is NULL\): .* flags GFP_KERNEL'
# The drop-in names need no guards.
for guards in auto off; do
	own guards=$guards
	kcase differential
done
# The document has each question, and no other.
page=${0%/*}/compat.rst
[ -e "$page" ] || page=${0%/*}/../../../../Documentation/compat.rst
sed -n 's/^question //p' "$TMP/notes" | sort >"$TMP/asked"
# shellcheck disable=SC2016 # no expansion: marks of the document
sed -n 's/^   \* - ``\(.*\)``$/\1/p' "$page" | sort >"$TMP/told"
diff "$TMP/asked" "$TMP/told" || fail "Documentation/compat.rst has other questions than modules/questions.h"
echo "$(wc -l <"$TMP/asked") questions"
empty
