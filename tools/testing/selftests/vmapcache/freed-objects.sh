#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it: the report of a lock switches lockdep off
GROUP=two
LAST=3
DESCRIPTION="free areas with active timers and a held lock inside, and have debugobjects and lockdep report each"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

# fixups: timers that debugobjects has stopped because their memory went
fixups() {
	sed -n 's/^fixups *: *//p' $debugfs/debug_objects/stats
}

need
before=
[ ! -e $debugfs/debug_objects/stats ] || before=$(fixups)
kcase freed_timers
if [ "$(noted watched)" = 1 ]; then
	expect_log 'ODEBUG: free active'
	expect_log 'WARNING: .*(debug_print_object|debug_check_no_obj_freed)'
	allow_log 'Call [Tt]race'
	stopped=$(($(fixups) - before))
	echo "$stopped of $(noted timers) timers found"
	[ "$stopped" = "$(noted timers)" ] || fail "debugobjects found $stopped timers"
fi
watched=$(noted watched)
empty
locks=$(sed -n 's/^ *debug_locks: *//p' /proc/lockdep_stats 2>/dev/null)
kcase freed_lock
if [ "$(noted watched)" = 1 ] && [ "$locks" = 1 ]; then
	expect_log 'WARNING: held lock freed!'
	expect_log 'with a lock still held there'
	allow_log 'Call [Tt]race'
	watched=1
fi
empty
[ "$watched" = 1 ] || skip "this kernel has neither DEBUG_OBJECTS_FREE nor DEBUG_LOCK_ALLOC"
