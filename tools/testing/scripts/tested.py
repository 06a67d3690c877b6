# SPDX-License-Identifier: GPL-2.0
"""What scripts/tested notes of a run, and writes into its document; and the parts of scripts/check --all."""

from weather import BadWeather

REPORT = """KTAP version 1
# rt
1..3
ok 1 torture # 15.1 s
# a comment
    ok 1 part of a test
ok 2 faults # SKIP no build with faults at hand
not ok 3 walk
"""
DOCUMENT = """Text.

..
   from here on: scripts/tested --write

..
   up to here

More.
"""


class Tested(BadWeather):
    """tested in a tree of its own."""

    def setUp(self):
        super().setUp()
        self.logs = self.top / "tree/build/check"
        self.logs.mkdir(parents=True)
        self.document = self.top / "tree/Documentation/tested.rst"
        self.document.parent.mkdir()
        self.document.write_text(DOCUMENT)

    def note(self, part, report=REPORT, kernel="rt-7.3.4"):
        (self.logs / f"report-{part}").write_text(report)
        (self.logs / f"built-{part}").write_text(kernel + "\n")
        self.assert_ok(self.run_script("tested", "--note", str(self.logs), part, "9"))

    def rows(self):
        """The document's table, a list of words for each part."""
        lines = self.document.read_text().splitlines()
        at = [i for i, line in enumerate(lines) if line.startswith("====")]
        return [line.split() for line in lines[at[1] + 1:at[2]]]

    def test_a_part_is_counted(self):
        self.note("rt")
        self.assert_ok(self.run_script("tested", "--write"))
        self.assertEqual([row[:7] for row in self.rows()], [["rt", "rt-7.3.4", "1", "1", "1", "9", "?"]])
        text = self.document.read_text()
        self.assertTrue(text.startswith("Text.\n") and text.endswith("More.\n"), text)

    def test_a_newer_run_replaces_an_older_one_and_no_other(self):
        self.note("rt")
        self.note("stock", "ok 1 api\n", "7.3.4")
        self.note("rt", "ok 1 api\nok 2 walk\n")
        self.assert_ok(self.run_script("tested", "--write"))
        self.assertEqual([row[:4] for row in self.rows()],
                         [["rt", "rt-7.3.4", "2", "0"], ["stock", "7.3.4", "1", "0"]])

    def test_a_part_for_which_there_was_no_time_keeps_what_an_earlier_run_said(self):
        self.note("rt")
        self.note("rt", "ok 1 the rt kernel # SKIP no time left of 70 minutes\n")
        self.assert_ok(self.run_script("tested", "--write"))
        self.assertEqual([row[2:5] for row in self.rows()], [["1", "1", "1"]])

    def test_a_line_of_the_document_stays_if_that_part_was_not_run_here(self):
        self.note("debug")
        self.assert_ok(self.run_script("tested", "--write"))
        (self.logs / "tested").unlink()
        self.note("rt")
        self.assert_ok(self.run_script("tested", "--write"))
        self.assertEqual([row[0] for row in self.rows()], ["debug", "rt"])

    def test_nothing_was_run(self):
        self.assert_fails(self.run_script("tested", "--write"), "no part was run here yet")
        self.assertEqual(self.document.read_text(), DOCUMENT)

    def test_the_document_has_no_marks(self):
        self.note("rt")
        self.document.write_text("Text.\n")
        self.assert_fails(self.run_script("tested", "--write"), "has no marks")
        self.assertEqual(self.document.read_text(), "Text.\n")

    def stubbed_check(self, **parts):
        """scripts/check, whose parts only print what they are given; core runs in the sandbox."""
        names = "core", "stock_tests", "long_tests", "vng_tests", "packaged_tests", "debug_tests"
        stubs = "".join(f"{name}() {{ printf '%s' '{parts.get(name, '')}'; }}\n" for name in names)
        check = (self.scripts / "check").read_text()
        at = check.index("# all_parts:")
        (self.scripts / "check").write_text(check[:at] + stubs + check[at:])
        (self.scripts / "sandbox").write_text("#!/bin/sh\n:\n")

    def test_a_failed_run_says_what_to_do(self):
        self.stubbed_check(stock_tests="ok 1 a\n# why\nnot ok 2 b\nok 3 c # SKIP d\n")
        result = self.run_script("check", "stock")
        self.assertEqual((result.returncode, result.stderr), (1, ""), result.stdout)
        last = result.stdout.splitlines()[-5:]
        self.assertEqual(last[:3], ["# failed, of all above:", "# why", "# not ok 2 b"])
        self.assertIn("is in build/check. A kselftest alone: make vm CMD='tools/", last[3])
        self.assertEqual(last[4], "1 passed, 1 failed, 1 skipped")

    def test_a_good_run_ends_with_its_counts(self):
        self.stubbed_check(stock_tests="ok 1 a\nok 2 b # 3 s\n")
        result = self.run_script("check", "stock")
        self.assert_ok(result)
        self.assertEqual(result.stdout.splitlines()[-2:], ["ok 2 b # 3 s", "2 passed, 0 failed, 0 skipped"])

    def test_each_part_has_its_turn_to_be_first(self):
        self.stubbed_check()
        firsts = set()
        for commits in range(7, 13):
            self.stub("git", f"echo {commits}\n")
            said = self.run_script("check", "--all").stdout
            parts = [line[2:] for line in said.splitlines() if line.startswith("# ")]
            self.assertEqual(sorted(parts), [
                "arm64", "cloud", "core", "debug", "long", "older", "rt", "rt-arm64", "stock", "vng"])
            self.assertEqual(parts[:4], ["core", "stock", "long", "vng"])
            firsts.add(parts[4])
        self.assertEqual(firsts, {"arm64", "cloud", "debug", "older", "rt", "rt-arm64"})
