# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# To be sourced by the scripts beside it: keeps what takes long to make.
#
# A kept thing is a folder in the cache, named after what it is and a hash of
# the recipe that made it. It is made under another name and put in place by
# rename, so whatever stands under its final name is whole. One lock per name:
# two runs that need the same thing make it once, the second one waits.

: "${HOME:=$(getent passwd "$(id -u)" | cut -d: -f6)}"
cache=${VMAPCACHE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vmapcache}
# shellcheck source=scripts/progress.sh
. "$(dirname "$0")/progress.sh"
steps_logs=$cache/log

# What tools of this machine say is to be understood, and to be read by scripts.
[ -n "${VMAPCACHE_SANDBOX:-}" ] || export LC_ALL=C

# recipe: a short hash of the recipe on standard input
recipe() {
	sha256sum | cut -c1-12
}

# discard FOLDER: removes it, also where it belongs to the ids of a user
# namespace, and never what is mounted below it
discard() {
	rm -rf --one-file-system "$1" 2>/dev/null && return
	own_namespace rm -rf --one-file-system "$1"
}

# own_namespace COMMAND...: runs it as root in a mount namespace of its own.
# Who is not root becomes so in a user namespace, where the host allows that.
own_namespace() {
	if [ "$(id -u)" = 0 ]; then
		unshare --mount --propagation private -- "$@"
	else
		unshare --user --map-root-user --map-auto --mount --propagation private -- "$@"
	fi
}

# in_sandbox ARGUMENT...: unless this script runs in the sandbox already, has it run there with
# these, and ends with the path that it prints, as it is here
in_sandbox() {
	[ -z "${VMAPCACHE_SANDBOX:-}" ] || return 0
	script=$(cd "$(dirname "$0")" && pwd -P)/$(basename "$0")
	printed=$("${script%/*}/sandbox" "$script" "$@") || exit
	case $printed in
		/run/vmapcache/tree*) printed=${script%/scripts/*}${printed#/run/vmapcache/tree} ;;
		/run/vmapcache/cache*) printed=$cache${printed#/run/vmapcache/cache} ;;
	esac
	echo "$printed"
	exit
}

# room MEGABYTES: stops early where the cache's disk cannot take that much
room() {
	free=$(df -Pm "$cache" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$1" ] ||
		die "not enough room: $1 MB needed in $cache, $free MB free (VMAPCACHE_CACHE= names another place)"
}

# tries COMMAND...: for what needs the network. Three times, a little apart. Within a step.
tries() {
	for pause in 3 10 0; do
		"$@" && return
		[ "$pause" = 0 ] || { say "did not work, once more in $pause s"; sleep "$pause"; }
	done
	hint="gave up after 3 tries: is the network there?"
	return 1
}

# keep NAME MEGABYTES COMMAND...: unless $cache/NAME is there, runs COMMAND
# with one more argument, the path of an empty folder that is to become it
keep() {
	[ ! -d "$cache/$1" ] || return 0
	kept=$1 megabytes=$2
	shift 2
	unfinished=$cache/unfinished/$kept
	mkdir -p "$cache/unfinished" || die "cannot write to $cache"
	exec 9>"$unfinished.lock"
	flock -n 9 || { say "another run is making $kept, waiting for it"; flock 9; }
	if [ ! -d "$cache/$kept" ]; then
		discard "$unfinished" # of a run that was cut off
		room "$megabytes"
		# shellcheck disable=SC2016,SC2034 # for cut_off
		undo='say "removing what is half made"; discard "$unfinished"'
		guard
		mask=$(umask)
		umask 022 # the user's would become the sandbox's
		mkdir "$unfinished"
		if ! "$@" "$unfinished"; then
			[ -z "$hint" ] || say "$hint"
			discard "$unfinished"
			die "could not make $kept; nothing of it was kept, the next run starts it anew"
		fi
		# First on the disk: else the name could outlive a power failure, and the rest not.
		sync -f "$cache"
		mv -T "$unfinished" "$cache/$kept"
		undo=
		trap - INT TERM HUP
		umask "$mask"
	fi
	exec 9>&-
}
