# SPDX-License-Identifier: GPL-2.0
"""The program, the trace reader and the report of `make live`."""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
from types import SimpleNamespace
from unittest import mock

from weather import SCRIPTS

LIVE = SCRIPTS.parent / "tools/testing/live"
SIDES = "in-tree", "vmapcache"


def loaded(path):
    loader = importlib.machinery.SourceFileLoader(path.stem, str(path))
    spec = importlib.util.spec_from_loader(path.stem, loader)
    module = importlib.util.module_from_spec(spec)
    # Where dataclasses look for their module.
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


class InAFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)


class LiveProgram(InAFolder):
    """Workloads that need neither a device nor a module, on this machine."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.program = pathlib.Path(folder.name) / "workload"
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-pthread",
                        '-DDROP_CACHES="/dev/null"', "-o", cls.program, *sorted(LIVE.glob("program/*.c"))],
                       check=True)

    def start(self, *words):
        process = subprocess.Popen([self.program, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)

        def end():
            process.kill()
            process.communicate()

        self.addCleanup(end)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def ask(self, process, command):
        process.stdin.write(command + "\n")
        process.stdin.flush()
        return process.stdout.readline()

    def rounds(self, *words):
        """Three rounds with their checks. Returns how many operations one had."""
        process = self.start(*words)
        for seed in 1, 2, 3:
            answer = self.ask(process, f"round {seed}").split()
            self.assertEqual(answer[0], "round", process.stderr.read)
            total, operations, most = map(int, answer[1:4])
            shares = dict(tuple(map(int, word.split(":"))) for word in answer[4:])
            self.assertEqual(list(shares), [100, 1000, 2500, 5000, 7500, 9000, 9900, 9990, 9999])
            # None took longer than the longest, half of them together no less than half of them times the median.
            self.assertEqual([*shares.values(), most], sorted([*shares.values(), most]))
            self.assertTrue(0 < shares[100] and most <= total, answer)
            self.assertLessEqual(shares[5000] * (operations // 2), total, answer)
            self.assertEqual(self.ask(process, "check"), "checked\n")
        output, errors = process.communicate(timeout=20)
        self.assertEqual((process.returncode, output, errors), (0, "", ""))
        return operations

    def fails(self, process, command, text):
        self.assertEqual(self.ask(process, command), "")
        _, errors = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 1)
        self.assertIn(text, errors)

    def test_rounds(self):
        for words, operations in ((("files-write", self.folder, 3, 16), 3), (("files-read", self.folder, 4, 16), 4),
                                  (("forks", 5), 5), (("threads", 7), 7),
                                  (("mix", "threads", 4, "--", "forks", 3), 1)):
            with self.subTest(words[0]):
                self.assertEqual(self.rounds(*words), operations)

    def test_other_contents_are_seen(self):
        for words in ("files-write", self.folder, 3, 16), ("files-read", self.folder, 3, 16):
            for at in 0, 9000, 16383:
                with self.subTest(f"{words[0]} at {at}"):
                    process = self.start(*words)
                    self.assertRegex(self.ask(process, "round 5"), "^round ")
                    file = self.folder / "file-2"
                    data = bytearray(file.read_bytes())
                    data[at] ^= 1
                    file.write_bytes(data)
                    self.fails(process, "check", f"file-2: other contents than were written, in the page at byte "
                                                 f"{at // 4096 * 4096}")

    def test_the_contents_of_the_round_before_are_others(self):
        process = self.start("files-write", self.folder, 2, 16)
        self.ask(process, "round 1")
        old = (self.folder / "file-1").read_bytes()
        self.ask(process, "check")
        self.ask(process, "round 2")
        (self.folder / "file-1").write_bytes(old)
        self.fails(process, "check", "file-1: other contents")

    def test_a_file_that_is_gone(self):
        process = self.start("files-read", self.folder, 2, 16)
        (self.folder / "file-0").unlink()
        self.fails(process, "round 1", "file-0: No such file")

    def test_a_part_of_a_mix_that_fails(self):
        process = self.start("mix", "threads", 2, "--", "files-read", self.folder, 2, 16)
        (self.folder / "file-1").unlink()
        self.fails(process, "round 1", "mix: files-read ended with status 0x100")

    def test_wrong_words(self):
        for words, text in ((["nothing"], "no workload nothing"), (["forks"], "forks: it takes PROCESSES"),
                            (["forks", "0"], "0: no number from 1 to"), (["forks", "1x"], "1x: no number"),
                            (["mix", "forks", "2", "--", "threads"], "threads: it takes")):
            result = subprocess.run([self.program, *words], text=True, capture_output=True, check=False,
                                    stdin=subprocess.DEVNULL)
            self.assertEqual(result.returncode, 1)
            self.assertIn(text, result.stderr)


class LiveRun(unittest.TestCase):
    """What becomes of one workload, with all that needs a VM played."""

    def setUp(self):
        self.run_script = loaded(LIVE / "run")

    def result(self, measured, log=""):
        """The result of a workload that does `measured`, and what the kernel says meanwhile."""
        text = f"an older line\nvmapcache-live: x\n{log}"
        with mock.patch.object(self.run_script, "measured", measured), \
                mock.patch.object(self.run_script.machine, "write"), \
                mock.patch.object(self.run_script.machine, "run", return_value=text), \
                contextlib.redirect_stderr(io.StringIO()):
            return self.run_script.try_one(SimpleNamespace(name="x", operation="y"), None)

    def raises(self, error):
        def measured(*_):
            raise error
        return self.result(measured)

    def test_a_good_one(self):
        found = self.result(lambda *_: {"rounds": 1}, "[1.0] brd: module loaded\n")
        self.assertEqual(found, {"workload": "x", "operation": "y", "result": "ok", "rounds": 1})

    def test_what_raises(self):
        machine = self.run_script.machine
        self.assertEqual(self.raises(machine.Lacking("no module"))["result"], "skipped")
        found = self.raises(machine.Failed("file-1: other contents"))
        self.assertEqual((found["result"], found["why"]), ("failed", "file-1: other contents"))
        self.assertEqual(self.raises(ValueError())["why"], "ValueError")

    def test_the_kernel_log(self):
        for line in "[9.1] BUG: unable to handle page fault", "[9.1] WARNING: CPU: 0", "[9.1] Call Trace:":
            found = self.result(lambda *_: {"rounds": 1}, f"[9.0] hello\n{line}\n")
            self.assertEqual((found["result"], found["why"]), ("failed", f"the kernel log: {line}"))

    def test_sides_take_turns_and_the_other_one_checks(self):
        done = []
        program = SimpleNamespace(round=lambda seed: done.append(f"round {seed}") or {"ns": seed},
                                  check=lambda: done.append("check"))
        counters = mock.Mock()
        counters.return_value.since.return_value = {"redirected": 0}
        with mock.patch.object(self.run_script, "switch", done.append), \
                mock.patch.object(self.run_script, "Counters", counters):
            found = self.run_script.rounds_of(program, 2)
        turn = ["in-tree", "round {}", "vmapcache", "check", "vmapcache", "round {}", "in-tree", "check"]
        self.assertEqual(done, [word.format(2 * pair + 1 + (at > 4)) for pair in range(3)
                                for at, word in enumerate(turn)] + ["in-tree"])
        self.assertEqual({side: [one["ns"] for one in rounds] for side, rounds in found.items()},
                         {"in-tree": [3, 5], "vmapcache": [4, 6]})


    def test_names(self):
        def listed(*names):
            return subprocess.run([LIVE / "run", "--list", *names], text=True, capture_output=True, check=False)

        self.assertGreater(len(listed().stdout.splitlines()), 15)
        self.assertRegex(listed("bpf-arrays", "nft").stdout, r"^bpf arrays +a map.*\nnft +a table.*\n$")
        result = listed("nft", "nftt")
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("no workload nftt", result.stderr)

    def test_takeover_settles_where_instructions_are_counted(self):
        for counts, seconds in (True, 2), (False, 0):
            with mock.patch.object(self.run_script, "INSTRUCTIONS", counts), \
                    mock.patch.object(self.run_script.time, "sleep") as sleep:
                self.run_script.settle()
            self.assertEqual(sum(call.args[0] for call in sleep.mock_calls), seconds)


class LiveShare(unittest.TestCase):
    TRACE = """\
# tracer: function_graph
#
# CPU  DURATION                  FUNCTION CALLS
# |     |   |                     |   |   |   |
 0)   1.250 us    |  vmap();
 0)   0.750 us    |  vunmap();
 ------------------------------------------
 0)  worklo-93     =>  kworker-12
 ------------------------------------------

 0) 100.000 us    |  vmap();
 0)   4.5 us      |  work [module]();
 0)   ==========> |
"""

    def test_times_by_function(self):
        share = loaded(LIVE / "share.py")
        self.assertEqual(share.times(self.TRACE.splitlines()), {"vmap": 101250, "vunmap": 750, "work": 4500})


class LiveReport(InAFolder):
    """Tables of made-up data."""

    @staticmethod
    def workload(name, theirs, ours, redirected=10, **more):
        def rounds(values, calls):
            return [{"ns": ns, "operations": 5, "p50": ns // 10, "p99": ns // 5, "max": ns // 2,
                     "redirected": calls, "let_through": {}, "flushes": 3} for ns in values]
        return {"workload": name, "operation": "something", "result": "ok",
                "rounds": {"in-tree": rounds(theirs, 0), "vmapcache": rounds(ours, redirected)}, **more}

    def report(self, *results, unit="ns", end="ok", more=(), brief=False):
        """Runs it. Returns its exit status, its output, and the objects."""
        data = self.folder / "boot"
        lines = [{"begin": {"cpus": 2, "kernel": "9.9", "commit": "abc", "unit": unit, "ground": "emulated"}}, *results]
        if end:
            lines.append({"end": end})
        data.write_text("".join(json.dumps(line) + "\n" for line in lines))
        out = self.folder / "out.json"
        result = subprocess.run([LIVE / "report", *(["--brief"] if brief else []), "--out", out, data, *more], text=True, capture_output=True,
                                check=False)
        self.assertEqual(result.stderr, "")
        return result.returncode, result.stdout, json.loads(out.read_text())

    SLOW = [1000, 1010, 1020, 1005, 1015, 1001, 1002]
    FAST = [ns * 9 // 10 for ns in SLOW]
    MIXED = [999, 1012, 1019, 1007, 1013, 1002, 1001]

    def verdicts(self, *results, **more):
        return {one["workload"]: one["verdict"] for one in self.report(*results, **more)[2]}

    def test_verdicts(self):
        found = self.verdicts(
            self.workload("better", self.SLOW, self.FAST), self.workload("worse", self.FAST, self.SLOW),
            self.workload("as good", self.SLOW, self.MIXED), self.workload("alone", self.SLOW, self.FAST, 0),
            self.workload("short", self.SLOW[:5], self.FAST[:5]))
        self.assertEqual(found, {"better": "gain", "worse": "loss", "as good": "no difference",
                                 "alone": "not served", "short": "few rounds"})

    def test_an_odd_count_of_instructions_hides_nothing(self):
        odd = [*self.FAST[:6], 1100]
        for theirs, ours, word in ((odd, self.SLOW, "loss"), (self.SLOW, odd, "gain"),
                                   (self.SLOW, self.MIXED, "no difference"), (self.SLOW[:4], self.FAST[:4], "gain"),
                                   (self.SLOW[:3], self.FAST[:3], "few rounds")):
            with self.subTest(word):
                self.assertEqual(self.verdicts(self.workload("x", theirs, ours), unit="instructions"), {"x": word})

    def test_chance(self):
        """As tables of the test have it: of 7 and 7 values, 8 pairs and no more may be in the other order."""
        report = loaded(LIVE / "report")
        low = [1, 2, 3, 4, 5, 6, 7]
        self.assertAlmostEqual(report.chance(low, [8] * 7), 2 / 3432)
        # One of the others is below all but the seventh part of the first ones.
        self.assertLess(report.chance(low, [5.5, 1.5, *[9] * 5]), 0.05)
        self.assertGreater(report.chance(low, [4.5, 1.5, *[9] * 5]), 0.05)
        self.assertEqual(report.chance(low, low), 1)

    def test_one_round_of_seven_is_enough_to_doubt(self):
        ours = self.FAST[:6] + [1100]
        self.assertEqual(self.verdicts(self.workload("x", self.SLOW, ours)), {"x": "no difference"})

    def test_the_rounds_are_pairs(self):
        """A drift of the machine, larger than the difference, is none of the allocators."""
        theirs = [1000 * (i + 1) for i in range(7)]
        self.assertEqual(self.verdicts(self.workload("x", theirs, [ns - 50 for ns in theirs])), {"x": "gain"})

    def test_the_table_says_what_is_lost(self):
        status, text, _ = self.report(self.workload("worse", self.FAST, self.SLOW, allocator_ns=90),
                                      self.workload("better", self.SLOW, self.FAST), unit="instructions")
        self.assertEqual(status, 0)
        for words in ("Gains: better.\n", "Losses: worse +11.", "More than 1% is lost by: worse.\n", "10.0%",
                      "2 workloads measured, 0 failures, 0 skipped\n"):
            self.assertIn(words, text)

    def test_few_rounds_say_nothing(self):
        _, text, _ = self.report(self.workload("short", self.SLOW[:5], self.FAST[:5]))
        self.assertIn("No difference shown: none.\nToo few rounds to say: short.\n", text)

    def test_objects(self):
        _, _, objects = self.report(self.workload("better", self.SLOW, self.FAST))
        self.assertEqual([one["allocator"] for one in objects], list(SIDES))
        self.assertEqual((objects[0]["run_min_ns"], objects[0]["median_ns"], objects[0]["runs_ns"]),
                         (1000, 1005, self.SLOW))
        self.assertEqual((objects[1]["redirected"], objects[1]["ground"]), ([10] * 7, "emulated"))
        _, _, objects = self.report(self.workload("better", self.SLOW, self.FAST), unit="instructions")
        self.assertEqual(objects[0]["median_instructions"], 1005)
        self.assertNotIn("median_ns", objects[0])

    def test_objects_have_the_places_that_their_operations_can_have(self):
        """Of 150 operations none is the 1,000th from the end; and a place is the median over rounds."""
        shares = (100, 5000, 9900, 9990, 9999)
        made = self.workload("x", self.SLOW, self.FAST)
        for side in SIDES:
            for round_, one in enumerate(made["rounds"][side]):
                one |= {"operations": 150, "quantiles": {str(share): share + round_ for share in shares}}
        objects = self.report(made)[2]
        self.assertEqual(objects[0]["quantiles_ns"], {"100": 103, "5000": 5003, "9900": 9903})
        for one in made["rounds"]["vmapcache"]:
            one["operations"] = 1
        objects = self.report(made)[2]
        self.assertNotIn("quantiles_ns", objects[1])
        objects = self.report(self.workload("before there were any", self.SLOW, self.FAST))[2]
        self.assertNotIn("quantiles_ns", objects[0])

    def test_shown_again(self):
        """What it shows of its own objects is what it had shown."""
        skipped = {"workload": "far", "operation": "x", "result": "skipped", "why": "there is not the module far"}
        for unit in "ns", "instructions":
            slow, fast = ([10_000 * ns for ns in values] for values in (self.SLOW, self.FAST))
            _, text, _ = self.report(self.workload("better", slow, fast, allocator_ns=900_000),
                                     self.workload("alone", slow, fast, 0), skipped, unit=unit)
            again = subprocess.run([LIVE / "report", "--show", self.folder / "out.json"], text=True,
                                   capture_output=True, check=True).stdout
            self.assertIn("of make live at commit abc:\n", again)
            self.assertEqual(again[again.index("\n\n") + 2:], text[:text.index("data: ")])

    def test_a_brief_report(self):
        failed = {"workload": "torn", "operation": "x", "result": "failed", "why": "other contents"}
        status, text, _ = self.report(self.workload("better", self.SLOW, self.FAST), failed, brief=True)
        self.assertEqual(status, 1)
        self.assertTrue(text.startswith("FAILED: boot: torn: other contents\n1 workloads measured"), text)

    def test_a_workload_that_failed(self):
        failed = {"workload": "torn", "operation": "x", "result": "failed", "why": "other contents"}
        status, text, objects = self.report(self.workload("better", self.SLOW, self.FAST), failed)
        self.assertEqual(status, 1)
        self.assertIn("FAILED: boot: torn: other contents\n", text)
        self.assertEqual(objects[-1]["why"], "other contents")

    def test_a_workload_that_is_skipped(self):
        skipped = {"workload": "far", "operation": "x", "result": "skipped", "why": "there is not the module far"}
        status, text, _ = self.report(self.workload("better", self.SLOW, self.FAST), skipped)
        self.assertEqual(status, 0)
        self.assertIn("skipped: far: there is not the module far\n", text)
        self.assertIn("1 workloads measured, 0 failures, 1 skipped\n", text)

    def test_nothing_but_skipped(self):
        skipped = {"workload": "far", "operation": "x", "result": "skipped", "why": "there is not the module far"}
        status, text, _ = self.report(skipped)
        self.assertEqual(status, 1)
        self.assertIn("FAILED: boot: nothing was measured\n", text)

    def test_a_boot_that_ended_early(self):
        status, text, _ = self.report(self.workload("better", self.SLOW, self.FAST), end=None)
        self.assertEqual(status, 1)
        self.assertIn("FAILED: boot: the VM did not come to its end\n", text)
        status, text, _ = self.report(self.workload("better", self.SLOW, self.FAST), more=[self.folder / "none"])
        self.assertEqual(status, 1)
        self.assertIn("FAILED: none: the VM did not come to its end\n", text)

    def test_what_is_held_at_the_end(self):
        status, text, _ = self.report(self.workload("better", self.SLOW, self.FAST), end="held at the end: f()")
        self.assertEqual(status, 1)
        self.assertIn("FAILED: boot: held at the end: f()\n", text)
