#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes one deliberate mistake after the other in rust/core, and sees each found by its test."""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent


def build_env(target, mutant):
    """The environment of one cargo run. What is built for loom lies apart."""
    env = dict(os.environ, CARGO_TARGET_DIR=str(target), RUST_BACKTRACE="0")
    if mutant.get("loom"):
        env["CARGO_TARGET_DIR"] = str(target / "loom")
        env["RUSTFLAGS"] = (env.get("RUSTFLAGS", "") + " --cfg loom").strip()
    return env


def run(command, folder, env, timeout):
    """Runs a command. Returns its status, None if it took too long, and its output."""
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
            return process.returncode, output.decode(errors="replace")
        except subprocess.TimeoutExpired:
            # The test that cargo started, too.
            os.killpg(process.pid, signal.SIGKILL)
            return None, ""


def bite(mutant, target, timeout):
    """Returns how the test took the mistake: "found", or what is wrong."""
    with tempfile.TemporaryDirectory(prefix="bite-") as folder:
        tree = pathlib.Path(folder)
        # Copied with the time of now: for cargo all trees are one, and only what is newer is built.
        shutil.copytree(ROOT / "rust" / "core", tree / "rust" / "core", copy_function=shutil.copy)
        crate = tree / "tools" / "testing" / "core"
        shutil.copytree(HERE, crate, copy_function=shutil.copy,
                        ignore=shutil.ignore_patterns("target", "fuzz", "bench"))
        path = tree / mutant["file"]
        text = path.read_text()
        if text.count(mutant["old"]) != 1:
            return f"does not apply: {text.count(mutant['old'])} places in {mutant['file']}"
        path.write_text(text.replace(mutant["old"], mutant["new"]))
        command = ["cargo", "test", "--release", "--locked", *mutant["test"].split()]
        env = build_env(target, mutant)
        status, output = run([*command, "--no-run"], crate, env, 600)
        if status != 0:
            return "does not build:\n" + output[-2000:]
        status, _ = run(command, crate, env, timeout)
        if status is None:
            return f"still runs after {timeout} s"
        return "found" if status else "NOT FOUND"


def main():
    """Runs all mutants, or those whose name holds a given word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("word", nargs="?", default="", help="only mutants whose name holds this")
    parser.add_argument("--timeout", type=int, default=120, help="seconds for one test")
    args = parser.parse_args()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")).absolute()
    # What is built of a mistake must never be taken for the real thing.
    target /= "bite"
    mutants = tomllib.loads((HERE / "mutants.toml").read_text())["mutant"]
    mutants = [m for m in mutants if args.word in m["name"]]
    missed = 0
    for mutant in mutants:
        result = bite(mutant, target, args.timeout)
        missed += result != "found"
        print(f"{mutant['name']}: {result}", flush=True)
    print(f"{len(mutants) - missed} of {len(mutants)} mistakes found")
    sys.exit(1 if missed or not mutants else 0)


if __name__ == "__main__":
    main()
