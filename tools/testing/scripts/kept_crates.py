# SPDX-License-Identifier: GPL-2.0
"""scripts/crates, with a stub for cargo. That the real one compiles none of them again, scripts/check core sees."""

import os
import shutil
import signal
import time

from weather import BadWeather

CARGO = """
to=target
[ "${RUSTFLAGS:-}" = "" ] || to=target/loom
mkdir -p $to/release/deps $to/release/.fingerprint $to/release/incremental/x
for name in ratatui-1 loom-1 vmapcache-1 vmapcache-core-tests-1 core_tests-1; do
	echo "$name" >$to/release/deps/lib$name.rlib; echo >$to/release/deps/$name.d
	mkdir -p $to/release/.fingerprint/$name
done
for name in vmapcache vmapcache.d libcore_tests.rlib; do echo >$to/release/$name; done
[ -f src/main.rs ] || [ -f src/lib.rs ] || exit 9
[ ! -s src/secret.rs ] || exit 9
echo "$*" >>"$HOME/called"
"""


class KeptCrates(BadWeather):
    def setUp(self):
        super().setUp()
        self.inside = True
        self.stub("cargo", CARGO)
        self.crates = {name: self.top / "tree" / folder for name, folder in
                       (("tool", "tools/vmapcache"), ("core", "tools/testing/core"))}
        for folder in self.crates.values():
            (folder / "src").mkdir(parents=True)
            (folder / "src/secret.rs").write_text("// of this tree\n")
            for name in "Cargo.toml", "Cargo.lock":
                (folder / name).write_text(f"# {folder} {name}\n")

    def environment(self, **more):
        return super().environment(CARGO_HOME=str(self.cache / "home/cargo"), **more)

    def run_crates(self, *arguments):
        """Returns how often it called cargo."""
        called = self.top / "called"
        called.unlink(missing_ok=True)
        self.assert_ok(self.run_script("crates", *arguments))
        return len(called.read_text().splitlines()) if called.exists() else 0

    def fresh(self):
        for folder in self.crates.values():
            shutil.rmtree(folder / "target", ignore_errors=True)
            self.assertEqual(sorted(os.listdir(folder)), ["Cargo.lock", "Cargo.toml", "src"])

    def names(self, crate):
        return {path.name for path in (self.crates[crate] / "target").rglob("*")}

    def test_a_fresh_tree_gets_what_is_kept_and_nothing_of_another_tree(self):
        for words, crate, calls, theirs in (
                ("tool", "tool", 1, {"ratatui-1", "libratatui-1.rlib", "libcore_tests-1.rlib"}),
                ("tool-tests", "tool", 3, {"ratatui-1", "libratatui-1.rlib"}),
                ("core", "core", 3, {"ratatui-1", "loom-1", "loom-1.d", "libloom-1.rlib", "loom", "vmapcache-1.d"})):
            with self.subTest(words):
                self.fresh()
                self.assertEqual(self.run_crates(words), calls)
                first = self.names(crate)
                self.assertLessEqual(theirs, first)
                own = ("vmapcache", "vmapcache.d", "vmapcache-1", "vmapcache-1.d", "libvmapcache-1.rlib") \
                    if crate == "tool" else ("vmapcache-core-tests-1", "core_tests-1", "core_tests-1.d",
                                             "libcore_tests-1.rlib", "libcore_tests.rlib")
                self.assertEqual(first & {*own, "incremental", "secret.rs", "main.rs", "lib.rs"}, set())
                self.fresh()
                self.assertEqual(self.run_crates(words), 0)
                self.assertEqual(self.names(crate), first)

    def test_a_tree_that_cargo_has_been_in_is_left_alone(self):
        (self.crates["tool"] / "target").mkdir()
        self.assertEqual(self.run_crates("tool"), 0)
        self.assertEqual(self.names("tool"), set())
        (self.crates["core"] / "Cargo.lock").unlink()
        self.assertEqual(self.run_crates("core"), 0)
        self.assertEqual(self.kept(), [])

    def test_other_crates_are_made_anew(self):
        self.assertEqual(self.run_crates("tool"), 1)
        for name in "Cargo.lock", "Cargo.toml":
            self.fresh()
            (self.crates["tool"] / name).write_text("# other\n")
            self.assertEqual(self.run_crates("tool"), 1)
        self.fresh()
        text = (self.scripts / "crates").read_text()
        (self.scripts / "crates").write_text(text.replace("tool) cargo build --release ;;",
                                                          "tool) cargo build --release --quiet ;;"))
        self.assertEqual(self.run_crates("tool"), 1)

    def test_only_what_is_kept(self):
        self.assertEqual(self.run_crates("--kept", "tool"), 0)
        self.assertFalse((self.crates["tool"] / "target").exists())
        self.assertEqual(self.run_crates("tool"), 1)
        self.fresh()
        self.assertEqual(self.run_crates("--kept", "tool"), 0)
        self.assertIn("libratatui-1.rlib", self.names("tool"))

    def test_cargo_fails(self):
        self.stub("cargo", f"{CARGO}\necho no network; exit 101\n")
        self.assert_fails(self.run_script("crates", "core"), "no network", "nothing of it was kept")
        self.assert_nothing_half()
        self.fresh()
        self.stub("cargo", CARGO)
        self.assertEqual(self.run_crates("core"), 3)

    def test_interrupted(self):
        for words in "clippy", "loom":
            for number in signal.SIGINT, signal.SIGTERM:
                self.hang_once("cargo", words)
                self.interrupt(number, "crates", "core")
                self.assert_nothing_half()
                self.fresh()

    def test_nobody_has_used_it_for_a_month(self):
        self.run_crates("tool")
        old, = self.cache.glob("crates-tool-*")
        for days, left in (29, True), (32, False):
            used = time.time() - days * 86400
            os.utime(old, (used, used))
            (self.crates["tool"] / "Cargo.lock").write_text(f"# {days}\n")
            self.fresh()
            self.run_crates("tool")
            self.assertEqual(old.exists(), left)
        # A copy of it is a use.
        used, = self.cache.glob(f"crates-tool-{self.newest()}")
        os.utime(used, (1, 1))
        self.fresh()
        self.run_crates("tool")
        self.assertGreater(used.stat().st_mtime, time.time() - 600)

    def newest(self):
        return max(self.cache.glob("crates-tool-*"), key=lambda folder: folder.stat().st_mtime).name.rsplit("-", 1)[1]

    def test_bad_words(self):
        for words in (), ("none",), ("tool", "core"), ("--other", "tool"):
            self.assertEqual(self.run_script("crates", *words).returncode, 2)
