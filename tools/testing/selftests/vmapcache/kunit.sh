#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
DESCRIPTION="run the core's property tests as KUnit suites, upon this kernel's locks, memory, CPUs and preemption"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

if [ ! -e "$TMP/vmapcache_kunit.ko" ]; then
	# A symbol of a module has the module's name behind it.
	! grep -q ' kunit_run_tests$' /proc/kallsyms || fail "this kernel has KUnit, and there is no vmapcache_kunit.ko"
	skip "this kernel has no KUnit built in (CONFIG_KUNIT=y)"
fi

mark="vmapcache-kunit: $$ begins"
echo "$mark" >/dev/kmsg
insmod "$TMP/vmapcache_kunit.ko" || fail "insmod vmapcache_kunit.ko"
rmmod vmapcache_kunit || fail "rmmod vmapcache_kunit"
# KTAP is among other lines; without the time, its indentation tells suites from tests.
dmesg | sed -n "\\|$mark|,\$p" | sed '1d; s/^\[ *[0-9.]*\] //' >"$TMP/ktap"
awk '
	function wrong(what) { print what; bad = 1 }
	{ depth = match($0, /[^ ]/) - 1 }
	/^ *KTAP version 1$/ { planned[depth] = -1; seen[depth] = 0 }
	/^ *1\.\.[0-9]+$/ { planned[depth] = substr($1, 4) + 0 }
	/^ *(not )?ok [0-9]+ / {
		if (depth == 4)
			tests++
		else if (depth == 0) {
			suites++
			if (planned[4] != seen[4] || !seen[4])
				wrong("a suite of " planned[4] " tests has ended after " seen[4])
			planned[4] = seen[4] = 0
		} else
			next
		seen[depth]++
		if ($0 ~ /^ *not ok /)
			wrong($0)
		else if ($0 ~ /# SKIP/)
			wrong("skipped: " $0)
		else
			print
	}
	/^ *# [^ ]+: (ASSERTION FAILED|EXPECTATION FAILED|seed [0-9]+:|try (faulted|timed out))|^ *seed [0-9]+: / { print }
	END {
		if (!suites || planned[0] != seen[0])
			wrong(planned[0] + 0 " suites, and results of " suites + 0)
		print suites + 0 " suites, " tests + 0 " tests"
		exit bad
	}' "$TMP/ktap" || {
	tail -n 60 "$TMP/ktap"
	fail "a KUnit suite has failed"
}
