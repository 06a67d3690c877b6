# SPDX-License-Identifier: GPL-2.0
"""What scripts/check runs in which part, as far as there is time; and its table in CONTRIBUTING.md."""

import re
import subprocess

from weather import SCRIPTS, BadWeather

ROOT = SCRIPTS.parent


class Checking(BadWeather):
    def check(self, stubs, *arguments, **environment):
        """scripts/check, with some functions in place of its own."""
        text = (SCRIPTS / "check").read_text()
        at = text.index("# all_parts:")
        (self.scripts / "check").write_text(text[:at] + stubs + text[at:])
        (self.scripts / "sandbox").write_text("#!/bin/sh\n:\n")
        return subprocess.run([self.scripts / "check", *arguments], env=self.environment(**environment), text=True,
                              cwd=self.top / "tree", stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    def test_special_boots_are_for_a_day_with_more_time(self):
        stubs = """
prepared() { :; }
build() { :; }
both() { echo "ok 1 both $*"; }
boot() { echo "ok 1 boot $*"; }
kselftest() { :; }
terminal_tests() { :; }
"""
        said = self.check(stubs, "long").stdout
        for words in ("ok 1 both stock 1500 2G --long\n", "ok 1 boot stock 400 256M tool-record-boot low-memory\n",
                      "ok 1 boot stock 400 800M nodes possible-cpus\n", "\n3 passed, 0 failed, 0 skipped\n"):
            self.assertIn(words, said)
        said = self.check(stubs, "long", CHECK_MINUTES="7").stdout
        self.assertNotIn("boot stock", said)
        self.assertIn("ok 1 the kselftests in special boots # SKIP no time left of 7 minutes: make check-long\n", said)
        self.assertIn("\n1 passed, 0 failed, 1 skipped\n", said)
        said = self.check(stubs, "stock").stdout
        self.assertIn("ok 1 both stock 1500 2G --short\n", said)
        self.assertNotIn("boot stock", said)

    def test_the_table_has_each_long_kselftest(self):
        text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
        rows = text[text.index("| Long kselftests |"):].split("\n\n")[0].splitlines()[2:]
        told = {name for row in rows for name in re.findall(r"`([\w-]+)`", row.split("|")[1])}
        instead = {name for row in rows for name in re.findall(r"`([\w-]+)`", row.split("|")[3])}
        tests = ROOT / "tools/testing/selftests/vmapcache"
        names = {length: {line.split()[0] for line in subprocess.run(
            [tests / "run", "--list", length], check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()}
            for length in ("--long", "--short")}
        self.assertEqual(told, names["--long"])
        self.assertLessEqual(instead, names["--short"])
