#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
TIMEOUT=200
DESCRIPTION="load the module with parameters that it must refuse, and with random ones, and find nothing left behind"
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
		*"Invalid "* | *"out of range"* | *"too large"* | *"allocate memory"* | *"File exists"*) ;;
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
refused arena_mb=64 arena_mb=128
# No number wrong, but no arena can have that size: said in a line that names it.
for mb in 18446744073709551615 17592186044416 8796093022208 1099511627776 134217728; do
	expect_log "vmapcache: .*arena_mb.*$mb|vmapcache: .*$mb.*arena"
	refused arena_mb=$mb
done

# Any text at all: a number loads, with that size, or is refused; anything else is refused.
seed=${SEED:-1}
awk -v seed="$seed" -v rounds="$(less 60)" 'BEGIN {
	srand(seed)
	signs = "0123456789abcdefxob-+., _eE%\\\"'"'"'=\t/"
	for (i = 0; i < rounds; i++) {
		text = ""
		if (rand() < 0.4) {
			text = int(2 ^ (rand() * 70))
		} else {
			for (length_of = int(rand() ^ 3 * 300); length_of >= 0; length_of--)
				text = text substr(signs, 1 + int(rand() * length(signs)), 1)
		}
		print text
	}
}' >"$TMP/texts"
taken=0
count=0
while IFS= read -r text; do
	count=$((count + 1))
	if insmod "$TMP/vmapcache.ko" "arena_mb=$text" 2>"$TMP/error"; then
		taken=$((taken + 1))
		mib=$(($(stat bytes_arena) >> 20))
		case $text in
			*[!0-9]* | 0*) echo "arena_mb=$text: $mib MiB" ;;
			*) [ "$mib" = "$text" ] || fail "arena_mb=$text: $mib MiB" ;;
		esac
		rmmod vmapcache || fail "rmmod after arena_mb=$text"
	else
		case $(cat "$TMP/error") in
			*"Invalid "* | *"out of range"* | *"too large"* | *"allocate memory"*) ;;
			*) fail "arena_mb=$text: $(cat "$TMP/error")" ;;
		esac
	fi
	[ ! -d /sys/module/vmapcache ] || fail "still there after arena_mb=$text"
done <"$TMP/texts"
nothing_left
echo "$count texts of seed $seed, $taken taken"
if [ "$taken" = 0 ] || [ "$taken" = "$count" ]; then
	fail "$taken of $count texts taken"
fi
# The kernel reports parameters that the module does not know.
expect_log "vmapcache: unknown parameter 'nonsense' ignored"
own arena_mb=64 nonsense=1
unload
nothing_left
