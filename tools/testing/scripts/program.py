# SPDX-License-Identifier: GPL-2.0
"""The common ground of tests of the program vmapcache on recorded files of the module."""

import os
import pathlib
import subprocess
import tempfile
import unittest

from weather import SCRIPTS

ROOT = SCRIPTS.parent
TOOL = pathlib.Path(os.environ.get("TOOL", ROOT / "tools/vmapcache/target/release/vmapcache"))
RECORDED = ROOT / "tools/vmapcache/recorded"


class Program(unittest.TestCase):
    """The program is built, unless TOOL= names one; each test has a folder of its own."""

    @classmethod
    def setUpClass(cls):
        if "TOOL" not in os.environ:
            subprocess.run([SCRIPTS / "tool"], cwd=ROOT, check=True, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
