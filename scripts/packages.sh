# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# The scripts beside it source this file. It unpacks packages that the sandbox does not have, from the
# sandbox's own release of Debian. None of the packages' own code runs. The text of this file is a part of
# each recipe.

# release TOOL ARGUMENT...: an apt command on fresh lists, which changes nothing in the sandbox
release() {
	tool=$1
	shift
	"$tool" -qq -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" \
		-o Dir::Etc::SourceParts=- -o APT::Sandbox::User=root -o Debug::NoLocking=1 \
		-o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

download() {
	release apt-get -y --no-install-recommends --download-only install "$@" >&2
}

# unpacked FOLDER PACKAGE...: the packages, and what they need and the sandbox lacks
unpacked() {
	into=$1
	shift
	work=$into/work
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
	tries release apt-get update >&2 || return
	tries download "$@" || return
	for package in "$work"/cache/archives/*.deb; do
		dpkg-deb -x "$package" "$into" || return
	done
	rm -rf "$work" "$into/usr/share/doc" "$into/usr/share/man" "$into/usr/share/locale"
}
