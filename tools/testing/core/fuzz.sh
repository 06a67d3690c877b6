#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs one fuzz target, or all, two at a time, for some seconds each.

set -eu
targets='manager extents tree planner line program number rows files'

usage() {
	echo "usage: $0 [all|$(echo "$targets" | tr ' ' '|')] [SECONDS]"
	echo "       $0 --add TARGET FILE..."
	echo "Each begins with the inputs in fuzz/corpus/TARGET.tar. New inputs go to build/fuzz/TARGET/corpus,"
	echo "finds to build/fuzz/TARGET/; give such a file to the target's binary to repeat it. --add puts files"
	echo "into the archive, under names made of their content."
}

# is_target NAME: one of $targets
is_target() {
	for target in $targets; do
		[ "$target" != "$1" ] || return 0
	done
	return 1
}

# unpack TARGET FOLDER: its archive, if it has one, and nothing else
unpack() {
	rm -rf "$2"
	mkdir -p "$2"
	[ ! -e "corpus/$1.tar" ] || tar -x -C "$2" -f "corpus/$1.tar"
}

# pack TARGET FOLDER: the same files always make the same archive
pack() {
	(cd "$2" && find . -type f | sed 's|^./||' | LC_ALL=C sort |
		tar -c --format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=644 -T - -f -) >"corpus/$1.new"
	mv "corpus/$1.new" "corpus/$1.tar"
}

# add TARGET FILE...
add() {
	target=$1
	shift
	unpack "$target" "$out/$target/seeds"
	for file; do
		sum=$(sha1sum <"$file")
		cp "$file" "$out/$target/seeds/$(echo "$sum" | cut -c 1-12)"
	done
	pack "$target" "$out/$target/seeds"
}

here=$PWD
cd "$(dirname "$0")/fuzz"
out=$(cd ../../../.. && pwd)/build/fuzz
case ${1:-all} in
-h | --help) usage && exit ;;
--add)
	if ! is_target "${2:-}" || [ $# -lt 3 ]; then
		usage >&2
		exit 2
	fi
	target=$2
	shift 2
	for file; do
		shift
		case $file in
		/*) set -- "$@" "$file" ;;
		*) set -- "$@" "$here/$file" ;;
		esac
	done
	add "$target" "$@"
	exit
	;;
all) ;;
*)
	is_target "$1" || { usage >&2; exit 2; }
	targets=$1
	;;
esac
seconds=${2:-60}

# Coverage as cargo-fuzz has it, but for the address sanitizer, which needs a nightly compiler and has
# nothing to find here: the core is safe Rust.
RUSTFLAGS='-Cpasses=sancov-module -Ccodegen-units=1 --cfg fuzzing'
for option in level=4 inline-8bit-counters pc-table trace-compares; do
	RUSTFLAGS="$RUSTFLAGS -Cllvm-args=-sanitizer-coverage-$option"
done
export RUSTFLAGS
CXX=${CXX:-clang++}
export CXX
# With --target the flags are not those of build scripts, which have no libFuzzer to link with.
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build --release --locked --target "$host"
binaries=${CARGO_TARGET_DIR:-target}/$host/release
unset RUSTFLAGS

# fuzz TARGET: prints a line, and libFuzzer's output on standard error
fuzz() {
	mkdir -p "$out/$1/corpus"
	unpack "$1" "$out/$1/seeds"
	if "$binaries/$1" "$out/$1/corpus" "$out/$1/seeds" -max_total_time="$seconds" -max_len=4096 -timeout=60 \
		-artifact_prefix="$out/$1/" -print_final_stats=1 -print_funcs=0 -verbosity=0 >"$out/$1/log" 2>&1; then
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$1/log")
		echo "ok fuzz, $1: $runs inputs"
	else
		tail -n 40 "$out/$1/log" >&2
		echo "not ok fuzz, $1: see build/fuzz/$1"
		return 1
	fi
}

status=0
first=
for name in $targets; do
	fuzz "$name" &
	if [ -n "$first" ]; then
		wait "$first" || status=1
		wait $! || status=1
		first=
	else
		first=$!
	fi
done
[ -z "$first" ] || wait "$first" || status=1
exit $status
