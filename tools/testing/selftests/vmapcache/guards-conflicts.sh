#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2034 # the runner reads it
GROUP=two
TIMEOUT=400
DESCRIPTION="have a BPF program, a livepatch, another direct call and a kprobe with a post_handler on a function that should have a guard, before and after the guard: who comes second is refused, with a line"
# shellcheck source=tools/testing/selftests/vmapcache/lib.sh
. "${0%/*}/lib.sh"

own
guarded
line='vmapcache: no guard on vunmap\(\): a BPF program, a livepatch, a kprobe with a post_handler or another direct call has it'
trap 'rival_ends' EXIT
mkfifo "$TMP/fifo" || fail "mkfifo"

# The rivals. Each RIVAL_begins: false, with a text in $TMP/error, if the kernel refuses it.
bpf_begins() {
	echo 1 >/proc/sys/kernel/bpf_stats_enabled
	rm -f "$TMP/bpf"
	python3 "${0%/*}/guards-bpf.py" "$1" vunmap <"$TMP/fifo" >"$TMP/bpf" 2>&1 &
	bpf=$!
	exec 9>"$TMP/fifo"
	until [ -s "$TMP/bpf" ] || ! kill -0 "$bpf" 2>/dev/null; do
		sleep 0.1
	done
	grep -q attached "$TMP/bpf" && return
	exec 9>&-
	wait "$bpf"
	cp "$TMP/bpf" "$TMP/error"
	return 1
}

bpf_ends() {
	exec 9>&-
	wait "$bpf"
	[ "$(tail -n 1 "$TMP/bpf")" -gt 0 ] || fail "the BPF program: $(cat "$TMP/bpf")"
}

fentry_begins() { bpf_begins fentry; }
fentry_ends() { bpf_ends; }
fexit_begins() { bpf_begins fexit; }
fexit_ends() { bpf_ends; }

livepatch=/sys/kernel/livepatch/vmapcache_livepatch
livepatch_begins() {
	insmod "$TMP/vmapcache_livepatch.ko" 2>"$TMP/error" || return
	# All tasks must leave what it replaces.
	allow_log 'livepatch'
	livepatch_settles
}

livepatch_settles() {
	tries=0
	while [ "$(cat $livepatch/transition 2>/dev/null)" = 1 ]; do
		tries=$((tries + 1))
		[ $tries -lt $((300 * SLOWNESS)) ] || fail "the livepatch is never through"
		sleep 0.1
	done
}

livepatch_ends() {
	echo 0 >$livepatch/enabled || fail "the livepatch cannot be disabled"
	livepatch_settles
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		rmmod vmapcache_livepatch 2>/dev/null && return
		sleep 0.2
	done
	fail "rmmod vmapcache_livepatch"
}

direct_begins() { insmod "$TMP/vmapcache_direct.ko" 2>"$TMP/error"; }
direct_ends() { rmmod vmapcache_direct || fail "rmmod vmapcache_direct"; }
kprobe_begins() { insmod "$TMP/vmapcache_direct.ko" kprobe=1 2>"$TMP/error"; }
kprobe_ends() { direct_ends; }

# Both remember whom to end if the test fails.
rival=
rival_begins() {
	"${1}_begins" || return
	rival=$1
}

rival_ends() {
	[ -z "$rival" ] || "${rival}_ends"
	rival=
}

# works: what has a guard is served; nobody frees by the function that has none
works() {
	kcase found
	kcase aliases
	kcase in_tree_vreallocs
	areas_end
}

tried=
for name in direct kprobe fentry fexit livepatch; do
	# How it is refused. Kernels differ for BPF programs.
	answer='[bB]usy|EBUSY'
	case $name in
		livepatch) [ -e "$TMP/vmapcache_livepatch.ko" ] || continue ;;
		fentry | fexit)
			[ -e /sys/kernel/btf/vmlinux ] || continue
			answer='EBUSY|EINVAL'
			;;
	esac
	tried="$tried $name"

	# It comes second, and is refused.
	rival_begins $name && fail "$name on a function with a guard"
	grep -qE "$answer" "$TMP/error" || fail "$name: $(cat "$TMP/error")"
	guarded
	works
	kcase foreign_frees rounds="$(less 500)"
	areas_end

	# It comes first.
	unload
	rival_begins $name || fail "$name without a guard: $(cat "$TMP/error")"
	mark="guards-conflicts $name $$"
	echo "$mark" >/dev/kmsg
	load
	dmesg | sed -n "/$mark/,\$p" >"$TMP/said"
	[ "$(grep -c 'no guard on' "$TMP/said")" = 1 ] || fail "$name: $(cat "$TMP/said")"
	grep -qE "$line" "$TMP/said" || fail "$name: $(cat "$TMP/said")"
	[ "$(stat guard_vunmap)" = busy ] || fail "$name: guard_vunmap is $(stat guard_vunmap)"
	[ "$(grep '^guard_' $ours/stats | grep -vc ' on$')" = 1 ] || fail "$name: $(grep ^guard_ $ours/stats)"
	works
	unload
	insmod "$TMP/vmapcache.ko" guards=require 2>"$TMP/error" && fail "$name: guards=require with one missing"
	grep -q 'busy' "$TMP/error" || fail "$name, guards=require: $(cat "$TMP/error")"
	# The rival's module has our name in it, too.
	if is_loaded vmapcache || [ -e $ours ] || grep -q '\[vmapcache\]' /proc/vmallocinfo; then
		fail "$name: something of vmapcache is left"
	fi

	# It goes while the module is there; the next load has all guards.
	load
	kcase contents allocator=in-tree areas=100
	rival_ends
	works
	load guards=require
	guarded
done
echo "against$tried"
unload
nothing_left
