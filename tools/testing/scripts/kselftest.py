# SPDX-License-Identifier: GPL-2.0
"""Which kernel kselftest's own `make` builds the modules of the kselftests for."""

import subprocess

from weather import SCRIPTS, BadWeather

# A kernel's build folder, whose modules say where they were built.
KERNEL = """modules:
	echo $(CURDIR) >$(MO)/$(if $(filter %/tree,$(M)),vmapcache,$(notdir $(M))).ko
"""


class Kselftest(BadWeather):
    def setUp(self):
        super().setUp()
        self.modules = self.top / "tree/tools/testing/selftests/vmapcache/modules"
        self.modules.mkdir(parents=True)
        # The two folders of the system are elsewhere.
        text = (SCRIPTS.parent / "tools/testing/selftests/vmapcache/modules/Makefile").read_text()
        self.folders = []
        for folder in "/lib/modules", "/var/cache/vmapcache":
            self.assertEqual(text.count(f" {folder}/") + text.count(f"\t{folder}/"), 1, folder)
            text = text.replace(f"{folder}/", f"{self.top}{folder}/")
            self.folders.append(self.top / folder[1:])
            self.folders[-1].mkdir(parents=True)
        (self.modules / "Makefile").write_text(text)
        self.stub("uname", "echo 9.9.1")

    def kernel(self, folder, crates=True):
        (folder / "rust").mkdir(parents=True)
        (folder / "Makefile").write_text(KERNEL)
        if crates:
            (folder / "rust/libkernel.rmeta").touch()

    def make(self, *words):
        """What it printed, and where vmapcache.ko was built."""
        result = subprocess.run(["make", "-s", *words, "all"], env=self.environment(), cwd=self.modules, text=True,
                                stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        self.assert_ok(result)
        module = self.modules / "vmapcache.ko"
        built = module.read_text().strip() if module.exists() else None
        for file in self.modules.glob("*.ko"):
            file.unlink()
        return result.stdout, built

    def test_the_kernel_is_found(self):
        system, cache = self.folders
        said, built = self.make()
        self.assertEqual(said, "no modules built: no folder for modules in Rust of the kernel 9.9.1 (KDIR=)\n")
        self.assertIsNone(built)
        # Debian's headers, which lack Rust's crates, and what vmapcache-dkms has made of them
        self.kernel(system / "9.9.1/build", crates=False)
        self.assertIsNone(self.make()[1])
        self.kernel(cache / "9.9.1/build")
        self.assertEqual(self.make()[1], f"{cache}/9.9.1/build")
        # The kernel's own comes first.
        (system / "9.9.1/build/rust/libkernel.rmeta").touch()
        self.assertEqual(self.make()[1], f"{system}/9.9.1/build")

    def test_the_named_kernel_is_taken(self):
        self.kernel(self.folders[1] / "9.9.1/build")
        self.kernel(self.top / "own", crates=False)
        self.assertEqual(self.make(f"KDIR={self.top}/own")[1], f"{self.top}/own")
        for none in "none", "":
            said, built = self.make(f"KDIR={none}")
            self.assertIn("no modules built: ", said)
            self.assertIsNone(built)
