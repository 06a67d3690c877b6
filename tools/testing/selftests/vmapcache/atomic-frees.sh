#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
DESCRIPTION="free areas in hard interrupts, softirqs, other CPUs' IPIs and with interrupts off"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
kcase atomic_frees rounds=60
kcase sleep_in_atomic
if [ "$(noted checked)" = 1 ]; then
	expect_log 'sleeping function called'
	expect_log 'Call Trace'
fi
