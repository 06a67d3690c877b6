# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# The scripts beside it source this file. It keeps things that take long to make.
#
# A kept thing is a folder in the cache, named after what it is and a hash of
# the recipe that made it. It is made under another name and gets its final
# name by rename, so a folder with a final name is whole. One lock per name: if two
# runs need the same thing, one makes it and the other waits.

: "${HOME:=$(getent passwd "$(id -u)" | cut -d: -f6)}"
cache=${VMAPCACHE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vmapcache}
# shellcheck source=scripts/progress.sh
. "$(dirname "$0")/progress.sh"
steps_logs=$cache/log

# Scripts read the output of tools, so it must be in one language.
[ -n "${VMAPCACHE_SANDBOX:-}" ] || export LC_ALL=C

# recipe: a short hash of the recipe on standard input
recipe() {
	sha256sum | cut -c1-12
}

# discard FOLDER: removes it, even if it belongs to the ids of a user namespace,
# but nothing that is mounted below it
discard() {
	rm -rf --one-file-system "$1" 2>/dev/null && return
	own_namespace rm -rf --one-file-system "$1"
}

# own_namespace COMMAND...: runs it as root in a mount namespace of its own.
# A user who is not root becomes root in a user namespace, if the host allows that.
own_namespace() {
	if [ "$(id -u)" = 0 ]; then
		unshare --mount --propagation private -- "$@"
	else
		unshare --user --map-root-user --map-auto --mount --propagation private -- "$@"
	fi
}

# in_sandbox ARGUMENT...: unless this script runs in the sandbox already, runs it there with these,
# prints the path that it printed, as this machine knows it, and ends
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

# room MEGABYTES: stops early if the cache's disk has less room
room() {
	free=$(df -Pm "$cache" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$1" ] ||
		die "not enough room: $1 MB needed in $cache, $free MB free (VMAPCACHE_CACHE= names another place)"
}

# tries COMMAND...: runs a command that needs the network, up to three times. Within a step.
tries() {
	for pause in 3 10 0; do
		"$@" && return
		[ "$pause" = 0 ] || { say "did not work, once more in $pause s"; sleep "$pause"; }
	done
	hint="gave up after 3 tries: is the network there?"
	return 1
}

# keep NAME MEGABYTES COMMAND...: unless $cache/NAME exists, runs COMMAND with one
# more argument, the path of an empty folder that will become it
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
		# sync first: otherwise a power failure could leave the name without its content.
		sync -f "$cache"
		mv -T "$unfinished" "$cache/$kept"
		undo=
		trap - INT TERM HUP
		umask "$mask"
	fi
	exec 9>&-
}
