# SPDX-License-Identifier: GPL-2.0
"""What scripts/check-keys finds."""

import shutil

from weather import SCRIPTS, BadWeather


class Keys(BadWeather):
    """check-keys in a tree where the code and its document say different things."""

    CODE = "rust/va/stats.rs"
    SWITCHES = "rust/va/switches.rs"
    LABORATORY = "rust/bench/line.rs"
    TOOL = "tools/vmapcache/src/matrix.rs"
    MANUAL = "Documentation/bench.rst"
    ABI = "Documentation/ABI/testing/debugfs-vmapcache"

    def setUp(self):
        super().setUp()
        for name in (self.CODE, self.SWITCHES, self.LABORATORY, self.TOOL, self.MANUAL, self.ABI):
            file = self.top / "tree" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(SCRIPTS.parent / name, file)

    def replace(self, name, old, new):
        file = self.top / "tree" / name
        self.assertEqual(file.read_text().count(old), 1, old)
        file.write_text(file.read_text().replace(old, new))

    def complains(self, *words):
        result = self.run_script("check-keys")
        self.assertEqual(result.returncode, 1, result.stdout)
        for word in words:
            self.assertIn(word, result.stdout)

    def agrees(self):
        result = self.run_script("check-keys")
        self.assertEqual((result.returncode, result.stdout), (0, ""))

    def test_real_tree_agrees(self):
        self.agrees()

    def test_counter_that_is_not_documented(self):
        self.replace(self.CODE, "        purges: Number,",
                     "        purges: Number,\n        /// Coins.\n        pennies: Number,")
        self.complains("stats lacks pennies")
        self.assertEqual(self.run_script("check-keys", "--write").returncode, 0)
        self.agrees()
        self.assertIn("\t\tpennies\t", (self.top / "tree" / self.ABI).read_text())

    def test_key_that_nobody_counts(self):
        self.replace(self.ABI, "\t\tpurges\t\t\t\tPurges", "\t\tpennies\t\t\t\tPurges")
        self.complains("stats lacks purges", "stats has no pennies")

    def test_another_meaning(self):
        self.replace(self.ABI, "Purges of any size.", "Purges of large size.")
        self.complains("says something else")

    def test_table_that_cannot_be_read(self):
        self.replace(self.CODE, "\ncounters! {", "\nothers! {")
        self.assertNotEqual(self.run_script("check-keys").returncode, 0)

    def test_switch_that_nobody_else_knows(self):
        self.replace(self.SWITCHES, "            InfoCache: info_cache = true,",
                     "            InfoCache: info_cache = true,\n"
                     "            /// Light in the hall.\n            Hall: hall_light = false,")
        self.complains("switches/ lacks hall_light",
                       *(f"{file}: lacks the switch hall_light"
                         for file in (self.LABORATORY, self.TOOL, self.MANUAL)))
        self.assertEqual(self.run_script("check-keys", "--write").returncode, 0)
        self.assertIn("Light in the hall. Default 0.",
                      (self.top / "tree" / self.ABI).read_text())

    def test_switch_that_is_gone(self):
        self.replace(self.SWITCHES, "LookupCache: lookup_cache", "LookupCache: other_cache")
        self.complains("switches/ has no lookup_cache",
                       *(f"{file}: there is no switch lookup_cache"
                         for file in (self.LABORATORY, self.TOOL, self.MANUAL)))
