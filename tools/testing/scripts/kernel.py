# SPDX-License-Identifier: GPL-2.0
"""scripts/kernel."""

import pathlib
import re
import shutil
import signal
import subprocess

from weather import NO_NETWORK, BadWeather

APT_GET = """
for word; do
	case $word in
		linux-*=*) cp "$DEBS/${word%%=*}.deb" . || exit 100 ;;
	esac
done
"""
APT_CACHE = """
cat "$DEBS/available"
"""
# The source's Makefile: the targets that the script calls in the kernel's.
KERNEL_MAKEFILE = """
olddefconfig:
	grep -q RUST=y $(O)/.config
modules_prepare:
	mkdir -p $(O)/rust
	printf 'export KBUILD_OUTPUT = $(O)\\nmodules:\\n\\t@outside "$$(M)" "$$(MO)" "$$(KBUILD_EXTRA_SYMBOLS)"\\n' \\
		>$(O)/Makefile
	echo metadata >$(O)/rust/libkernel.rmeta
tinyconfig:
	echo '# CONFIG_INET is not set' >$(O)/.config
vmlinux:
	mkdir -p $(O)/include/config
	echo 9.9.1 >$(O)/include/config/kernel.release
	echo image >$(O)/vmlinux
modules:
	printf 'export KBUILD_OUTPUT = .\\nmodules_install:\\n' >$(O)/Makefile
	printf '\\tmkdir -p $$(INSTALL_MOD_PATH)/lib/modules/9.9.1 && ln -s . $$(INSTALL_MOD_PATH)/lib/modules/9.9.1/build\\n' \\
		>>$(O)/Makefile
"""


class Kernel(BadWeather):
    def setUp(self):
        super().setUp()
        self.inside = True
        (self.top / "debs").mkdir()
        self.available = {}
        self.stub("apt-get", APT_GET)
        self.stub("apt-cache", APT_CACHE)
        self.series("9.9", "9.9.1-1")

    def package(self, name, version, files):
        root = self.top / "package"
        for path, content in {**files, "DEBIAN/control":
                              f"Package: {name}\nVersion: {version}\nArchitecture: all\n"
                              "Maintainer: nobody <nobody@localhost>\nDescription: none\n"}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())
        subprocess.run(["dpkg-deb", "-Znone", "--build", root, self.top / f"debs/{name}.deb"],
                       check=True, capture_output=True)
        shutil.rmtree(root)
        self.available[name] = version
        (self.top / "debs/available").write_text("".join(
            f"Package: {name}\nVersion: {version}\n\n"
            for name, version in self.available.items()))

    def series(self, series, version, rust="y", without=()):
        self.flavour(version, "amd64", rust, without)
        tree = self.top / "source"
        (tree / "scripts").mkdir(parents=True)
        (tree / "Makefile").write_text(KERNEL_MAKEFILE)
        (tree / "scripts/extract-vmlinux").write_text('cat "$1"\n')
        source = subprocess.run(["tar", "-cJ", "-C", self.top, "source"], check=True,
                                capture_output=True).stdout
        shutil.rmtree(tree)
        if f"linux-source-{series}".startswith(tuple(without)):
            return
        self.package(f"linux-source-{series}", version, {f"usr/src/linux-source-{series}.tar.xz": source})

    def flavour(self, version, name, rust="y", without=(), lacks=()):
        """The packages of a kernel, without some of them, or without some of its modules."""
        release = version.split("-")[0] + "-" + name
        module = subprocess.run(["xz", "-c"], input=b"module", check=True,
                                capture_output=True).stdout
        packages = {
            f"linux-headers-{release}": {
                f"usr/src/linux-headers-{release}/.config": f"CONFIG_RUST={rust}\n",
                f"usr/src/linux-headers-{release}/Module.symvers": "symbols\n",
                f"usr/src/linux-headers-{release}/vmlinux": "types\n"},
            f"linux-modules-{release}": {
                f"usr/lib/modules/{release}/kernel/fs/{name}.ko.xz": module
                for name in ("netfs", "9pnet", "9pnet_virtio", "9p", "overlay") if name not in lacks},
            f"linux-binary-unsigned-{release}": {
                f"usr/lib/modules/{release}/vmlinuz.unsigned": "image\n"},
        }
        for name, files in packages.items():
            if not name.startswith(tuple(without)):
                self.package(name, version, files)

    def test_is_prepared_and_complete(self):
        result = self.run_script("kernel", "stock")
        self.assert_ok(result)
        folder = pathlib.Path(result.stdout.strip())
        for name in ("vmlinux", "release", "modules/9p.ko", "build/.config",
                     "build/Module.symvers", "build/vmlinux", "build/rust/libkernel.rmeta"):
            self.assertTrue((folder / name).stat().st_size, name)
        self.assertIn("taking Linux 9.9.1-amd64, package version 9.9.1-1", result.stderr)
        self.assertNotIn("unfinished", (folder / "build/Makefile").read_text())

    def test_each_flavour_has_its_own_packages(self):
        (self.scripts / "arm64").write_text(f"#!/bin/sh\necho {self.top}\n")
        (self.top / "environment").write_text("")
        for kind, flavour in (("rt", "rt-amd64"), ("arm64", "arm64"), ("arm64-16k", "arm64-16k"),
                              ("rt-arm64", "rt-arm64")):
            with self.subTest(kind):
                self.assert_fails(self.run_script("kernel", kind), "Linux 9.9.1-1 has no package linux-headers-9.9.1-" + flavour)
                self.flavour("9.9.1-1", flavour)
                # The lists of arm64 were kept.
                for kept in self.cache.glob("*choice-*"):
                    shutil.rmtree(kept)
                result = self.run_script("kernel", kind)
                self.assert_ok(result)
                folder = pathlib.Path(result.stdout.strip())
                self.assertRegex(folder.name, f"^{kind}-9.9.1-1-")
                self.assertEqual((folder / "release").read_text(), f"9.9.1-{flavour}\n")
                self.assertEqual("ARCH=arm64" in (folder / "build/GNUmakefile").read_text(), "arm64" in kind)

    def test_cloud_gets_the_modules_that_it_lacks(self):
        self.flavour("9.9.1-1", "cloud-amd64", lacks=("9pnet", "9pnet_virtio", "9p"))
        self.stub("outside", f"""
echo "${{1#*linux-source-*/}} $3" >>{self.top}/outside
case $1 in
	*/net/9p) echo built >"$2/9pnet.ko"; echo built >"$2/9pnet_virtio.ko" ;;
	*/fs/9p) [ -e {self.top}/broken ] && exit 1; echo built >"$2/9p.ko" ;;
esac
""")
        self.stub("strip", '[ "$1 $2" = "-g -o" ] && sed "s/built/stripped/" "$4" >"$3"')
        # Without one of them, no VM would come up.
        (self.top / "broken").touch()
        self.assert_fails(self.run_script("kernel", "cloud"), "could not make cloud-")
        self.assert_nothing_half()
        (self.top / "broken").unlink()
        (self.top / "outside").unlink()
        result = self.run_script("kernel", "cloud")
        self.assert_ok(result)
        folder = pathlib.Path(result.stdout.strip())
        self.assertRegex(folder.name, "^cloud-9.9.1-1-")
        self.assertEqual(sorted(path.name for path in folder.iterdir()), ["build", "modules", "release", "vmlinux"])
        self.assertEqual((folder / "release").read_text(), "9.9.1-cloud-amd64\n")
        order = (folder / "modules/order").read_text().split()
        self.assertEqual([(name, (folder / f"modules/{name}.ko").read_text().strip()) for name in order], [
            ("netfs", "module"), ("9pnet", "stripped"), ("9pnet_virtio", "stripped"), ("9p", "stripped"),
            ("overlay", "module")])
        self.assertEqual((folder / "build/.config").read_text(), "CONFIG_RUST=y\n")
        built = (self.top / "outside").read_text().splitlines()
        self.assertEqual(built[0], "net/9p ")
        self.assertRegex(built[1], "^fs/9p /.*/net/Module.symvers$")

    def test_each_kernel_is_known_everywhere(self):
        kinds = subprocess.run(["sh", "-c", '. "$0" && echo $packaged $of_our_own; for word in $for_another; do is_kernel '
                                '"$word" || echo "$word"; done; for word in "" kernel "stock rt" "*" ./rt; do ! is_kernel '
                                '"$word" || echo "<$word>"; done', self.scripts / "kinds.sh"],
                               check=True, capture_output=True, text=True).stdout.splitlines()
        self.assertEqual(kinds[1:], [])
        kinds = kinds[0].split()
        self.assertIn("rt-arm64", kinds)
        for script in "kernel", "modules", "vm":
            told = re.split(r"[\s|\[\]]+", self.run_script(script, "--help").stdout)
            self.assertEqual([kind for kind in kinds if kind not in told], [], script)

    def test_drivers(self):
        self.stub("depmod", '[ -e "$2/lib/modules/$3/kernel/fs/9p.ko" ] && : >"$2/lib/modules/$3/modules.dep"')
        result = self.run_script("kernel", "drivers")
        self.assert_ok(result)
        folder = pathlib.Path(result.stdout.strip())
        # Without the kernel itself, its source and the packages.
        self.assertEqual([path.name for path in folder.iterdir()], ["lib"])
        modules = folder / "lib/modules/9.9.1-amd64"
        self.assertTrue((modules / "modules.dep").exists())
        self.assertEqual((modules / "kernel/fs/overlay.ko").read_text(), "module")
        self.assertFalse(any(name.startswith(("stock-", "linux-source-")) for name in self.kept()))

    def test_packed_image(self):
        result = self.run_script("kernel", "packed")
        self.assert_ok(result)
        folder = pathlib.Path(result.stdout.strip())
        self.assertRegex(folder.name, "^packed-9.9.1-1-")
        self.assertEqual([path.name for path in folder.iterdir()], ["vmlinuz"])
        self.assertEqual((folder / "vmlinuz").read_text(), "image\n")
        self.assertFalse(any(name.startswith(("stock-", "linux-source-")) for name in self.kept()))

    def test_drivers_without_a_network(self):
        self.stub("apt-get", f'case "$*" in *linux-modules*) {NO_NETWORK} ;; esac\n{APT_GET}')
        self.assert_fails(self.run_script("kernel", "drivers"), "is the network there?", "could not make drivers-")
        self.assertFalse(any(name.startswith("drivers-") for name in self.kept()))
        self.assert_nothing_half()

    def test_debug_with_drivers(self):
        result = self.run_script("kernel", "debug-drivers")
        self.assert_ok(result)
        folder = pathlib.Path(result.stdout.strip())
        self.assertRegex(folder.name, "^debug-drivers-9.9.1-1-")
        # All of debug.config but what live.config replaces, and all of live.config.
        config = (folder / "build/.config").read_text().splitlines()[1:]
        for option in "CONFIG_KASAN=y", "CONFIG_BTRFS_FS=m", "# CONFIG_IPV6 is not set":
            self.assertIn(option, config)
        self.assertEqual([option for option in config if "CONFIG_INET" in option and "DIAG" not in option],
                         ["CONFIG_INET=y"])
        self.assertEqual(list((folder / "lib/modules/9.9.1").iterdir()), [])
        # It is another kernel than the debug kernel, which has no part of it.
        self.assertNotIn("BTRFS", (pathlib.Path(self.run_script("kernel", "debug").stdout.strip())
                                   / "build/.config").read_text())

    def test_cfi(self):
        result = self.run_script("kernel", "cfi")
        self.assert_ok(result)
        folder = pathlib.Path(result.stdout.strip())
        self.assertRegex(folder.name, "^cfi-9.9.1-1-")
        config = (folder / "build/.config").read_text().splitlines()
        for option in "CONFIG_CFI=y", "CONFIG_LTO_CLANG_THIN=y", "CONFIG_RUST=y", "# CONFIG_KASAN is not set":
            self.assertIn(option, config)
        # What it names and does not set is left out.
        self.assertFalse([option for option in config if re.match("CONFIG_(KASAN|DEBUG_OBJECTS|PROVE)", option)])

    def test_newest_with_all_packages_is_taken(self):
        self.series("9.10", "9.10.4-1", without=["linux-modules"])
        self.series("9.11", "9.11.2-1", without=["linux-headers"])
        self.series("9.12", "9.12.1-1", without=["linux-binary"])
        self.assertIn("stock-9.9.1-1-", self.run_script("kernel").stdout)

    def test_newest_with_rust_is_taken(self):
        self.series("9.10", "9.10.4-1", rust="n")
        self.assertIn("stock-9.9.1-1-", self.run_script("kernel").stdout)

    def test_newest_series_and_a_named_one(self):
        self.series("9.10", "9.10.4-1")
        self.assertIn("stock-9.10.4-1-", self.run_script("kernel").stdout)
        self.assertIn("stock-9.9.1-1-", self.run_script("kernel", "stock", "9.9").stdout)
        self.assert_fails(self.run_script("kernel", "stock", "1.0"),
                          "no kernel with Rust and all its packages in series 1.0")

    def test_no_network(self):
        self.stub("apt-get", NO_NETWORK)
        result = self.run_script("kernel")
        self.assert_fails(result, "is the network there?", "could not make")
        self.assertNotIn("downloading", result.stderr)
        self.assertEqual(self.kept(), [])
        self.assert_nothing_half()

    def test_network_lost_after_the_choice(self):
        for package in "linux-source", "linux-modules":
            with self.subTest(package=package):
                self.stub("apt-get", f'case "$*" in *{package}*) {NO_NETWORK} ;; esac\n{APT_GET}')
                result = self.run_script("kernel")
                self.assert_fails(result, "is the network there?")
                self.assertNotRegex(result.stderr, "(unpacking|preparing) Linux")
                self.assertFalse(any(name.startswith("stock-") for name in self.kept()))
                self.assert_nothing_half()
        self.stub("apt-get", APT_GET)
        self.assert_ok(self.run_script("kernel"))

    def test_damaged_package(self):
        package = self.top / "debs/linux-source-9.9.deb"
        whole = package.read_bytes()
        package.write_bytes(whole[:len(whole) // 2])
        self.assert_fails(self.run_script("kernel"), "could not make linux-source-")
        package.write_bytes(whole)
        self.assert_ok(self.run_script("kernel"))

    def test_image_missing_from_its_package(self):
        self.package("linux-binary-unsigned-9.9.1-amd64", "9.9.1-1", {"usr/none": "none"})
        self.assert_fails(self.run_script("kernel"), "could not make stock-")

    def test_no_space(self):
        result = self.run_script("kernel", within=[
            "unshare", "--mount", "sh", "-c",
            'busybox mount -t tmpfs -o size=1m none "$VMAPCACHE_CACHE" && "$@"', "sh"])
        self.assert_fails(result, "not enough room")

    def test_interrupted(self):
        self.assert_ok(self.run_script("kernel"))
        whole = self.kept()
        steps = [("apt-get", "update"), ("apt-cache", "dumpavail"), ("apt-get", "linux-headers"),
                 ("apt-get", "linux-source"), ("xz", "-T0"), ("apt-get", "linux-modules"),
                 ("make", "modules_prepare"), ("mv", "stock-")]
        for tool, words in steps:
            for number in signal.SIGINT, signal.SIGKILL:
                with self.subTest(step=f"{tool} {words}", signal=number.name):
                    shutil.rmtree(self.cache)
                    self.cache.mkdir()
                    self.hang_once(tool, words)
                    self.interrupt(number, "kernel")
                    self.assertFalse(any(name.startswith("stock-") for name in self.kept()))
                    self.assert_ok(self.run_script("kernel"))
                    self.assertEqual(self.kept(), whole)
                    self.assert_nothing_half()
