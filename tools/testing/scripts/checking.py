# SPDX-License-Identifier: GPL-2.0
"""What scripts/check runs in which part, as far as there is time; and its table in CONTRIBUTING.md."""

import os
import pathlib
import re
import signal
import subprocess
import threading
import time

from weather import SCRIPTS, BadWeather

ROOT = SCRIPTS.parent


class Checking(BadWeather):
    def check(self, stubs, *arguments, **environment):
        """scripts/check, with some functions in place of its own."""
        text = (SCRIPTS / "check").read_text()
        at = text.index("# all_parts:")
        (self.scripts / "check").write_text(text[:at] + stubs + text[at:])
        (self.scripts / "sandbox").write_text(f"#!/bin/sh\n{self.sandbox}\n")
        return subprocess.run([self.scripts / "check", *arguments], env=self.environment(**environment), text=True,
                              cwd=self.top / "tree", stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    sandbox = ":"

    def lanes(self, compiled, uncompiled, cpus=2):
        """Stubs for the two lanes of core, on a machine with so many CPUs."""
        self.sandbox = 'exec "$@"'
        self.stub("nproc", f"echo {cpus}\n")
        (self.scripts / "kernel").write_text("#!/bin/sh\necho /kernel\n")
        return f"compiled() {{\n{compiled}\n}}\nuncompiled() {{\n{uncompiled}\n}}\n"

    def test_both_lanes_are_shown_whole_and_counted(self):
        # Each waits for the other, if there are two CPUs.
        meet = "until [ -e {1} ] || [ $(nproc) = 1 ]; do /bin/sleep 0.1; done"
        here, there = self.top / "here", self.top / "there"
        first = f'try a true\n: >{here}\n{meet.format(here, there)}\ntry b false'
        second = f'try "c $KDIR" true\n: >{there}\n{meet.format(there, here)}\ntry d sh -c "echo why; exit 4"\n' \
                 'echo "# why e fails"; try e false'
        for cpus in 1, 2:
            result = self.check(self.lanes(first, second, cpus), "core")
            self.assertEqual((result.returncode, result.stderr), (1, ""))
            report, failed = result.stdout.split("# failed, of all above:\n")
            self.assertEqual([line for line in report.splitlines() if not line.startswith("#")], [
                "KTAP version 1", "ok 1 a", "not ok 2 b", "ok 3 c /kernel/build", "ok 4 d # SKIP why", "not ok 5 e"])
            self.assertEqual(len(re.findall(r"^# [a-e].* took \d+ s, of CPUs \d+ s$", report, re.M)), 5)
            self.assertIn("# why e fails\n# not ok 5 e\n", failed)
            self.assertTrue(failed.endswith("\n2 passed, 2 failed, 1 skipped\n"))
            here.unlink()
            there.unlink()

    def test_each_lane_has_its_own_seconds(self):
        burn = "try b python3 -c 'import time\nwhile time.process_time() < 4.5: pass'"
        wait = f"try a sh -c 'until [ -e {self.top}/over ]; do /bin/sleep 0.1; done; /bin/sleep 2'"
        said = self.check(self.lanes(f"{wait}\ntry c true", f"{burn}\n: >{self.top}/over"), "core").stdout
        self.assertRegex(said, r"# a took \d+ s, of CPUs [012] s\n")
        self.assertRegex(said, r"# c took \d+ s, of CPUs [01] s\n")
        self.assertRegex(said, r"# b took \d+ s, of CPUs [4-6] s\n")

    def test_a_lane_that_dies_is_a_failure(self):
        for death in "exit 3", "kill -9 $$":
            result = self.check(self.lanes("try a true", f"try b true\n{death}"), "core")
            self.assertEqual(result.returncode, 1)
            self.assertIn("\nok 2 b\n", result.stdout)
            self.assertIn("\nnot ok 3 the tests beside those that compile ran to their end (", result.stdout)
            self.assertTrue(result.stdout.endswith("\n2 passed, 1 failed, 0 skipped\n"))

    def both_parts(self, compiled, stock, room="true"):
        """The report of core and stock, whose lines are these."""
        stubs = self.lanes(compiled, ":") + f"room() {{ {room}; }}\nstock_tests() {{\n{stock}\n}}\n"
        result = self.check(stubs, "core", "stock")
        self.assertEqual(result.stderr, "")
        return [line for line in result.stdout.split("# failed, of all above:\n")[0].splitlines()
                if not line.startswith("#")]

    def test_stock_begins_when_core_has_built_the_modules(self):
        built, there = self.top / "built", self.top / "there"
        core = f"""try a true
: >{built}
: >"$logs/core-has-built"
[ -e {there}-alone ] || try b sh -c 'until [ -e {there} ]; do /bin/sleep 0.1; done'
try c false"""
        stock = f"[ -e {built} ] && echo ok 1 d\n: >{there}\necho not ok 2 e"
        wanted = ["KTAP version 1", "ok 1 a", "ok 2 b", "not ok 3 c", "ok 4 d", "not ok 5 e"]
        self.assertEqual(self.both_parts(core, stock), wanted)
        there.unlink()
        # Where there is no room for both, one after the other.
        (self.top / "there-alone").touch()
        self.assertEqual(self.both_parts(core, stock, "false"), [
            "KTAP version 1", "ok 1 a", "not ok 2 c", "ok 3 d", "not ok 4 e"])

    def test_stock_does_not_wait_for_what_core_could_not_build(self):
        self.assertEqual(self.both_parts("try a false", "echo ok 1 b"), [
            "KTAP version 1", "not ok 1 a", "ok 2 b"])

    def test_stock_that_dies_beside_core_is_a_failure(self):
        for death in "exit 3", "kill -9 $$":
            lines = self.both_parts("try a true", f"echo ok 1 b\n{death}")
            self.assertEqual(lines[:3], ["KTAP version 1", "ok 1 a", "ok 2 b"])
            self.assertRegex(lines[3], r"not ok 0 stock ran to its end \(\d+\)")

    def test_beside_core_there_is_one_vm(self):
        log = self.top / "log"
        boot = f"""
build() {{ :; }}
kselftest() {{ echo kselftest >>{log}; }}
boot() {{
	eval "group=\\${{$#}}"
	echo "$group begins" >>{log}
	if [ "$group" = one ] && [ -e {self.top}/core ]; then until [ -e {self.top}/two ]; do /bin/sleep 0.1; done; fi
	[ "$group" = one ] || : >{self.top}/two
	/bin/sleep 2
	echo "$group ends" >>{log}
	echo "ok 1 $group"
}}
"""
        stock = (SCRIPTS / "check").read_text()
        at = stock.index("# stock_tests:")
        stock = stock[at:stock.index("# long_tests:")]
        for core, order in (
                # Core outlives the first one.
                (f'try a sh -c "until [ -e {self.top}/two ]; do /bin/sleep 0.1; done"', ["one begins", "one ends"]),
                # The first one outlives core.
                (f": >{self.top}/core", ["one begins", "two begins"])):
            stubs = self.lanes(f': >"$logs/core-has-built"\n{core}', ":") + "room() { :; }\n" + boot + stock
            result = self.check(stubs, "core", "stock")
            self.assertEqual([line.split(" ", 2)[2] for line in result.stdout.splitlines() if line.startswith("ok")][-3:],
                             ["one", "two", "kselftest's own commands build, run and skip tests"])
            self.assertEqual(sorted(log.read_text().splitlines()[:2]), order, result.stdout)
            log.unlink()
            (self.top / "two").unlink()

    def test_results_are_shown_as_they_come(self):
        stubs = self.lanes(f"try a true\ntry b sh -c 'until [ -e {self.top}/seen ]; do /bin/sleep 0.1; done'", ":")
        self.check(stubs, "--help")
        process = subprocess.Popen([self.scripts / "check", "core"], env=self.environment(), cwd=self.top / "tree",
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(self.kill_group, process)
        timer = threading.Timer(30, self.kill_group, [process])
        timer.start()
        self.addCleanup(timer.cancel)
        lines = iter(process.stdout.readline, "")
        self.assertIn("ok 1 a\n", lines)
        (self.top / "seen").touch()
        self.assertIn("ok 2 b\n", lines)
        process.wait()

    def test_signals_end_both_lanes(self):
        hang = "try %s sh -c 'echo $$ >%s; exec /bin/sleep 60'"
        pids = [self.top / "one", self.top / "two", self.top / "three"]
        stubs = self.lanes(f': >"$logs/core-has-built"\n{hang % ("a", pids[0])}', hang % ("b", pids[1])) + \
            f"room() {{ :; }}\nstock_tests() {{\n{hang % ('c', pids[2])}\n}}\n"
        self.check(stubs, "--help")
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            for file in pids:
                file.unlink(missing_ok=True)
            process = subprocess.Popen(
                [self.scripts / "check", "core", "stock"], env=self.environment(), start_new_session=True,
                cwd=self.top / "tree", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            self.addCleanup(self.kill_group, process)
            end = time.monotonic() + 30
            while not all(file.exists() and file.read_text().strip() for file in pids):
                self.assertLess(time.monotonic(), end, "the lanes did not begin")
                time.sleep(0.05)
            os.killpg(process.pid, number)
            process.wait(30)
            for file in pids:
                while pathlib.Path(f"/proc/{file.read_text().strip()}").exists():
                    self.assertLess(time.monotonic(), end + 10, f"{file.name} outlived {number.name}")
                    time.sleep(0.05)

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
        for words in ("ok 1 both stock 1500 2G --long\n", "ok 2 boot stock 400 256M tool-record-boot low-memory\n",
                      "ok 3 boot stock 400 800M nodes possible-cpus\n", "\n3 passed, 0 failed, 0 skipped\n"):
            self.assertIn(words, said)
        said = self.check(stubs, "long", CHECK_MINUTES="7").stdout
        self.assertNotIn("boot stock", said)
        self.assertIn("ok 2 the kselftests in special boots # SKIP no time left of 7 minutes: make check-long\n", said)
        self.assertIn("\n1 passed, 0 failed, 1 skipped\n", said)
        said = self.check(stubs, "stock").stdout
        for number, group in enumerate(("one", "two"), 1):
            self.assertIn(f"ok {number} boot stock 1500 2G --short --group {group}\n", said)
        self.assertNotIn("boot stock 400", said)

    def test_a_kernel_is_prepared_when_its_part_is_run_and_there_is_time(self):
        stubs = """
build() { echo "# build $*"; }
both() { echo "ok 1 both $*"; }
object_code() { echo "ok 1 object code of $part"; }
"""
        (self.scripts / "kernel").write_text(f'#!/bin/sh\necho "$*" >>{self.top}/prepared\n')
        said = self.check(stubs, "cloud", "rt-arm64", CHECK_MINUTES="5").stdout
        for kind in "cloud", "rt-arm64":
            self.assertIn(f" the {kind} kernel # SKIP no time left of 5 minutes: make check-{kind}\n", said)
        self.assertIn("\n0 passed, 0 failed, 2 skipped\n", said)
        self.assertFalse((self.top / "prepared").exists())
        said = self.check(stubs, "cloud", "rt-arm64", "arm64").stdout
        self.assertEqual((self.top / "prepared").read_text(), "cloud\nrt-arm64\narm64\n")
        self.assertEqual([line for line in said.splitlines() if re.match("ok|# build", line)], [
            "# build cloud", "ok 1 both cloud 1500 2G",
            "# build rt-arm64", "ok 2 object code of rt-arm64", "ok 3 both rt-arm64 3600 2G",
            "# build arm64", "ok 4 object code of arm64", "ok 5 both arm64 3600 2G"])

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
