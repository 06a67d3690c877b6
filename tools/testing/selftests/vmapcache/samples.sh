#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=one
DESCRIPTION="load the consumers in samples/, in C and in Rust, and see that all of their own checks pass"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

need
for language in c rust; do
	expect_log "vmapcache_sample_$language: memory, mapping, pin and walk work"
	insmod "$SAMPLES/vmapcache_sample_$language.ko" || fail "the one in $language does not work"
	rmmod vmapcache 2>/dev/null && fail "unloaded under the one in $language"
	rmmod vmapcache_sample_$language || fail "rmmod vmapcache_sample_$language"
	empty
done
