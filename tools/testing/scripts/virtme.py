# SPDX-License-Identifier: GPL-2.0
"""scripts/vng with a stub for virtme-ng, which runs the command on this machine."""

import signal
import subprocess
import time

from weather import BadWeather

# What the real one reads its command from, it gets by --exec.
VNG = """
echo $$ >>{top}/vngs
for word; do
	[ "$before" != --exec ] || command=$word
	before=$word
done
"""


class Virtme(BadWeather):
    def setUp(self):
        super().setUp()
        self.inside = True
        (self.stubs / "sleep").unlink()
        self.kernel = self.top / "image"
        self.kernel.write_text("")
        self.stub("apt-get", "")
        self.stub("mount", f'echo "$*" >>{self.top}/mounted')
        self.stub("dpkg-deb", """
mkdir -p "$3/usr/sbin" "$3/usr/lib/python3/dist-packages/virtme"
echo "mount -o trans=virtio,access=any" >"$3/usr/lib/python3/dist-packages/virtme/mkinitramfs.py"
""")
        self.vng("exec sh -c \"$command\"")

    def vng(self, text):
        self.stub("vng", VNG.format(top=self.top) + text, shell="bash")

    def run_vng(self, *words):
        return self.run_script("vng", "--kernel", self.kernel, *words)

    def test_the_commands_streams_and_status(self):
        result = self.run_vng("echo \"it's\"; echo wrong >&2; exit 3")
        self.assertEqual((result.returncode, result.stdout), (3, "it's\n"))
        self.assertIn("wrong\n", result.stderr)
        self.assertNotIn("once more", result.stderr)
        # It is there now.
        self.stub("apt-get", "exit 1")
        self.assert_ok(self.run_vng("true"))
        self.assertEqual(len((self.top / "mounted").read_text().splitlines()), 2)

    def test_bad_options_get_one_line(self):
        for words, said in ((["--memory", "abc"], "(VM_MEM=) abc: not a size"),
                            (["--memory", "0G"], "not a size"),
                            (["--cpus", "0"], "0: not a number of CPUs or seconds"),
                            (["--timeout", "5m"], "5m: not a number"),
                            (["--kernel", "arm64"], "arm64: not in virtme-ng"),
                            (["--kernel", "cloud"], "cloud: not in virtme-ng"),
                            (["--kernel", "/none"], "no kernel at /none"),
                            (["--modules"], "--modules: modules are built for")):
            with self.subTest(words):
                result = self.run_vng(*words, "true")
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(said, result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        result = self.run_vng()
        self.assertEqual(result.returncode, 2)
        self.assertIn("no COMMAND (CMD='...'), and no terminal for a shell", result.stderr)

    def test_another_version_of_virtme_is_seen(self):
        self.stub("dpkg-deb", """
mkdir -p "$3/usr/sbin" "$3/usr/lib/python3/dist-packages/virtme"
echo "mount another way" >"$3/usr/lib/python3/dist-packages/virtme/mkinitramfs.py"
""")
        self.assert_fails(self.run_vng("true"), "could not make vng-")
        self.assertEqual(self.kept(), [])

    def test_a_kernel_that_is_stuck_is_booted_once_more(self):
        self.stub("sleep", "exec /bin/sleep 0.02")
        self.vng(f"[ -e {self.top}/once ] || {{ : >{self.top}/once; exec /bin/sleep 600; }}\nexec sh -c \"$command\"")
        result = self.run_vng("echo there")
        self.assertEqual((result.returncode, result.stdout), (0, "there\n"))
        self.assertIn("the kernel did not start the command: once more", result.stderr)

    def test_a_timeout_ends_it(self):
        result = self.run_vng("--timeout", "1", "/bin/sleep 600")
        self.assertEqual(result.returncode, 124)
        self.assertIn("ended after 1 s (--timeout)", result.stderr)

    def test_signals_end_it(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            (self.top / "vngs").unlink(missing_ok=True)
            process = subprocess.Popen(
                [self.scripts / "vng", "--kernel", self.kernel, "exec /bin/sleep 600"], env=self.environment(),
                cwd=self.top / "tree", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True)
            self.addCleanup(self.kill_group, process)
            end = time.monotonic() + 30
            while not (self.top / "vngs").exists() or not (self.top / "vngs").read_text():
                self.assertLess(time.monotonic(), end)
                time.sleep(0.02)
            process.send_signal(number)
            self.assertEqual(process.wait(30), 130)
            machine = int((self.top / "vngs").read_text())
            while self.alive(machine):
                self.assertLess(time.monotonic(), end)
                time.sleep(0.02)

    @staticmethod
    def alive(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False
