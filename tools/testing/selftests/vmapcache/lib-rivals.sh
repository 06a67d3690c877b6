# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Others that may have a function which vmapcache wants: for tests that source this file behind lib.sh.
#
#	direct		an ftrace direct call (vunmap or vmap)
#	kprobe		a kprobe with a post_handler (vunmap)
#	fentry, fexit	a BPF program (any function)
#	livepatch	a livepatch (vunmap or vmap)

trap 'rival_ends' EXIT
[ -p "$TMP/fifo" ] || mkfifo "$TMP/fifo" || fail "mkfifo"

# rival_exists RIVAL: whether this kernel can have it
rival_exists() {
	case $1 in
		livepatch) [ -e "$TMP/vmapcache_livepatch.ko" ] ;;
		fentry | fexit) [ -e /sys/kernel/btf/vmlinux ] ;;
		# Elsewhere kprobes do without ftrace, and nobody is in their way.
		kprobe) [ "$(uname -m)" = x86_64 ] ;;
	esac
}

# Each RIVAL_begins FUNCTION: false, with a text in $TMP/error, if the kernel refuses it.
bpf_begins() {
	echo 1 >/proc/sys/kernel/bpf_stats_enabled
	rm -f "$TMP/bpf"
	python3 "${0%/*}/rivals-bpf.py" "$1" "$2" <"$TMP/fifo" >"$TMP/bpf" 2>&1 &
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

fentry_begins() { bpf_begins fentry "$1"; }
fentry_ends() { bpf_ends; }
fexit_begins() { bpf_begins fexit "$1"; }
fexit_ends() { bpf_ends; }

livepatch=/sys/kernel/livepatch/vmapcache_livepatch
livepatch_begins() {
	insmod "$TMP/vmapcache_livepatch.ko" function="$1" 2>"$TMP/error" || return
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

direct_begins() { insmod "$TMP/vmapcache_direct.ko" function="$1" 2>"$TMP/error"; }
direct_ends() { rmmod vmapcache_direct || fail "rmmod vmapcache_direct"; }
kprobe_begins() { insmod "$TMP/vmapcache_direct.ko" kprobe=1 2>"$TMP/error"; }
kprobe_ends() { direct_ends; }

# Both remember whom to end if the test fails.
rival=
# rival_begins RIVAL FUNCTION
rival_begins() {
	"${1}_begins" "$2" || return
	rival=$1
}

rival_ends() {
	[ -z "$rival" ] || "${rival}_ends"
	rival=
}

# rival_refused RIVAL FUNCTION: vmapcache has that function
rival_refused() {
	rival_begins "$1" "$2" && fail "$1 on $2(), which vmapcache has"
	# Kernels differ for BPF programs.
	answer='[bB]usy|EBUSY'
	case $1 in
		fentry | fexit) answer='EBUSY|EINVAL' ;;
	esac
	grep -qE "$answer" "$TMP/error" || fail "$1 on $2(): $(cat "$TMP/error")"
}
