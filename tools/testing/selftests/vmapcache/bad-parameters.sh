#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="load the module with parameters that it must refuse, and find nothing left behind"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

unload
rm -f "$TMP/defaults"

# refused PARAMETER: insmod fails with "Invalid argument" or the like
refused() {
	if insmod "$TMP/vmapcache.ko" "$@" 2>"$TMP/error"; then
		rmmod vmapcache
		fail "loaded with $*"
	fi
	error=$(cat "$TMP/error")
	case $error in
		*"Invalid "* | *"out of range"* | *"too large"* | *"allocate memory"*) ;;
		*) fail "$*: $error" ;;
	esac
	nothing_left
}

refused arena_mb=
refused arena_mb=x
refused arena_mb=-1
refused arena_mb=4x
refused arena_mb=1.5
refused arena_mb=18446744073709551616
# No number wrong, but no arena can have that size: said in a line that names it.
for mb in 18446744073709551615 17592186044416 8796093022208 1099511627776 134217728; do
	expect_log "vmapcache: .*arena_mb.*$mb|vmapcache: .*$mb.*arena"
	refused arena_mb=$mb
done
# What it does not know, the kernel says.
expect_log "vmapcache: unknown parameter 'nonsense' ignored"
own arena_mb=64 nonsense=1
unload
nothing_left
