# SPDX-License-Identifier: GPL-2.0
"""`vmapcache top` in a real terminal, tmux, on recorded files of the module."""

import os
import signal
import subprocess
import tempfile
import time
import unittest

from weather import SCRIPTS

ROOT = SCRIPTS.parent
TOOL = ROOT / "tools/vmapcache/target/release/vmapcache"
RECORDED = ROOT / "tools/vmapcache/recorded"


class Top(unittest.TestCase):
    """A person at a terminal of 80 columns and 24 rows."""

    @classmethod
    def setUpClass(cls):
        subprocess.run([SCRIPTS / "tool"], cwd=ROOT, check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def tmux(self, *words):
        """The output of tmux."""
        environment = {name: value for name, value in os.environ.items() if name != "TMUX"}
        return subprocess.run(["tmux", "-L", "top", "-f", "/dev/null", *words], cwd=ROOT,
                              env={**environment, "TMUX_TMPDIR": self.folder.name, "TERM": "xterm"},
                              capture_output=True, text=True, check=True).stdout

    def start(self):
        """Starts top in a shell that says its status afterwards."""
        self.tmux("new-session", "-d", "-x", "80", "-y", "24",
                  f"echo before; {TOOL} top --delay 0.2 --from {RECORDED}; echo status=$?; exec sleep 1000")
        self.addCleanup(self.tmux, "kill-server")
        return self.wait_for("q quit")

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def wait_for(self, *words):
        """The screen once it shows all of the words."""
        end = time.monotonic() + 20
        while not all(word in (screen := self.screen()) for word in words):
            self.assertLess(time.monotonic(), end, f"{words}: never shown\n{screen}")
            time.sleep(0.05)
        return screen

    def test_keys_and_another_size(self):
        screen = self.start()
        lines = screen.splitlines()
        self.assertEqual(len(lines), 24, screen)
        self.assertTrue(lines[1].startswith("[|:~") and lines[1].endswith("]") and len(lines[1]) == 80, screen)
        for words in ("live 6.6 MiB in 93 areas", "of 8 GiB", "BYTES*", "93", "keep [vmapcache_test]",
                      "kernel_read_file"):
            self.assertIn(words, screen)
        self.tmux("send-keys", ">", "/", "walk")
        screen = self.wait_for("AREAS*", "filter: walk_", "walk_areas")
        self.assertNotIn("keep [", screen)
        self.tmux("resize-window", "-x", "60", "-y", "12")
        # The last line goes to the new last line.
        end = time.monotonic() + 20
        while not self.screen().splitlines()[-1].startswith("filter: walk_"):
            self.assertLess(time.monotonic(), end, self.screen())
            time.sleep(0.05)
        self.assertEqual(len(self.screen().splitlines()), 12)
        self.tmux("send-keys", "Escape")
        time.sleep(0.5)
        self.tmux("send-keys", "t")
        self.wait_for("these are copies", "keep [")
        self.tmux("send-keys", "q")
        screen = self.wait_for("status=0")
        self.assertEqual(screen.split(), ["before", "status=0"], "the terminal is as it was")

    def test_a_signal_gives_the_terminal_back(self):
        self.start()
        shell = int(self.tmux("display", "-p", "#{pane_pid}"))
        children = subprocess.run(["pgrep", "-P", str(shell)], capture_output=True, text=True, check=True)
        os.kill(int(children.stdout), signal.SIGTERM)
        screen = self.wait_for("status=143")
        self.assertIn("before", screen)
        self.assertNotIn("BYTES", screen)

    def test_text_without_a_terminal(self):
        def top(*words):
            return subprocess.run([TOOL, "top", "--delay", "0.1", "--from", RECORDED, *words], check=False,
                                  capture_output=True, text=True, stdin=subprocess.DEVNULL)

        self.assertRegex(top("--once").stdout, r"(?m)^ +6.6 MiB +93 +123 +0 +30 +0 keep \[vmapcache_test\]$")
        self.assertEqual(top("--batch", "-n", "3").stdout.count("keep ["), 3)
        self.assertNotIn("\x1b", top("--once").stdout)
        refused = top()
        self.assertEqual((refused.returncode, refused.stdout), (2, ""))
        self.assertIn("--once or --batch", refused.stderr)
