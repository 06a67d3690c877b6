# SPDX-License-Identifier: GPL-2.0
"""The archives that fuzzing begins with."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import unittest

from weather import SCRIPTS

CORE = SCRIPTS.parent / "tools/testing/core"


class Corpus(unittest.TestCase):
    """The archives that fuzzing begins with, and tools/testing/core/fuzz.sh --add."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.core = pathlib.Path(folder.name) / "tools/testing/core"
        self.archives = self.core / "fuzz/corpus"
        shutil.copytree(CORE / "fuzz/corpus", self.archives)
        shutil.copy(CORE / "fuzz.sh", self.core)
        self.find = self.core / "find"
        self.find.write_bytes(b"a find\n")
        self.other = self.core / "other"
        self.other.write_bytes(b"\0another")

    def add(self, *arguments):
        return subprocess.run(["./fuzz.sh", "--add", *arguments], cwd=self.core, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    def added(self, *arguments):
        result = self.add(*arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return (self.archives / f"{arguments[0]}.tar").read_bytes()

    def contents(self, target):
        with tarfile.open(self.archives / f"{target}.tar") as archive:
            return {member.name: archive.extractfile(member).read() for member in archive}

    def test_a_find_is_added(self):
        before = self.contents("line")
        self.added("line", "find", str(self.other))
        after = self.contents("line")
        self.assertEqual(before, {name: after.pop(name) for name in before})
        self.assertEqual(after, {hashlib.sha1(text).hexdigest()[:12]: text
                                 for text in (b"a find\n", b"\0another")})

    def test_the_same_files_make_the_same_archive(self):
        both = self.added("line", "find", "other")
        shutil.copy(CORE / "fuzz/corpus/line.tar", self.archives)
        os.utime(self.find, (1, 1))
        self.find.chmod(0o755)
        self.added("line", "other")
        self.assertEqual(self.added("line", "find"), both)
        self.assertEqual(self.added("line", "find"), both)

    def test_committed_ones_are_as_they_are_packed(self):
        for path in sorted(self.archives.iterdir()):
            with self.subTest(path.name):
                before = path.read_bytes()
                name, text = next(iter(self.contents(path.stem).items()))
                if not name.startswith("seed-"):
                    self.find.write_bytes(text)
                    self.assertEqual(self.added(path.stem, "find"), before)
                with tarfile.open(path) as archive:
                    names = archive.getnames()
                self.assertGreater(len(names), 10)
                self.assertEqual(names, sorted(set(names)))

    def test_the_first_find_of_a_target(self):
        (self.archives / "line.tar").unlink()
        self.added("line", "find")
        self.assertEqual(list(self.contents("line").values()), [b"a find\n"])

    def test_nothing_is_added(self):
        for arguments in ((), ("line",), ("nonsense", "find"), ("", "find"), ("line number", "find"),
                          ("line", "find", "nowhere")):
            with self.subTest(arguments):
                result = self.add(*arguments)
                self.assertNotEqual(result.returncode, 0)
                self.assertTrue("usage" in result.stderr or "nowhere" in result.stderr)
        for path in self.archives.iterdir():
            self.assertEqual(path.read_bytes(), (CORE / "fuzz/corpus" / path.name).read_bytes())
        # Nor with the next find.
        self.added("line", "other")
        self.assertNotIn(b"a find\n", self.contents("line").values())
