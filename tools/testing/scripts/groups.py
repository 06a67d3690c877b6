# SPDX-License-Identifier: GPL-2.0
"""How tools/testing/selftests/vmapcache/run chooses tests; running them takes a VM."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from weather import SCRIPTS

SELFTESTS = SCRIPTS.parent / "tools/testing/selftests/vmapcache"


class Groups(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        shutil.copy(SELFTESTS / "run", self.folder)
        for name, lines in {"a": 'GROUP=two', "b": 'GROUP=one', "c": 'GROUP="one two"\nLAST=2',
                            "d": 'GROUP=one\nFIRST=2', "e": 'LAST=1\nGROUP=one', "f": 'FIRST=1\nGROUP=one'
                            }.items():
            self.add(name, lines)
        (self.folder / "lib.sh").write_text("# no test\n")

    def add(self, name, lines):
        (self.folder / f"{name}.sh").write_text(f'#!/bin/sh\n{lines}\nDESCRIPTION="be {name}"\n')

    def run_it(self, *arguments, **environment):
        return subprocess.run([self.folder / "run", *arguments], text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=60, env=dict(os.environ, **environment))

    def names(self, *arguments, **environment):
        result = self.run_it("--list", *arguments, **environment)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return "".join(line.split()[0] for line in result.stdout.splitlines())

    def assert_refused(self, words, *arguments):
        result = self.run_it(*arguments)
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn(words, result.stderr)

    def test_first_and_last(self):
        self.assertEqual(self.names(), "fdabec")

    def test_one_and_two(self):
        self.assertEqual(self.names("--group", "one"), "fdbec")
        self.assertEqual(self.names("--group", "two"), "ac")

    def test_short_and_long(self):
        self.add("b", "GROUP=one\nLONG=why")
        self.add("d", "GROUP=two\nFIRST=2\nLONG=why")
        self.assertEqual(self.names("--short"), "faec")
        self.assertEqual(self.names("--long"), "db")
        self.assertEqual(self.names("--long", "--group", "one"), "b")
        self.assertEqual(self.names("--group", "two", "--short"), "ac")
        self.assertEqual(self.names(), "fdabec")
        for arguments in (("--short", "--long"), ("--long", "a")):
            self.assert_refused("Usage", *arguments)

    def test_what_has_ended_is_left_out(self):
        ended = self.folder / "ended"
        self.assertEqual(self.names(ENDED=str(ended)), "fdabec")
        ended.write_text("f\na\n")
        self.assertEqual(self.names(ENDED=str(ended)), "dbec")
        self.assertEqual(self.names("--group", "two", ENDED=str(ended)), "c")

    def test_unknown(self):
        for word in ("three", "", "onetwo", ".*"):
            self.assert_refused(f"no group '{word}'", "--list", "--group", word)
        self.assert_refused("no group ''", "--group")
        self.assert_refused("Usage", "--group", "one", "a")

    def test_missing_or_wrong_in_a_test(self):
        for lines in ("LAST=1", "GROUP=", "GROUP=three", 'GROUP="one three"'):
            with self.subTest(lines):
                self.add("b", lines)
                for arguments in ((), ("a",), ("--list",), ("--group", "two")):
                    self.assert_refused("b.sh needs a line GROUP=", *arguments)

    def test_each_real_test_has_one(self):
        shutil.rmtree(self.folder)
        shutil.copytree(SELFTESTS, self.folder)
        both = [self.run_it("--list", "--group", group).stdout.splitlines() for group in ("one", "two")]
        self.assertEqual(set(both[0]) & set(both[1]), {line for line in both[0] if "memory-leaks" in line})
        self.assertEqual(sorted({*both[0], *both[1]}), sorted(self.run_it("--list").stdout.splitlines()))
        self.assertGreater(min(map(len, both)), 10)
