#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="read /proc/vmapcacheinfo with a parser of /proc/vmallocinfo, under each kptr_restrict, and without privilege"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
proc=/proc/vmapcacheinfo
restrict=$(cat /proc/sys/kernel/kptr_restrict)
[ "$(stat_mode $proc)" = "$(stat_mode /proc/vmallocinfo)" ] || fail "mode $(stat_mode $proc)"

# A parser as users write it for /proc/vmallocinfo: the pages of each caller.
parse() {
	awk -v page_bytes="$page_bytes" '
		$1 !~ /^0x[0-9a-f]+-0x[0-9a-f]+$/ || $2 !~ /^[0-9]+$/ || $2 % page_bytes { print "bad: " $0; bad = 1; next }
		$3 == "unpurged" { unpurged += $2; next }
		{
			kind = ""
			for (i = 3; i <= NF; i++) {
				if ($i ~ /^pages=/)
					pages[$3] += substr($i, 7)
				else if ($i == "vmalloc" || $i == "vmap" || $i == "vm_map_ram")
					kind = $i
				else if ($i ~ /^N[0-9]+=/)
					{ numa = 1; nodes[$3] += substr($i, index($i, "=") + 1) }
			}
			kinds[kind] += $2
		}
		END {
			for (kind in kinds) if (kind != "") print "kind " kind " " kinds[kind]
			for (who in pages) {
				print "pages " who " " pages[who]
				if (numa && nodes[who] != pages[who]) { print "bad: nodes of " who; bad = 1 }
			}
			if (unpurged) print "unpurged " unpurged
			if (numa) print "nodes"
			exit bad
		}' "$1"
}

keeper areas=300 max_pages=700 lazy=40
for value in 0 1 2; do
	echo $value >/proc/sys/kernel/kptr_restrict
	cat $proc >"$TMP/ours"
	cat /proc/vmallocinfo >"$TMP/in-tree"
	for file in ours in-tree; do
		parse "$TMP/$file" >"$TMP/$file.parsed" || {
			cat "$TMP/$file.parsed"
			fail "$file does not parse"
		}
	done
	# A kernel without NUMA shows no nodes, in neither file.
	[ "$(grep -c '^nodes' "$TMP/ours.parsed")" = "$(grep -c '^nodes' "$TMP/in-tree.parsed")" ] ||
		fail "nodes in one file, none in the other"
	case $value in
		0) grep -q '^0x0000[0-9a-f]*-' "$TMP/ours" || fail "addresses are not hashed" ;;
		1) grep -qv '^0xffff[0-9a-f]*-0xffff' "$TMP/ours" && fail "addresses are not real" ;;
		2) grep -qv '^0x0000000000000000-0x0000000000000000 ' "$TMP/ours" && fail "addresses are shown" ;;
	esac
done
echo "$restrict" >/proc/sys/kernel/kptr_restrict
cat "$TMP/ours.parsed"
for kind in vmalloc vmap vm_map_ram; do
	grep -q "^kind $kind " "$TMP/ours.parsed" || fail "no $kind"
done
# Our own fields.
grep -q ' unpurged vm_area lazy$' "$TMP/ours" || fail "no lazy"
grep -qE ' pages=5 vmalloc( N[0-9]+=5)* pinned=2 freed cpu=[0-9]+$' "$TMP/ours" || fail "no pinned"
grep -qE ' pages=2 vmap( N[0-9]+=2)* cpu=[0-9]+$' "$TMP/ours" || fail "no vmap with pages of its own"
grep -qE '^[^ ]+ +'$((4 * page_bytes))' vm_map_ram cpu=[0-9]+$' "$TMP/ours" || fail "no vm_map_ram"
[ "$(grep -cvE 'lazy$|cpu=[0-9]+$' "$TMP/ours")" = 0 ] || fail "lines without cpu="
if setpriv --reuid 65534 --clear-groups cat $proc >"$TMP/refused" 2>&1; then
	fail "anybody can read it"
fi
keeper_ends
empty
