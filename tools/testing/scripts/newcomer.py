# SPDX-License-Identifier: GPL-2.0
"""The steps before the VM runs, as a person sees them, and the places and ways to start them."""

import fcntl
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import termios
import time

from kernel import Kernel
from sandbox import MMDEBSTRAP
from terminal import OnWindow, Screen
from weather import NO_NETWORK, NOBODY, BadWeather

ROOT = pathlib.Path(__file__).resolve().parents[3]

# Kbuild's output, slowly; with an error if the file `fail` exists.
MAKE = """
for word; do
	case $word in MO=*) folder=${word#MO=} ;; esac
done
for number in 1 2 3 4 5 6; do
	echo "  CC [M]  noise-$number.o"
	echo "warning: a lot of noise" >&2
	/bin/sleep ${SLOW:-0}
done
echo "$*" >>"$TOP/make"
[ ! -e "$TOP/fail" ] || { echo "area.rs:1: error: no such thing"; exit 2; }
[ -z "$folder" ] || : >"$folder/vmapcache.ko"
"""
# The little that a sandbox needs to run busybox in it.
LITTLE_SANDBOX = """
for last; do :; done
cd "$last" && mkdir -p bin dev etc proc run tmp usr/bin etc/ssl/certs
: >etc/resolv.conf >etc/ssl/certs/ca-certificates.crt
cp "$(command -v busybox)" bin/busybox
cat >usr/bin/env <<'END'
#!/bin/busybox sh
for word; do
	case $word in
		-i) ;;
		--chdir=*) cd "${word#*=}" ;;
		*=*) export "$word" ;;
		*) break ;;
	esac
	shift
done
exec "$@"
END
chmod +x usr/bin/env"""


class Newcomer(BadWeather):
    """A kernel that is there, and helpers for terminals."""

    def setUp(self):
        super().setUp()
        self.more = {"TOP": str(self.top)}
        self.kernel = self.top / "kernel"
        (self.kernel / "build").mkdir(parents=True)
        (self.kernel / "release").write_text("9.9.1\n")

    def environment(self, **more):
        return super().environment(**{**self.more, **more})

    def builds(self):
        """The scripts run in the sandbox, and find the kernel and a compiler."""
        self.inside = True
        (self.scripts / "kernel").write_text(f"#!/bin/sh\necho '{self.kernel}'\n")
        self.stub("make", MAKE)

    def on_terminal(self, *words, rows=24, columns=80, term="xterm", during=None):
        """Runs a script on a terminal. Returns its status and its output."""
        screen = Screen(rows, columns)
        self.addCleanup(screen.close)
        process = subprocess.Popen(
            [self.scripts / words[0], *words[1:]], env=self.environment(TERM=term),
            cwd=self.top / "tree", stdin=screen.slave, stdout=screen.slave, stderr=screen.slave,
            start_new_session=True)
        self.addCleanup(self.kill_group, process)
        while process.poll() is None:
            screen.read(0.2)
            if during and during(screen):
                during = None
        while screen.read(0.2):
            pass
        return process.returncode, screen.shown.decode()

    @staticmethod
    def drawn(shown):
        """The text of the line, each time that it was drawn."""
        return [text for text in re.findall(r"\r([^\r\n]*?)\x1b\[K", shown) if text]


class Progress(Newcomer):
    """A step is one line on a terminal, and several lines elsewhere. A log has its output."""

    def setUp(self):
        super().setUp()
        self.builds()
        self.more["SLOW"] = "0.9"

    def test_a_step_is_one_line_on_a_terminal(self):
        for rows, columns, width in (24, 80, 80), (0, 0, 80), (24, 50, 50), (24, 12, 12):
            with self.subTest(columns=columns):
                shutil.rmtree(self.cache / "log", ignore_errors=True)
                status, shown = self.on_terminal("modules", "--alone", rows=rows, columns=columns)
                self.assertEqual(status, 0)
                lines = self.drawn(shown)
                self.assertGreater(len(lines), 1)
                self.assertEqual([line for line in lines if len(line) >= width], [])
                if width > 40:
                    self.assertRegex(lines[-1], r"^modules: \w.*, \d+ %, 0:0\d, about 0:\d\d left$")
                if width == 80:
                    self.assertRegex(lines[-1], r"^modules: building modules for 9\.9\.1, ")
                self.assertNotIn("noise", shown)
                # Its end and the folder stay.
                self.assertEqual(shown.count("\n"), 2, shown)
                self.assertRegex(shown, r"\r\x1b\[Kmodules: building modules for 9\.9\.1: 0:0\d\r\n")

    def test_the_width_is_the_one_of_now(self):
        def narrow(screen):
            if b"left" not in screen.shown:
                return False
            fcntl.ioctl(screen.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
            return True
        lines = self.drawn(self.on_terminal("modules", "--alone", during=narrow)[1])
        self.assertGreater(len(lines[0]), 30)
        self.assertLess(len(lines[-1]), 30)

    def test_elsewhere_there_are_plain_lines(self):
        self.more["TERM"] = "xterm"
        for name, run in (("dumb", lambda: self.on_terminal("modules", "--alone", term="dumb")[1]),
                          ("no TERM", lambda: self.on_terminal("modules", "--alone", term="")[1]),
                          ("pipe", lambda: self.run_script("modules", "--alone").stderr)):
            with self.subTest(name):
                shown = run().replace("\r\n", "\n")
                self.assertTrue(shown.startswith("modules: building modules for 9.9.1\n"), shown)
                self.assertNotIn("\r", shown)
                self.assertNotIn("\x1b", shown)
                self.assertNotIn("noise", shown)

    def test_time_left_is_that_of_the_last_run(self):
        # Then most lines came early, and the last two took most of the time.
        last = self.cache / "log/last/modules--alone"
        last.parent.mkdir(parents=True)
        last.write_text("10 10\n300 12\n")
        lines = self.drawn(self.on_terminal("modules", "--alone")[1])
        self.assertGreater(int(re.search(r"about (\d+):", lines[0])[1]), 0, lines)
        # The next run is measured by this one.
        self.assertRegex(last.read_text(), r"(?s)^0 \d+\n.*\n\d+ 12\n$")

    def test_a_step_that_ends_while_its_line_is_drawn(self):
        self.stub("stty", f'/bin/sleep 4\nexec {shutil.which("stty")} "$@"\n')
        last = self.cache / "log/last/modules--alone"
        last.parent.mkdir(parents=True)
        last.write_text("10 12\n")
        self.on_terminal("modules", "--alone")
        self.assertRegex(last.read_text(), r"\n\d+ 12\n$")

    def test_a_failed_step_says_why_and_where(self):
        (self.top / "fail").touch()
        status, shown = self.on_terminal("modules", "--alone")
        self.assertEqual(status, 2)
        log = self.top / "tree/build/log/modules--alone.log"
        lines = shown.rstrip().split("\r\n")
        self.assertIn("area.rs:1: error: no such thing", lines[-2])
        self.assertTrue(lines[-1].endswith(f"failed. All of what was said is in {log}"), shown)
        self.assertEqual(log.read_text().count("noise"), 12)

    def test_what_to_do_is_said_without_a_step_too(self):
        self.stub("apt-get", NO_NETWORK)
        self.assert_fails(self.run_script("herd"), "is the network there?\nherd: could not make herd-")

    def test_two_steps_beside_each_other_have_one_line(self):
        other = self.top / "other/tree"
        shutil.copytree(self.top / "tree", other)
        self.more["SLOW"] = "1.2"
        screen = Screen()
        self.addCleanup(screen.close)
        runs = []
        for name, tree in ("first", self.top / "tree"), ("second", other):
            (self.kernel / "release").write_text(name)
            runs.append(subprocess.Popen(
                [tree / "scripts/modules", "--alone"], env=self.environment(TERM="xterm"),
                stdin=screen.slave, stdout=screen.slave, stderr=screen.slave))
            time.sleep(1)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            screen.read(0.2)
        whose = [re.search("first|second", line)[0] for line in self.drawn(screen.shown.decode())]
        self.assertGreater(len(whose), 1)
        self.assertEqual(len(set(whose)), 1, whose)
        for run in runs:
            while run.poll() is None:
                screen.read(0.1)
            self.assertEqual(run.returncode, 0)

    def test_what_is_done_quickly_is_not_mentioned(self):
        self.more["SLOW"] = "0"
        self.assertEqual(self.run_script("modules", "--alone").stderr, "")
        self.assertEqual(self.drawn(self.on_terminal("modules", "--alone")[1]), [])


class Steps(OnWindow):
    """Ctrl-C, Ctrl-Z and the end of the terminal at each step before the VM runs."""

    package = Kernel.package
    series = Kernel.series
    flavour = Kernel.flavour

    # In front of a tool: hangs until the file `go` exists, if the tool is called with these words.
    HANG = """#!/bin/sh
case "$*" in
	*"{words}"*)
		[ -e "$PIDS/hung" ] || {{
			: >"$PIDS/hung"
			# Not for ever: nobody else ends one that a fault has let live.
			for _ in $(seq 600); do
				[ ! -e "$PIDS/go" ] || break
				/bin/sleep 0.1
			done
		}} ;;
esac
exec {real} "$@"
"""
    # The step, the tool that hangs, its words, the command, and its status at the end.
    STEPS = (("sandbox", "mmdebstrap", "trixie", "env -u VMAPCACHE_SANDBOX {}/sandbox --prepare", 0),
             ("lists", "apt-get", "update", "{}/kernel", 0),
             ("download", "apt-get", "linux-source", "{}/kernel", 0),
             ("unpack", "xz", "-T0", "{}/kernel", 0),
             ("prepare", "make", "modules_prepare", "{}/kernel", 0),
             ("debug kernel", "make", "vmlinux modules", "{}/kernel debug", 1),
             ("modules", "make", "MO=", "{}/modules --alone", 2),
             ("tool", "cargo", "rustc", "{}/tool", 1))

    def setUp(self):
        super().setUp()
        shutil.rmtree(self.kernel)
        (self.top / "debs").mkdir()
        self.available = {}
        self.stub("apt-get", 'for word; do case $word in linux-*=*)\n'
                             'cp "$DEBS/${word%%=*}.deb" . || exit 100 ;; esac; done\n')
        self.stub("apt-cache", 'cat "$DEBS/available"\n')
        self.stub("mmdebstrap", MMDEBSTRAP)
        self.stub("cargo", "exit 1\n")
        # The kernel's make knows nothing of modules or a debug kernel.
        self.stub("make", f'case "$*" in *MO=*) exit 2 ;; *tinyconfig*) cp "$CONFIG" "${{4#O=}}/.config" ;;\n'
                          '*vmlinux*) exit 2 ;; *LLVM*) ;;\n'
                          f'*) exec {shutil.which("make")} "$@" ;; esac\n')
        self.series("9.9", "9.9.1-1")

    def environment(self, **more):
        return super().environment(CONFIG=str(self.scripts / "debug.config"), **more)

    def processes(self):
        """Those that the shell started: all have its environment."""
        found = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if (f"PIDS={self.top}\0".encode() in (folder / "environ").read_bytes()
                        and int(folder.name) != self.shell.pid):
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" "))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass
        return found

    def left(self):
        """What is left of the step. One that dies loses its environment before its files."""
        unfinished = self.cache / "unfinished"
        left = self.processes()
        left += [file for file in unfinished.glob("*") if file.suffix != ".lock"]
        for lock in *unfinished.glob("*.lock"), *(self.top / "tree/build").glob("*.lock"):
            with open(lock, "rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    left.append(f"{lock} is held")
        mounts = pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
        return left + [mount for mount in mounts if str(self.top) in mount]

    def assert_nothing_left(self):
        end = time.monotonic() + 20
        while (left := self.left()):
            self.assertLess(time.monotonic(), end, f"left: {left}")
            time.sleep(0.05)

    def each(self):
        """Starts each step, and yields once it hangs: its name, the status that it will have."""
        for step, tool, words, command, status in self.STEPS:
            for name in "hung", "go":
                (self.top / name).unlink(missing_ok=True)
            shutil.rmtree(self.hanging, ignore_errors=True)
            self.hanging.mkdir()
            real = self.stubs / tool
            (self.hanging / tool).write_text(self.HANG.format(
                words=words, real=real if real.exists() else shutil.which(tool)))
            (self.hanging / tool).chmod(0o755)
            self.window.shown = b""
            self.window.type(command.format(self.scripts).encode() + b"\n")
            end = time.monotonic() + 30
            while not (self.top / "hung").exists():
                self.window.read(0.1)
                self.assertNotIn(b"status=", self.window.shown, step)
                self.assertLess(time.monotonic(), end, self.window.shown)
            yield step, status

    def test_ctrl_c(self):
        for step, _ in self.each():
            with self.subTest(step):
                self.window.type(b"\x03")
                self.window.wait_for(b"status=130", 20)
                self.assert_nothing_left()

    def test_ctrl_z_and_fg(self):
        for step, status in self.each():
            with self.subTest(step):
                self.window.type(b"\x1a")
                self.window.wait_for(b"Stopped", 10)
                while self.window.read(0.3):
                    pass
                # Nobody draws while it is stopped.
                shown = self.window.shown
                self.window.read(1.5)
                self.assertEqual(self.window.shown, shown)
                self.window.shown = b""
                self.window.type(b"fg\n")
                (self.top / "go").touch()
                self.window.wait_for(b"status=%d" % status, 30)
                self.assert_nothing_left()
            shutil.rmtree(self.cache)
            self.cache.mkdir()

    def test_the_terminal_is_closed(self):
        for step, _ in self.each():
            with self.subTest(step):
                self.window.close()
                self.shell.wait(30)
                self.assert_nothing_left()
            self.open_window()


class Places(Newcomer):
    """The tree in any place, and any user that starts the steps."""

    def in_a_sandbox(self, *command, prepare=""):
        """Runs a command that enters a sandbox of little, after `prepare`, where mounts are its own."""
        self.stub("mmdebstrap", LITTLE_SANDBOX)
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", f'{prepare}\n"$@"', "sh", *command],
            env=self.environment(), text=True, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=60, check=False)

    def run_in(self, tree, script, *words):
        return subprocess.run([tree / "scripts" / script, *words], env=self.environment(), text=True,
                              capture_output=True, check=False, timeout=60)

    def move(self, name):
        """Gives the tree another path."""
        tree = self.top / name
        (self.top / "tree").rename(tree)
        self.scripts = tree / "scripts"
        return tree

    def test_a_tree_and_a_cache_with_a_blank(self):
        tree = self.move("my tree: (it's)")
        self.cache = self.top / "my cache"
        result = self.in_a_sandbox(
            tree / "scripts/sandbox", "/bin/busybox", "sh", "-c",
            'echo "$1"; pwd; ls "$1" "$2"; echo "$VMAPCACHE_CACHE"; : >here', "sh",
            tree / "scripts/keep.sh", self.cache / "log/sandbox.log", prepare='cd "${1%/*}"')
        self.assert_ok(result)
        self.assertEqual(result.stdout, """\
/run/vmapcache/tree/scripts/keep.sh
/run/vmapcache/tree/scripts
/run/vmapcache/cache/log/sandbox.log
/run/vmapcache/tree/scripts/keep.sh
/run/vmapcache/cache
""")
        self.assertTrue((tree / "scripts/here").exists())

    def test_other_paths_stay_as_they_are(self):
        tree = self.move("bäume=1,2+~@-")
        result = self.in_a_sandbox(tree / "scripts/sandbox", "/bin/busybox", "sh", "-c",
                                   'echo "$0"; pwd', tree / "scripts")
        self.assert_ok(result)
        self.assertEqual(result.stdout, f"{tree}/scripts\n{tree}\n")

    def test_paths_of_the_sandbox_are_shown_as_ours(self):
        tree = self.move("my tree & more")
        for path, ours in (("/run/vmapcache/tree/build/9.9.1", f"{tree}/build/9.9.1"),
                           ("/run/vmapcache/cache/stock", f"{self.cache}/stock"),
                           ("/elsewhere", "/elsewhere")):
            (tree / "scripts/sandbox").write_text(f"#!/bin/sh\necho {path}\n")
            for script in "modules", "kernel":
                self.assertEqual(self.run_in(tree, script).stdout, f"{ours}\n")
        # In the compilers' output, too.
        self.builds()
        self.stub("make", 'echo "/run/vmapcache/tree/rust/area.rs:1: error"; exit 2')
        self.more["VMAPCACHE_TREE"] = str(tree)
        self.assertIn(f"{tree}/rust/area.rs:1: error\n", self.run_in(tree, "modules").stderr)

    def test_kbuild_of_a_kernel_of_ones_own_takes_no_blank(self):
        tree = self.move("my tree")
        (self.kernel / "Makefile").touch()
        self.assert_fails(self.run_in(tree, "modules", self.kernel),
                          "no blank and no colon may be in its path")

    def test_a_folder_on_another_file_system(self):
        tree = self.top / "mounted"
        tree.mkdir()
        result = self.in_a_sandbox(
            tree / "scripts/sandbox", "/bin/busybox", "sh", "-c",
            ': >"$1/written" && ls "$1"', "sh", tree / "scripts",
            prepare=f'mount -t tmpfs none "{tree}" && cp -r "{self.top}/tree/scripts" "{tree}"')
        self.assert_ok(result)
        self.assertIn("\nwritten\n", result.stdout)

    def test_the_users_umask_is_not_the_sandboxs(self):
        result = self.in_a_sandbox(self.scripts / "sandbox", "/bin/busybox", "sh", "-c", "umask",
                                   prepare="umask 077")
        # Of what runs there it is.
        self.assertEqual(result.stdout, "0077\n", result.stderr)
        made = next(self.cache.glob("sandbox-*"))
        for path in made, made / "etc", made / "etc/resolv.conf":
            self.assertEqual(path.stat().st_mode & 0o044, 0o044, path)

    def test_a_users_language_is_not_the_tools(self):
        self.stub("mmdebstrap", 'echo "$LC_ALL $LANG" >"$TOP/language"\n' + MMDEBSTRAP)
        self.more.update(LANG="de_DE.UTF-8", LC_ALL="de_DE.UTF-8", LANGUAGE="de")
        self.assert_ok(self.run_script("sandbox", "--prepare"))
        self.assertEqual((self.top / "language").read_text(), "C de_DE.UTF-8\n")

    def test_standard_streams_may_be_closed(self):
        self.stub("mmdebstrap", 'readlink /proc/self/fd/0 >"$TOP/stdin"\n' + MMDEBSTRAP)
        for closed in "<&-", ">&-", "2>&-", "<&- >&- 2>&-":
            with self.subTest(closed):
                shutil.rmtree(self.cache)
                self.cache.mkdir()
                within = ["sh", "-c", f'exec "$@" {closed}', "sh"]
                self.inside = False
                self.assert_ok(self.run_script("sandbox", "--prepare", within=within))
                self.assertRegex((self.top / "stdin").read_text(), "/dev/null\n$")
                self.builds()
                self.assert_ok(self.run_script("modules", "--alone", within=within))

    def test_an_ordinary_user_gets_a_user_namespace(self):
        self.stub("mmdebstrap", MMDEBSTRAP)
        self.stub("newuidmap", "")
        self.stub("unshare", """
echo "$*" >>"$TOP/unshare"
for word; do
	shift
	[ "$word" != -- ] || break
	[ "$word" != private ] || [ "$1" = -- ] || break
done
case "$*" in *--enter*) exit 0 ;; esac
exec "$@\"""")
        for path in self.top, *self.top.rglob("*"):
            os.chown(path, NOBODY, NOBODY)
        result = self.run_script("sandbox", "true", within=[
            "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"])
        self.assert_ok(result)
        calls = [line for line in (self.top / "unshare").read_text().splitlines() if line[0] == "-"]
        self.assertIn("--enter", calls[-1])
        for call in calls:
            self.assertTrue(call.startswith("--user --map-root-user --map-auto --mount "), call)

    def test_two_builds_in_one_tree_come_one_after_the_other(self):
        self.builds()
        self.stub("make", """
mkdir "$TOP/busy" || : >"$TOP/clash"
/bin/sleep 0.5
rmdir "$TOP/busy\"""")
        runs = [subprocess.Popen([self.scripts / "modules", "--alone"], env=self.environment(),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                for _ in range(3)]
        said = [run.communicate(timeout=30)[1] for run in runs]
        self.assertEqual([run.returncode for run in runs], [0, 0, 0])
        self.assertFalse((self.top / "clash").exists())
        self.assertIn("modules: another run is building modules here, waiting for it\n", said)


class Make(Newcomer):
    """The Makefile in a path with a blank, with scripts that print their arguments."""

    def setUp(self):
        super().setUp()
        self.tree = self.top / "tree with a blank"
        (self.top / "tree").rename(self.tree)
        shutil.copy(ROOT / "Makefile", self.tree)
        for script in "sandbox", "kernel", "live", "modules", "native", "tool", "vm", "check":
            (self.tree / "scripts" / script).write_text(
                f'#!/bin/sh\necho "{script} $* [$MODULE_MAKE]" >>"$TOP/asked"\necho /built\n')
            (self.tree / "scripts" / script).chmod(0o755)

    def make(self, *words):
        """Runs make. Returns the result, and the arguments of the scripts."""
        asked = self.top / "asked"
        asked.unlink(missing_ok=True)
        result = subprocess.run(["make", *words], cwd=self.tree, env=self.environment(), text=True,
                                capture_output=True, stdin=subprocess.DEVNULL, check=False)
        return result, asked.read_text() if asked.exists() else ""

    def test_demo_in_a_path_with_a_blank(self):
        result, asked = self.make("demo")
        self.assert_ok(result)
        for words in "sandbox --prepare", "tool ", "kernel stock", "vm --kernel stock":
            self.assertIn(words, asked)

    def test_variables_reach_the_build(self):
        result, asked = self.make("modules", "W=1", "KCFLAGS=-O1 -DX='y z'")
        self.assert_ok(result)
        words = subprocess.run(
            ["sh", "-c", f"set -- {asked[asked.index('[') + 1:-2]}; printf '%s\\n' \"$@\""],
            capture_output=True, text=True, check=True).stdout.splitlines()
        self.assertEqual(sorted(words), ["KCFLAGS=-O1 -DX='y z'", "W=1"])
        _, asked = self.make("modules", f"KDIR={self.kernel}", "LLVM=1")
        self.assertEqual(asked, f"modules {self.kernel} [LLVM='1']\n")

    def test_variables_reach_kbuild(self):
        shutil.copy(ROOT / "scripts/modules", self.tree / "scripts")
        self.scripts = self.tree / "scripts"
        self.builds()
        result = subprocess.run(
            [self.scripts / "modules", "--alone"], capture_output=True, text=True, check=False,
            env=self.environment(MODULE_MAKE="W='1' KCFLAGS='-O1 -g'"))
        self.assert_ok(result)
        self.assertIn(" W=1 KCFLAGS=-O1 -g modules\n", (self.top / "make").read_text())

    def test_a_misspelt_variable_is_refused(self):
        for target in "demo", "modules", "check", "help":
            result, asked = self.make(target, "QUIK=1")
            self.assert_fails(result, "QUIK: no such variable here")
            self.assertEqual(asked, "")
        self.assert_ok(self.make("bench", "QUICK=1")[0])

    def test_a_quick_run_leaves_the_whole_runs_data_alone(self):
        self.assertIn("bench --quick --out build/bench-quick.json", self.make("bench", "QUICK=1")[1])
        self.assertNotIn("--out", self.make("bench")[1])

    def test_the_native_ground(self):
        self.assertEqual(self.make("native")[1], "native  []\n")
        self.assertEqual(self.make("native", "QUICK=1", "CPUS=3")[1], "native --quick --cpus 3 []\n")

    def test_live(self):
        self.assertEqual(self.make("live")[1], "live  []\n")
        self.assertEqual(self.make("live", "QUICK=1", "CPUS=1 8", "WORKLOADS=nft bpf-arrays")[1],
                         "live --quick --cpus 1 8 nft bpf-arrays []\n")
        self.assertEqual(self.make("live", "VM_KERNEL=debug", "WORKLOADS=nft")[1], "live --debug nft []\n")

    def test_whole_workloads_are_part_of_the_report(self):
        self.assertTrue(self.make("bench")[1].endswith("\nlive --show []\n"))
        self.assertNotIn("live", self.make("bench", "QUICK=1")[1])

    def test_clean_says_what_goes_and_keeps_results(self):
        results = ["build/bench-quick.json", "build/bench.json", "build/fuzz/all/crash-1",
                   "build/live-debug.json", "build/live-quick.json", "build/live.json", "build/native.json"]
        other = "tools/target/no-folder-of-cargos"
        for path in (*results, other, "build/9.9.1/vmapcache.ko", "build/.hidden",
                     "build/log/modules.log", "tools/vmapcache/target/.rustc_info.json", "rust/area.o"):
            (self.tree / path).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / path).touch()
        result, _ = self.make("clean")
        self.assert_ok(result)
        left = sorted(str(file.relative_to(self.tree)) for file in self.tree.rglob("*")
                      if file.is_file() and "scripts" not in file.parts)
        self.assertEqual(left, ["Makefile", *results, other])
        for words in ("removed build/9.9.1\n", "removed ./tools/vmapcache/target\n",
                      "removed ./rust/area.o\n",
                      "kept: build/bench-quick.json build/bench.json build/fuzz build/live-debug.json "
                      "build/live-quick.json "
                      "build/live.json build/native.json;"):
            self.assertIn(words, result.stdout)
        for path in results:
            (self.tree / path).unlink()
        shutil.rmtree(self.tree / "build/fuzz")
        self.assertEqual(self.make("clean")[0].stdout, "")
        self.assertFalse((self.tree / "build").exists())


class Record(Newcomer):
    """scripts/record: the output of a terminal, in asciinema's format."""

    def test_a_command_on_a_terminal(self):
        file = self.top / "test.cast"
        result = self.run_script(
            "record", "--columns", "90", "--rows", "25", file, "sh", "-c",
            "stty size; printf 'ä\\033[1m'; sleep 0.3; test -t 0 && exit 7")
        self.assertEqual(result.returncode, 7, result.stderr)
        header, *events = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        self.assertEqual((header["version"], header["width"], header["height"]), (2, 90, 25))
        times = [event[0] for event in events]
        self.assertEqual(times, sorted(times))
        self.assertEqual({event[1] for event in events}, {"o"})
        shown = "".join(event[2] for event in events)
        self.assertTrue(shown.startswith("$ sh -c"), shown)
        self.assertTrue(shown.endswith("\r\n25 90\r\nä\x1b[1m"), shown)
        self.assertEqual(self.run_script("record", "--play", file).stdout, shown.replace("\r\n", "\n"))

    def test_the_one_in_the_documentation_is_whole(self):
        lines = (ROOT / "Documentation/pictures/demo.cast").read_text("utf-8").splitlines()
        self.assertEqual(json.loads(lines[0])["title"], "make demo")
        shown = "".join(json.loads(line)[2] for line in lines[1:])
        for words in "left\x1b[K", "booting the VM", "measuring, ", "in-tree ns", "lookup_miss":
            self.assertIn(words, shown)
