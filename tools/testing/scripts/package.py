# SPDX-License-Identifier: GPL-2.0
"""scripts/package, with a stub for the system that it builds in."""

import shutil

from weather import BadWeather

# It builds an empty package. The files `broken` and `complaint` make the steps fail.
SANDBOX = """#!/bin/sh
echo "$*" >>{top}/entered
case "$*" in
	*dpkg-buildpackage*)
		echo "error: no such crate"
		[ ! -e {top}/broken ] || exit 2
		: >{top}/tree/build/package/vmapcache-dkms_1_all.deb ;;
	*lintian*)
		echo "E: vmapcache-dkms: no-copyright-file"
		[ ! -e {top}/complaint ] ;;
esac
"""


class Package(BadWeather):
    def setUp(self):
        super().setUp()
        self.tree = self.top / "tree"
        for name in "debian", "include", "rust", "tools/vmapcache":
            (self.tree / name).mkdir(parents=True)
        for name in "Kbuild", "VERSION", "CHANGELOG.md", "COPYING":
            (self.tree / name).touch()
        (self.scripts / "sandbox").write_text(SANDBOX.format(top=self.top))
        self.stub("mmdebstrap", 'for last; do :; done\n: >"$last/whole"')
        self.package = f"{self.tree}/build/package/vmapcache-dkms_1_all.deb\n"

    def test_a_fresh_tree(self):
        result = self.run_script("package")
        self.assert_ok(result)
        self.assertEqual(result.stdout, self.package)
        # Another tree: the system is there, so nothing has made the folder build.
        shutil.rmtree(self.tree / "build")
        self.stub("mmdebstrap", "exit 1")
        result = self.run_script("package")
        self.assert_ok(result)
        self.assertEqual(result.stdout, self.package)

    def test_a_step_that_fails_names_no_package(self):
        for file, said in ("broken", "no such crate"), ("complaint", "no-copyright-file"):
            with self.subTest(file):
                (self.top / file).touch()
                result = self.run_script("package")
                self.assert_fails(result, said)
                self.assertEqual(result.stdout, "")
                (self.top / file).unlink()

    def test_the_bare_system_needs_no_build(self):
        result = self.run_script("package", "--system")
        self.assert_ok(result)
        self.assertRegex(result.stdout, rf"^{self.cache}/bare-trixie-\w+\n$")
        self.assertNotIn("--enter", (self.top / "entered").read_text())
