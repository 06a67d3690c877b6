#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs one fuzz target of rust/core, or each in turn, for some seconds.

set -e

usage() {
	echo "usage: $0 [manager|extents|planner|all] [SECONDS]"
	echo "Finds are written to build/fuzz/TARGET/; give such a file to the target's binary to repeat it."
}

case $1 in
-h | --help) usage && exit ;;
'' | all) targets='manager extents planner' ;;
manager | extents | planner) targets=$1 ;;
*) usage >&2 && exit 2 ;;
esac

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
target=${CARGO_TARGET_DIR:-target}/$host/release
for name in $targets; do
	mkdir -p "$out/$name/corpus"
	"$target/$name" "$out/$name/corpus" -max_total_time="${2:-60}" -max_len=4096 \
		-artifact_prefix="$out/$name/" -print_final_stats=1 -print_funcs=0 -verbosity=0
done
