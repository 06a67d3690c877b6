# SPDX-License-Identifier: GPL-2.0
"""What scripts/readme-figures writes and finds."""

import json
import re
import runpy

from weather import SCRIPTS, BadWeather

FIGURES = runpy.run_path(str(SCRIPTS / "readme-figures"))
MARKS = "<!-- figures: {} -->\n<!-- end of figures -->\n"


def native(commit, faster=5.0):
    """Data of `make native`, in which vmapcache is so much faster."""
    return [{"title": title, "allocator": side, "runs_ns": [ns] * 7, "run_min_ns": ns * operations,
             "median_ns": ns * operations, "ground": "native", "machine": "a machine", "cpus": 2,
             "virtualisation": "kvm", "commit": commit, "locks_per_1000": {"8": locks}}
            for title, operations in ([(title, operations) for title, _, operations in FIGURES["NATIVE"]]
                                      + [(title, 1) for title, _ in FIGURES["REPLAYS"]])
            for side, ns, locks in (("in-tree", 100.0, 4989.1), ("vmapcache", 100.0 / faster, 17.2))]


def bench(commit):
    """Data of `make bench`: each cell once more with an idea turned off, and once not counted."""
    return [{"scenario": scenario, "pages": pages, "pages_min": pages, "threads": 1, "align": 1, "live": 0,
             "allocator": side, "instructions": instructions, "switches": {"magazines": on},
             "ground": "emulated", "machine": "QEMU", "cpus": 1, "virtualisation": "emulation",
             "kernel": "7.3.4", "commit": commit}
            for scenario, pages, _ in FIGURES["BENCH"]
            for side, instructions, on in (("in-tree", 2000.0, True), ("vmapcache", 300.0, True),
                                           ("vmapcache", 900.0, False), ("vmapcache", None, True))]


class Figures(BadWeather):
    """readme-figures on a README of two blocks."""

    def setUp(self):
        super().setUp()
        self.readme = self.top / "README.md"
        self.data("native", native("abcdef0"))
        self.data("bench", bench("abcdef1"))
        self.readme.write_text("Text.\n" + "".join(map(MARKS.format, ("native", "replays", "bench"))) + "More.\n")

    def data(self, name, records):
        (self.top / f"{name}.json").write_text(json.dumps(records))

    def figures(self, *words):
        return self.run_script("readme-figures", "--file", str(self.readme),
                               *(f"--{name}={self.top}/{name}.json" for name in ("native", "bench")), *words)

    def broken(self, old, new, words):
        """--check of README with `old` replaced complains in these words."""
        self.assert_ok(self.figures())
        text = self.readme.read_text()
        self.assertIn(old, text)
        self.readme.write_text(text.replace(old, new, 1))
        self.assert_fails(self.figures("--check"), words)

    def test_what_is_written_passes_the_check(self):
        self.assert_fails(self.figures("--check"), "no line that names ground")
        self.assert_ok(self.figures())
        self.assert_ok(self.figures("--check"))
        text = self.readme.read_text()
        self.assertIn("| 1 page | 100 | 20.0 | 5.00 | 5.00 |\n", text)
        self.assertIn("| addresses alone, 1 page | 2,000 | 300 | 6.67 |\n", text)
        self.assertIn("| a boot | 100 | 20.0 | 5.00 | 5.00 |\n", text)
        recorded = (SCRIPTS.parent / "tools/vmapcache/recorded").glob("*.rec")
        self.assertEqual({title for title, _ in FIGURES["REPLAYS"]}, {f"replay: {path.stem}" for path in recorded})
        self.assertIn("Ground: native (a machine, 2 CPUs, a virtual machine), commit abcdef0.\n", text)
        self.assertIn("4,989 and 17 on 8 CPUs.\n", text)
        self.assertTrue(text.startswith("Text.\n") and text.endswith("More.\n"))

    def test_data_of_another_commit_say_nothing_of_these_figures(self):
        self.assert_ok(self.figures())
        self.data("native", native("abcdef2", faster=6.0))
        self.assert_ok(self.figures("--check"))

    def test_a_figure_that_the_data_do_not_give(self):
        self.broken("| 20.0 | 5.00 |", "| 20.0 | 6.00 |", "figures native: the data of this commit give others")

    def test_without_data_the_form_is_checked(self):
        self.assert_ok(self.figures())
        for name in "native", "bench":
            (self.top / f"{name}.json").unlink()
        before = self.readme.read_text()
        self.assert_ok(self.figures())
        self.assertEqual(self.readme.read_text(), before)
        self.assert_ok(self.figures("--check"))
        self.readme.write_text(re.sub("Ground: emulated.*", "", before))
        self.assert_fails(self.figures("--check"), "figures bench: no line that names ground")

    def test_other_rows(self):
        self.broken("| 1 page | 100", "| one page | 100", "figures native: other rows")
        self.broken("| a boot | 100", "| boots | 100", "figures replays: other rows")

    def test_blocks_that_are_gone_or_there_twice(self):
        self.broken("figures: bench", "figures: native", "['native', 'replays', 'native']; there may be")
        self.readme.write_text("Text.\n" + MARKS.format("bench"))
        self.assert_fails(self.figures("--check"), "the first must be")
        self.readme.write_text("Text.\n" + MARKS.format("native"))
        self.assert_ok(self.figures())
        self.assert_ok(self.figures("--check"))

    def test_figures_between_no_marks(self):
        for figure in "3 ns", "1,000 ms", "five times faster", "12 %", "1.25x", "an hour", "six minutes":
            with self.subTest(figure=figure):
                self.broken("More.", f"It takes {figure} here.", f"a figure between no marks: {figure}:")
                self.readme.write_text(self.readme.read_text().replace(f"It takes {figure} here.", "More."))

    def test_what_is_no_figure(self):
        self.assert_ok(self.figures())
        self.readme.write_text(self.readme.read_text() + "6 GB, in a second boot, `bytes>1M`, 7.3, one VM, 100,000 areas\n")
        self.assert_ok(self.figures("--check"))

    def test_data_that_nobody_else_has(self):
        self.data("native", native("abcdef0-dirty"))
        before = self.readme.read_text()
        self.assert_fails(self.figures(), "which nobody else has")
        self.assertEqual(self.readme.read_text(), before)
