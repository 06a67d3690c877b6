#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
TIMEOUT=240
LONG="it measures many scenarios"
DESCRIPTION="measure allocators of known cost, failures and overlaps, and see them come out"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
laboratory

# measure WORD...: the result, a word a line, in $TMP/ALLOCATOR
measure() {
	if ! echo "$*" >$bench/run; then
		cat $bench/error
		fail "$*"
	fi
	while read -r line; do
		allocator=${line#*allocator=}
		echo "$line" | tr ' =' '\n ' >"$TMP/${allocator%% *}"
	done <$bench/result
}

# of ALLOCATOR KEY
of() {
	value "$2" "$TMP/$1"
}

# Twice the cost takes twice the time. This takes the least of many short runs, because other
# work on this machine can only add to it; and tries again if that disturbed all of them.
tries=0
while :; do
	tries=$((tries + 1))
	measure scenario=va_only sides=fake,fake2 runs=64 ops=40 latency=0 flushes=0 hold=0
	once=$(of fake run_min_ns)
	twice=$(of fake2 run_min_ns)
	# Emulated CPUs may disagree on the time: then a run takes none.
	permille=0
	[ "${once%.*}" = 0 ] || permille=$((${twice%.*} * 1000 / ${once%.*}))
	echo "twice the cost takes $permille permille of the time (${once} ns, ${twice} ns)"
	[ $permille -lt 1900 ] || [ $permille -gt 2100 ] || break
	[ $tries -lt 8 ] || fail "not within 5 %"
done

# Every tenth call fails.
measure scenario=va_only sides=fake_fail10 ops=1000 runs=5 flushes=0 hold=0
[ "$(of fake_fail10 ops)" = 5000 ] || fail "$(of fake_fail10 ops) operations, not 5000"
[ "$(of fake_fail10 failures)" = 500 ] || fail "$(of fake_fail10 failures) failures, not 500"

# The content check sees areas that overlap, and nothing where all is well.
for scenario in va_only vmap vmalloc; do
	for pages in 1 4; do
		measure scenario=$scenario pages=$pages ops=10 runs=1 flushes=0 hold=0 \
			sides=in-tree,vmapcache,fake,fake_overlap
		for allocator in in-tree vmapcache fake; do
			# The fake's own memory is not what it was asked to map.
			case $scenario-$allocator in
				vmap-fake) expected=content ;;
				*) expected=ok ;;
			esac
			check=$(of $allocator check)
			[ "$check" = $expected ] || fail "$scenario, $allocator: check is $check"
		done
		check=$(of fake_overlap check)
		[ "$check" = overlap ] || fail "$scenario: overlapping areas are called $check"
	done
done
measure scenario=vmap sides=vm_map_ram ops=10 runs=1
[ "$(of vm_map_ram check)" = ok ] || fail "vm_map_ram: check is $(of vm_map_ram check)"

# Our own count of flushes equals the probe's, where a function can be probed; if nothing may be lazy,
# each free flushes.
measure scenario=va_only sides=vmapcache ops=500 runs=1 lazy_max_pages=0
probed=
[ "$(uname -m)" = aarch64 ] || probed=yes
[ -z "$probed" ] || [ "$(of vmapcache flushes)" = "$(of vmapcache flush_probe)" ] ||
	fail "$(of vmapcache flushes) flushes counted, $(of vmapcache flush_probe) seen"
[ "$(of vmapcache flushes)" -ge 500 ] || fail "$(of vmapcache flushes) flushes for 500 frees"

# The in-tree allocator flushes once for each of these purges. With KASAN it does once more for
# each of its nodes that has lazy areas: the one of this CPU, and any where a process that has
# ended, as our own do, may have left its stack. Others may flush meanwhile, too.
in_tree=40
! has_kasan || in_tree=80
measure scenario=purge lazy=100 ops=40 runs=1 latency=0 hold=0
[ "$(of vmapcache flushes)" = 40 ] || fail "$(of vmapcache flushes) flushes of 40 purges"
if [ "$probed" ]; then
	[ "$(of vmapcache flush_probe)" = 40 ] || fail "$(of vmapcache flush_probe) flushes of 40 purges seen"
	flushes=$(of in-tree flushes)
	if [ "$flushes" -lt $in_tree ] || [ "$flushes" -gt $((in_tree * 3 / 2)) ]; then
		fail "$flushes in-tree flushes of 40 purges, not $in_tree"
	fi
fi

# Searches among lazy areas: one look at an extent with the free-area cache, all of them without.
for lazy in 100 2000; do
	for cache in 1 0; do
		measure scenario=lazy_search lazy=$lazy ops=100 free_area_cache=$cache
		visited=$(of vmapcache visited)
		[ "$(of vmapcache flushes)" = 0 ] || fail "purged while searching"
		echo "$lazy lazy areas, cache $cache: $visited extents visited in 100 allocations"
		if [ $cache = 1 ]; then
			[ "$visited" -le 400 ] || fail "more than 4 for each with the cache"
		else
			[ "$visited" -ge $((lazy * 90)) ] || fail "without it no more than that"
		fi
	done
done

# Every scenario runs, and no allocator fails in it, but where that is the test.
echo scenario=? 2>/dev/null >$bench/run
sed 's/.*: //' $bench/error | tr ' ' '\n' >"$TMP/scenarios"
[ "$(wc -l <"$TMP/scenarios")" -ge 20 ] || fail "scenarios: $(cat "$TMP/scenarios")"
while read -r scenario; do
	# The kernel's own tests take minutes each on a slow one, where dropin runs them too.
	case $SLOWNESS-$scenario in 1-*) ;; *_test) continue ;; esac
	# 50,000 areas for each purge are its default.
	lazy=
	[ "$scenario" != purge ] || lazy=lazy=500
	ops=ops=5
	if [ "$scenario" = replay ]; then
		ops=
		printf 'requests 3\n0 a 1 1\n1 f 0\n0 a 7 4\n' >$bench/program || fail "$(cat $bench/error)"
	fi
	# shellcheck disable=SC2086 # neither is one word if it is empty
	measure "scenario=$scenario" $lazy $ops runs=1
	for allocator in in-tree vmapcache bare; do
		grep -q "allocator=$allocator " $bench/result || continue
		case $scenario in align_shift* | no_block*) continue ;; esac
		[ "$(of $allocator failures)" = 0 ] || fail "$scenario: $allocator failed"
	done
done <"$TMP/scenarios"
empty
! grep vmapcache_bench /proc/vmallocinfo || fail "in-tree areas are left"
