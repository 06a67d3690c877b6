#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
TIMEOUT=200
DESCRIPTION="write 10,000 lines, most of them nonsense, to bench/run, and lose nothing by it"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
laboratory

# refused WORDS PATTERN: not taken, and said why
refused() {
	if echo "$1" 2>/dev/null >$bench/run; then
		fail "took: $1"
	fi
	grep -q "$2" $bench/error || fail "'$1' is refused with '$(cat $bench/error)', not '$2'"
}
refused 'scenario=vmap pages=0' '^pages=0: must be 1 to 65536$'
refused 'scenario=vmap size=1' '^size=1: no such key$'
refused 'scenario=vmap align=2' '^align: not taken by scenario=vmap$'
refused 'scenario=vmap threads=200' '^threads: '
refused 'scenario=va_only live=4000000' '^live: the arena has .* arena_mb=$'
refused 'scenario=lazy_search lazy=1000 lazy_max_pages=1' '^lazy_max_pages: '

awk -v count="$(less 10000)" 'BEGIN {
	srand(4)
	names = split("va_only vmap vmalloc lookup_start lookup_miss producer_consumer bare_map" \
		" va vmap,vmalloc", scenario, " ")
	keys = split("scenario sides pages align threads writers live seed check magazines" \
		" lazy_max_pages page =", key, " ")
	values = split("0 1 2 1-4 4-1 -1 3 64 4294967296 in-tree vmapcache fake fake,fake , x=y" \
		" %s 0x1", value, " ")
	for (i = 0; i < count; i++) {
		line = ""
		if (rand() < 0.8)
			line = "ops=2 runs=1 flushes=0 hold=0 scenario=" scenario[1 + int(rand() * names)]
		for (n = int(rand() * 4); n >= 0; n--)
			line = line " " key[1 + int(rand() * keys)] "=" value[1 + int(rand() * values)]
		if (rand() < 0.1)
			for (n = int(rand() * 40); n >= 0; n--)
				line = line sprintf("%c", 33 + int(rand() * 94))
		print line
	}
}' >"$TMP/lines"
taken=0
while read -r line; do
	! printf '%s\n' "$line" 2>/dev/null >$bench/run || taken=$((taken + 1))
done <"$TMP/lines"
# And one that is known to turn all switches off.
off='free_area_cache=0 magazines=0 lookup_cache=0 info_cache=0'
echo "scenario=vmap ops=2 runs=1 $off" >$bench/run || fail "$(cat $bench/error)"
echo "$taken of $(wc -l <"$TMP/lines") lines asked for something that can be measured"
[ $taken -gt $(($(less 10000) / 200)) ] || fail "next to none was taken"

grep -q '^state=idle' $bench/progress || fail "$(cat $bench/progress)"
for switch in "$ours"/switches/*; do
	[ "$(cat "$switch")" = 1 ] || fail "${switch##*/} was left off"
done
empty
! grep vmapcache_bench /proc/vmallocinfo || fail "in-tree areas are left"
