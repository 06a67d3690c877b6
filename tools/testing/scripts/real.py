# SPDX-License-Identifier: GPL-2.0
"""The real VM in a terminal: not part of a run without arguments, since each test is a boot."""

import fcntl
import hashlib
import os
import pathlib
import re
import select
import shutil
import struct
import subprocess
import tempfile
import termios
import time
import unittest

from terminal import Screen
from weather import SCRIPTS

ROOT = SCRIPTS.parent
TOOL = "tools/vmapcache/target/release/vmapcache"
# Longer than a boot on a busy machine.
LONG = 400


class Real(unittest.TestCase):
    """scripts/vm as it is, in the real tree."""

    @classmethod
    def setUpClass(cls):
        for words in [SCRIPTS / "modules", "--alone", "stock"], [SCRIPTS / "tool"]:
            subprocess.run(words, cwd=ROOT, check=True, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL)

    def setUp(self):
        self.top = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.top)
        # QEMU is known by its command line.
        self.mark = f"mark={self.top.name}"
        self.vm = [SCRIPTS / "vm", "--append", self.mark]
        self.environment = {**os.environ, "TMPDIR": str(self.top), "PS1": "$ ", "TERM": "xterm",
                            "PROMPT_COMMAND": "echo status=$?"}

    def machines(self):
        """The states of all QEMUs that run for this test."""
        states = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_text(errors="replace")
                state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if words.startswith("qemu-system") and self.mark in words:
                states.append(state)
        return states

    def assert_nothing_left(self):
        """No QEMU, no temporary folder. A dying one gets a moment."""
        end = time.monotonic() + 10
        while left := self.machines() + [path.name for path in self.top.iterdir() if path.name != "kept"]:
            self.assertLess(time.monotonic(), end, left)
            time.sleep(0.05)

    def start(self, command, **streams):
        """Starts the VM."""
        process = subprocess.Popen([*self.vm, command], cwd=ROOT, env=self.environment,
                                   stdin=subprocess.DEVNULL, **streams)
        self.addCleanup(self.kill, process)
        return process

    @staticmethod
    def kill(process):
        process.kill()
        process.wait()

    def window(self):
        """A window with a shell that has job control, and says each status."""
        window = Screen()
        self.addCleanup(window.close)
        shell = subprocess.Popen(
            ["bash", "--norc", "--noediting", "-i"], cwd=ROOT, env=self.environment,
            stdin=window.slave, stdout=window.slave, stderr=window.slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.addCleanup(self.kill, shell)
        window.wait_for(b"$ ")
        return window

    def type_vm(self, window, command=""):
        """Starts the VM from a window."""
        window.type((" ".join(map(str, self.vm)) + " " + command + "\n").encode())

    def test_a_terminal_and_what_devices_there_are(self):
        window = self.window()
        self.type_vm(window, "'cat <(echo by fd); echo in order >/dev/stderr; echo out >/dev/stdout; "
                             "read -r x </dev/stdin || echo nothing to read; test -c /dev/tty && "
                             "grep -o \"^devpts /dev/pts\" /proc/mounts; exit 7'")
        window.wait_for(b"status=7", LONG)
        self.assertIn(b"\nby fd\r\nin order\r\nout\r\nnothing to read\r\ndevpts /dev/pts\r\n",
                      window.lines())
        self.assert_nothing_left()

    def test_a_big_output_to_a_file_that_is_open_for_reading_too(self):
        command = 'for i in {1..1000}; do echo $i; head -c 100000 /dev/zero; done; printf "\\r\\n\\0\\377\\n\\r"; echo apart >&2; echo last'
        with open(self.top / "kept", "w+b") as file:
            process = self.start(command, stdout=file, stderr=subprocess.PIPE)
            said = process.communicate(timeout=LONG)[1].splitlines()
            # On a busy machine the VM's boot is mentioned.
            self.assertEqual([line for line in said if not line.startswith(b"vm: booting")], [b"apart"])
            self.assertEqual(process.returncode, 0)
            file.seek(0)
            data = file.read()
        self.assertGreater(len(data), 99_000_000)
        wanted = subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout
        self.assertEqual(hashlib.sha256(data).hexdigest(), hashlib.sha256(wanted).hexdigest())
        self.assert_nothing_left()

    def test_a_slow_reader_gets_the_last_words(self):
        # A process left running holds the output open. The rest is on its way when the command ends.
        process = self.start("sleep 1000 & head -c 480000 /dev/zero; echo last",
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        first = process.stdout.read(1)
        time.sleep(8)
        data = first + process.stdout.read()
        process.stdout.close()
        self.assertEqual(process.wait(LONG), 0)
        self.assertEqual(data, bytes(480000) + b"last\n")
        self.assert_nothing_left()

    def test_ctrl_c(self):
        window = self.window()
        self.type_vm(window, "'echo be''gun; sleep 1000'")
        window.wait_for(b"begun", LONG)
        window.type(b"\x03")
        window.wait_for(b"status=130", 10)
        self.assertNotIn(b"vm: ", window.lines())
        self.assert_nothing_left()

    def test_ctrl_z_and_fg(self):
        window = self.window()
        self.type_vm(window, "'for i in {1..20}; do cat /proc/uptime; sleep 0.2; done; "
                             "dmesg | grep -E \"hogged|stalls|lockup|unstable|skew\"; exit 7'")
        window.wait_for(b"\n", 5)
        while not re.search(rb"\n\d+\.\d\d \d+\.\d\d\r", window.lines()):
            self.assertTrue(window.read(LONG), window.shown)
        window.type(b"\x1a")
        window.wait_for(b"Stopped", 10)
        end = time.monotonic() + 10
        while self.machines() != ["T"]: # the shell hears of it first
            self.assertLess(time.monotonic(), end, self.machines())
            time.sleep(0.05)
        # Longer than a processor may be gone for.
        time.sleep(25)
        window.type(b"fg\n")
        window.wait_for(b"status=7", LONG)
        times = [float(time) for time in re.findall(rb"\n(\d+\.\d\d) \d", window.lines())]
        self.assertEqual(len(times), 20)
        self.assertLess(max(b - a for a, b in zip(times, times[1:])), 10, times)
        for word in b"hogged", b"stalls", b"lockup", b"unstable", b"skew":
            self.assertNotIn(word, window.shown.split(b"fg\r\n")[1].split(b"\n", 1)[1])
        self.assert_nothing_left()

    def test_shell(self):
        window = self.window()
        before = termios.tcgetattr(window.slave)
        self.type_vm(window, "--alone")
        window.wait_for(b"root@vm", LONG)
        for keys, shown in (
                (b"stty size >/dev/tty\r", b"\r24 80\r\n"), (b"tty\r", b"/dev/pts/0\r\n"),
                (b"sleep 1000\r", b"sleep 1000\r\n"), (b"\x1a", b"Stopped"), (b"fg\r", b"fg\r\n"),
                (b"\x03", b"^C"), (b"echo status is $?\r", b"status is 130\r\n"),
                # Ctrl-C while something is measured must leave no module behind.
                (f"{TOOL} run scenario=vmalloc ms=3000; echo left $?\r".encode(), b"ms=3000"),
                (b"", None), (b"\x03", b"left 130\r\n"),
                (b"lsmod | grep -c ^vmapcache\r", b"\r0\r\n")):
            if shown is None:
                time.sleep(4)
                continue
            window.type(keys)
            window.wait_for(shown)
            time.sleep(0.5)
        fcntl.ioctl(window.master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))
        time.sleep(1)
        window.type(b"stty size\r")
        window.wait_for(b"\r50 132\r\n")
        window.type(b"exit 5\r")
        window.wait_for(b"status=5")
        self.assertEqual(termios.tcgetattr(window.slave), before)
        self.assert_nothing_left()

    def test_shell_left_by_poweroff(self):
        window = self.window()
        self.type_vm(window)
        window.wait_for(b"root@vm", LONG)
        window.type(b"poweroff\r")
        while window.shown.count(b"status=0") < 2:
            self.assertTrue(window.read(30), window.shown)
        self.assertNotIn(b"vm: the VM ended", window.shown)
        self.assert_nothing_left()


class Demo(unittest.TestCase):
    """`make demo` as a person sees it, in tmux. The screen is kept in build/check/demo.screen."""

    COLUMNS, ROWS = 80, 24

    def tmux(self, *words):
        """The output of tmux."""
        return subprocess.run(["tmux", "-L", "demo", "-f", "/dev/null", *words], cwd=ROOT,
                              env={**self.environment, "TMUX_TMPDIR": self.folder.name},
                              capture_output=True, text=True, check=True).stdout

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        # make demo makes its way into the sandbox itself, as from a host.
        self.environment = {name: value for name, value in os.environ.items()
                            if name not in ("VMAPCACHE_SANDBOX", "TMUX")}

    def test_demo(self):
        self.tmux("new-session", "-d", "-x", str(self.COLUMNS), "-y", str(self.ROWS),
                  "-e", f"PATH={self.environment['PATH']}", "sleep 1; make demo", ";",
                  "set", "-g", "remain-on-exit", "on", ";", "set", "-g", "remain-on-exit-format", "")
        self.addCleanup(self.tmux, "kill-server")
        end = time.monotonic() + 900
        progress = set()
        while not self.tmux("display", "-p", "#{pane_dead}").startswith("1"):
            self.assertLess(time.monotonic(), end, "make demo does not end")
            screen = self.tmux("capture-pane", "-p")
            lines = [line for line in screen.splitlines() if line.startswith("measuring")]
            # One line, that is rewritten.
            self.assertLessEqual(len(lines), 1, screen)
            progress.update(lines)
            select.select([], [], [], 0.5)
        screen = self.tmux("capture-pane", "-p", "-S", "-")
        kept = ROOT / "build/check/demo.screen"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text("# while it measured, one after the other:\n" + "\n".join(sorted(progress)) +
                        "\n# at the end:\n" + screen.rstrip() + "\n")
        self.assertEqual(self.tmux("display", "-p", "#{pane_dead_status}").strip(), "0", screen)
        self.assertGreater(len(progress), 3, screen)
        # Nothing is wider than the terminal.
        self.assertEqual(len(self.tmux("capture-pane", "-p", "-J", "-S", "-").splitlines()),
                         len(screen.splitlines()), screen)
        self.assertRegex(screen, r"(?m)^ *va_only .*\d")
        for word in "objtool", "BTF", "warning", "measuring", "\r", "Permission denied":
            self.assertNotIn(word, screen)
