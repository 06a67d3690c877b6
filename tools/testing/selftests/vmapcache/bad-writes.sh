#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
DESCRIPTION="write nonsense to every file in debugfs that can be written, and see it refused"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
laboratory
found=0
find $ours -type f -perm /200 >"$TMP/files"
while read -r file; do
	found=$((found + 1))
	# Signs, words, numbers out of range, control characters, not UTF-8.
	for text in x -1 +1 ' 1' '1 ' 0x '1 2' '1e3' '2.5' 18446744073709551616 '99999999999999999999999999' \
		'%s%n' '=' 'a=b' 'scenario=nothing' "$(printf '\377\376')" "$(printf '\001\033')"; do
		if printf '%s\n' "$text" 2>/dev/null >"$file"; then
			fail "$file took $(printf '%s' "$text" | od -An -c)"
		fi
	done
	# Longer than any line has reason to be, and a line of nothing but zero bytes.
	head -c 70000 /dev/zero | tr '\0' 1 | dd of="$file" bs=70000 2>/dev/null &&
		fail "$file took 70,000 digits"
	head -c 64 /dev/zero | dd of="$file" bs=64 2>/dev/null && fail "$file took zero bytes"
done <"$TMP/files"
[ "$found" -ge 1 ] || fail "nothing in $ours can be written"
echo "$found files"

# Files for reading take no byte.
find $ours -type f ! -perm /200 >"$TMP/files"
while read -r file; do
	if echo 1 2>/dev/null >"$file"; then
		fail "$file took a write"
	fi
done <"$TMP/files"
kcase contents areas=50
# The test module refuses a number that is none, and starts nothing.
for text in areas=99999999999999999999 areas=5x areas=0x 'areas=5 seed=1.5' 'max_pages=3, areas=5'; do
	if env echo "contents $text" 2>"$TMP/error" >$cases/run; then
		fail "the test module took $text"
	fi
	grep -q 'Invalid argument' "$TMP/error" || fail "$text: $(cat "$TMP/error")"
done
