# SPDX-License-Identifier: GPL-2.0
"""The program's output where there is no room for it, or nobody who reads it; on recorded files of the module."""

import os
import pathlib
import pty
import resource
import shutil
import signal
import stat
import subprocess
import time

from program import Program, RECORDED, TOOL


def commands(folder):
    """All that print and need no module; `folder` is for what they write."""
    bench = RECORDED / "bench.json"
    for source in ("stats", "info", "callers", "areas"):
        for form in ("raw", "csv", "json", "openmetrics"):
            yield source, "-O", form, "--from", RECORDED / source
    for form in ("raw", "csv", "json"):
        yield "events", "-O", form, "--from", RECORDED / "events"
        yield "recording", RECORDED / "f2fs.rec", "-O", form
    for by in ("state", "caller", "size"):
        yield "map", "--by", by, "--from", RECORDED / "areas"
    yield "top", "--once", "--delay", "0.1", "--from", RECORDED
    # Without an end: only the output can end it.
    yield "top", "--batch", "--delay", "0.1", "--from", RECORDED
    yield "export", "--dashboard"
    yield ("doctor",)
    yield "bundle", "--force", "-o", folder / "bundle.tar.gz"
    yield "report", bench, "-o", folder / "report.html"
    yield "report", bench, "--compare", bench, "-o", folder / "report.html"
    yield "tables", bench
    for shell in ("bash", "zsh", "fish"):
        yield "completions", shell
    for words in ("help", "--help", "--version"):
        yield (words,)
    yield "help", "top"


def files(folder):
    """All that write a file that the user names."""
    bench = RECORDED / "bench.json"
    yield folder / "map.svg", ("map", "--from", RECORDED / "areas", "-o")
    yield folder / "report.html", ("report", bench, "-o")
    yield folder / "bundle.tar.gz", ("bundle", "--force", "-o")


class Output(Program):
    """Full disks, closed pipes, devices."""

    def run_tool(self, words, **where):
        return subprocess.run([TOOL, *words], check=False, text=True, stdin=subprocess.DEVNULL, timeout=120,
                              **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **where})

    def test_no_room_for_what_is_printed(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            for words in commands(self.folder):
                with self.subTest(words=words):
                    done = self.run_tool(words, stdout=full)
                    self.assertEqual(done.returncode, 2)
                    self.assertRegex(done.stderr, r"^vmapcache: .*output: No space left on device")
                    self.assertNotIn("panicked", done.stderr)

    def test_nobody_reads_what_is_printed(self):
        for words in commands(self.folder):
            with self.subTest(words=words):
                ours, its = os.pipe()
                os.close(ours)
                try:
                    done = self.run_tool(words, stdout=its)
                finally:
                    os.close(its)
                self.assertIn(done.returncode, (0, -signal.SIGPIPE))
                self.assertIn(done.stderr, ("", "vmapcache: 7 events lost\n"))

    def test_no_room_for_a_complaint(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            for words, status in ((("stats", "--from", "/nonexistent"), 2), (("junk",), 2), (("top",), 2),
                                  (("events", "--from", RECORDED / "events"), 0)):
                with self.subTest(words=words):
                    self.assertEqual(self.run_tool(words, stderr=full).returncode, status)

    def test_a_file_stays_if_there_is_no_room_for_the_new_one(self):
        # A file may have so many bytes, and then writing fails.
        limit = "trap '' XFSZ; ulimit -f 1; exec \"$@\""
        for path, words in files(self.folder):
            with self.subTest(words=words):
                path.write_text("old", encoding="utf-8")
                done = subprocess.run(["sh", "-c", limit, "sh", TOOL, *words, path], check=False, text=True,
                                      capture_output=True, stdin=subprocess.DEVNULL, timeout=120)
                self.assertEqual(done.returncode, 2)
                self.assertRegex(done.stderr, f"^vmapcache: {path}: ")
                self.assertEqual(path.read_text(encoding="utf-8"), "old")
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()),
                         sorted(path.name for path, _ in files(self.folder)))

    def test_a_device_is_not_replaced(self):
        for _, words in files(self.folder):
            with self.subTest(words=words):
                # A node of our own: if the program replaces it, nobody else notices.
                device = self.folder / "full"
                try:
                    os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, 7))
                    with open(device, "wb"):
                        pass
                except OSError as why:
                    self.skipTest(f"no device can be made here: {why}")
                done = self.run_tool((*words, device))
                self.assertTrue(stat.S_ISCHR(device.stat().st_mode))
                self.assertEqual(done.returncode, 2)
                self.assertRegex(done.stderr, f"^vmapcache: {device}: No space left on device")
                device.unlink()

    def test_data_that_are_none(self):
        junk = self.folder / "junk"
        for content, said in ((b"\xff\xfe", "byte 0 is not text"), (b"", "no data of"), (b"areas 1\n", "no data of"),
                              (b"{}", "no data of"), ((RECORDED / "bench.json").read_bytes()[:3000], "no data of")):
            junk.write_bytes(content)
            for words in (("tables", junk), ("report", junk, "-o", self.folder / "page")):
                with self.subTest(words=words, content=content[:20]):
                    done = self.run_tool(words)
                    self.assertEqual((done.returncode, done.stdout), (2, ""))
                    self.assertIn(f"vmapcache: {junk}: {said}", done.stderr)
        missing = self.run_tool(("tables", self.folder / "none"))
        self.assertEqual(missing.returncode, 2)
        self.assertIn("vmapcache bench", missing.stderr)

    def test_an_arena_without_areas_makes_no_picture(self):
        picture = self.folder / "map.svg"
        done = self.run_tool(("map", "--from", "/dev/null", "-o", picture))
        self.assertEqual((done.returncode, done.stderr), (2, "vmapcache: /dev/null: there are no areas to draw\n"))
        self.assertFalse(picture.exists())
        done = self.run_tool(("map", "--from", "/dev/null"))
        self.assertEqual((done.returncode, done.stdout), (0, "There are no areas.\n"))

    def test_a_million_areas_in_two_seconds_and_100_mb(self):
        """Seconds of a CPU, so that other work on this machine does not count."""
        saved, at = self.folder / "areas", 0xffffc90400000000
        with open(saved, "w", encoding="ascii") as out:
            for number in range(1_000_000):
                pages = 1 + number % 7
                end = at + (pages + 1) * 4096
                out.write(f"{at:#x}-{end:#x} {end - at:7} function_{number % 50}+0x1/0x2 [module_{number % 9}] "
                          f"pages={pages} vmalloc N0={pages} cpu=0\n")
                at = end + number % 3 * 4096
        # The greatest size of a child begins with that of the process which starts it. A limit counts from nothing.
        memory = 100_000_000
        for by in "state", "caller", "size":
            with self.subTest(by=by), subprocess.Popen(
                    [TOOL, "map", "--by", by, "--from", saved, "-o", self.folder / "map.svg"],
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))) as program:
                _, status, usage = os.wait4(program.pid, 0)
                program.returncode = os.waitstatus_to_exitcode(status)
                self.assertEqual(program.returncode, 0)
                self.assertLess(usage.ru_utime + usage.ru_stime, 2)

    def test_an_interrupted_native_replay_ends_its_program(self):
        program = self.folder / "native"
        program.write_text(f"#!/bin/sh\ncat >/dev/null\necho $$ >{self.folder}/new\nmv {self.folder}/new {self.folder}/pid\n"
                           "exec sleep 1000\n", encoding="utf-8")
        program.chmod(0o755)
        for key, number in (("\x03", signal.SIGINT), (None, signal.SIGTERM), (None, signal.SIGHUP)):
            (self.folder / "pid").unlink(missing_ok=True)
            child, master = pty.fork()
            if child == 0:
                os.execv(TOOL, [TOOL, "replay", RECORDED / "f2fs.rec", "--ground", "native", "--native", program])
            end = time.monotonic() + 60
            while not (self.folder / "pid").exists():
                self.assertLess(time.monotonic(), end, "the program does not begin")
                time.sleep(0.05)
            # Ctrl-C is for all that run at the terminal, the others for the one process.
            if key:
                os.write(master, key.encode())
            else:
                os.kill(child, number)
            said = b""
            try:
                while some := os.read(master, 1000):
                    said += some
            except OSError:
                pass # nobody has the terminal open any more
            os.close(master)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 128 + number, said)
            self.assertIn(b"vmapcache: interrupted", said)
            pid = (self.folder / "pid").read_text(encoding="ascii").strip()
            self.assertFalse(pathlib.Path("/proc", pid).exists(), "the program goes on")

    def test_an_ordinary_user_is_told_who_may_measure(self):
        tool = self.folder / "vmapcache"
        shutil.copy(TOOL, tool)
        self.folder.chmod(0o755)
        # A debugfs with its usual rights, and the laboratory in it.
        script = """mount -t tmpfs none /sys && mkdir -p /sys/kernel/debug/vmapcache/bench && chmod 700 /sys/kernel/debug &&
            exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@" """
        for words in ("demo",), ("replay", RECORDED / "f2fs.rec"):
            done = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", tool, *words], check=False, text=True,
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 2)
            self.assertEqual(done.stderr, "vmapcache: only root can load the modules and measure with them\n")

    def test_installed_modules_are_loaded_and_go(self):
        calls = self.folder / "calls"
        for program in ("modprobe", "rmmod"):
            stub = self.folder / program
            stub.write_text(f'#!/bin/sh\necho {program} "$@" >>{calls}\n[ ! -e {self.folder}/none ]\n', encoding="utf-8")
            stub.chmod(0o755)
        # The stub loads nothing, so there is no laboratory afterwards.
        environment = {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        done = self.run_tool(("run", "scenario=va_only", "--arena-mb", "64"), env=environment)
        self.assertEqual(done.returncode, 2)
        self.assertIn("is debugfs mounted?", done.stderr)
        self.assertEqual(calls.read_text(encoding="utf-8").splitlines(),
                         ["modprobe -q vmapcache arena_mb=64", "modprobe -q vmapcache_bench", "rmmod vmapcache_bench",
                          "rmmod vmapcache"])
        (self.folder / "none").touch()
        done = self.run_tool(("replay", RECORDED / "f2fs.rec"), env=environment)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, "^vmapcache: vmapcache is not loaded, and modprobe -q vmapcache: .*: `vmapcache doctor` .*; --module takes a file$")
