#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs one fuzz target, or all, two at a time, for some seconds each.

set -eu
targets='manager extents planner line number rows'

usage() {
	echo "usage: $0 [all|$(echo "$targets" | tr ' ' '|')] [SECONDS]"
	echo "Each begins with what is in fuzz/corpus/TARGET. What is new goes to build/fuzz/TARGET/corpus,"
	echo "finds to build/fuzz/TARGET/; give such a file to the target's binary to repeat it."
}

case ${1:-all} in
-h | --help) usage && exit ;;
all) ;;
*)
	case " $targets " in
	*" $1 "*) targets=$1 ;;
	*) usage >&2 && exit 2 ;;
	esac
	;;
esac
seconds=${2:-60}

cd "$(dirname "$0")/fuzz"
out=$(cd ../../../.. && pwd)/build/fuzz
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

# fuzz TARGET: a line, and on standard error what libFuzzer said
fuzz() {
	mkdir -p "$out/$1/corpus"
	if "$binaries/$1" "$out/$1/corpus" "corpus/$1" -max_total_time="$seconds" -max_len=4096 -timeout=60 \
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
