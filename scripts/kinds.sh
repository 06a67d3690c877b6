# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# shellcheck disable=SC2034 # who sources this file uses them
#
# The kernels that there are. The scripts beside it source this file: a new kernel is named here, and gets its
# recipe in scripts/kernel.

# Debian's, as packaged, of any series
packaged="stock rt cloud arm64 arm64-16k rt-arm64"
# of our own configuration
of_our_own="debug debug-drivers cfi"
# those among them for another processor than this machine's
for_another="arm64 arm64-16k rt-arm64"

# one_of WORD LIST
one_of() {
	for one in $2; do
		[ "$one" != "$1" ] || return 0
	done
	return 1
}

# is_kernel WORD: the name of one of them, and no path
is_kernel() {
	one_of "$1" "$packaged $of_our_own"
}
