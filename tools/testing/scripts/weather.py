# SPDX-License-Identifier: GPL-2.0
"""The common ground of tests of scripts/: a tree and a cache of their own, stubs, signals."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[3] / "scripts"
NOBODY = 65534

NO_NETWORK = """
echo "E: Temporary failure resolving" >&2
exit 100
"""


def remove(folder):
    """What a test has just ended may write there for another moment."""
    for _ in range(50):
        try:
            shutil.rmtree(folder)
            return
        except OSError:
            time.sleep(0.1)
    shutil.rmtree(folder)


class BadWeather(unittest.TestCase):
    def setUp(self):
        self.top = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(remove, self.top)
        self.scripts = self.top / "tree/scripts"
        shutil.copytree(SCRIPTS, self.scripts, ignore=shutil.ignore_patterns("__pycache__"))
        self.cache = self.top / "cache"
        self.cache.mkdir()
        self.stubs = self.top / "stubs"
        self.stubs.mkdir()
        self.stub("sleep", f'echo "$*" >>{self.top}/slept')
        self.hanging = self.top / "hanging"
        self.path = os.environ["PATH"]
        self.inside = False

    def stub(self, tool, text, shell="sh"):
        file = self.stubs / tool
        file.write_text(f"#!/bin/{shell}\n{text}")
        file.chmod(0o755)

    def hang_once(self, tool, words):
        """The tool hangs the first time that it is called with these words."""
        real = self.stubs / tool
        if not real.exists():
            real = shutil.which(tool)
        (self.top / "hung").unlink(missing_ok=True)
        shutil.rmtree(self.hanging, ignore_errors=True)
        self.hanging.mkdir()
        file = self.hanging / tool
        file.write_text(f"""#!/bin/sh
case "$*" in
	*"{words}"*) [ -e {self.top}/hung ] || {{ : >{self.top}/hung; exec /bin/sleep 60; }} ;;
esac
exec {real} "$@"
""")
        file.chmod(0o755)

    def environment(self, **more):
        return {"PATH": f"{self.hanging}:{self.stubs}:{self.path}", "HOME": str(self.top),
                "VMAPCACHE_CACHE": str(self.cache), "DEBS": str(self.top / "debs"),
                **({"VMAPCACHE_SANDBOX": "/"} if self.inside else {}), **more}

    def run_script(self, script, *arguments, within=(), **options):
        return subprocess.run(
            [*within, self.scripts / script, *arguments], env=self.environment(), text=True,
            cwd=self.top / "tree", stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
            **options)

    def interrupt(self, number, script, *arguments):
        """Starts the script, and sends it and its children a signal once a tool hangs."""
        process = subprocess.Popen(
            [self.scripts / script, *arguments], env=self.environment(), start_new_session=True,
            cwd=self.top / "tree", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.addCleanup(self.kill_group, process)
        end = time.monotonic() + 30
        while not (self.top / "hung").exists():
            self.assertIsNone(process.poll(), "it ended before it could be interrupted")
            self.assertLess(time.monotonic(), end, "it never came to the step to be interrupted")
            time.sleep(0.02)
        os.killpg(process.pid, number)
        process.communicate(timeout=30)
        self.assertNotEqual(process.returncode, 0)

    @staticmethod
    def kill_group(process):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.communicate()

    def kept(self):
        """Every file under a final name in the cache, by its path."""
        return sorted(str(file.relative_to(self.cache)) for file in self.cache.rglob("*")
                      if file.is_file() and "unfinished" not in file.parts
                      and not {"home", "log"} & set(file.parts))

    def assert_nothing_half(self):
        left = [file for file in (self.cache / "unfinished").glob("*") if file.suffix != ".lock"]
        self.assertEqual(left, [])
        empty = [folder for folder in self.cache.iterdir()
                 if folder.name not in ("unfinished", "home", "log")
                 and not any(file.is_file() for file in folder.rglob("*"))]
        self.assertEqual(empty, [])

    def assert_ok(self, result):
        self.assertEqual(result.returncode, 0, result.stderr)

    def assert_fails(self, result, *words):
        self.assertNotEqual(result.returncode, 0, result.stdout)
        for word in words:
            self.assertIn(word, result.stderr)
