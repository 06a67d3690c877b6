#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=200
DESCRIPTION="run bpf maps that user space maps, socket filters and threads on taken-over memory, switched between making and using them, and compare what they hold"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

can_take_over
rmmod unaware || fail "rmmod unaware"
threads_apart
echo "vmap vm_map_ram vmalloc stacks" >$takeover/what || fail "what"
echo 1 >$takeover/drain || fail "drain"
python3 "${0%/*}/takeover-users.py" $takeover || fail "takeover-users.py"
all_given_back
empty
unloads
nothing_left
