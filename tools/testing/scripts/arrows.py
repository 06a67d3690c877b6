# SPDX-License-Identifier: GPL-2.0
"""scripts/check-arrows on small trees: each has one arrow too many, and must be told so."""

import graphlib
import importlib.util
import pathlib
import subprocess
import tempfile
import unittest
from importlib.machinery import SourceFileLoader

from weather import SCRIPTS

# A tree in which every arrow is allowed.
GOOD = {
    "rust/vmapcache.rs": "mod face;\nuse face::allocator::Allocator;\n",
    "rust/bindings/mod.rs": "macro_rules! export { () => { #[no_mangle] fn f() {} } }\n",
    "rust/bindings/alone.h": "",
    "rust/bindings/bindings.h": '#include "face.h"\n#include "pages.h"\n#include "sys.h"\n',
    "rust/sys/mod.rs": "pub struct Padded;\n",
    "rust/sys/kernel/percpu.rs": "use crate::bindings;\nfn f() { bindings::vc_cpu_enter() }\n",
    "rust/sys/kernel/sys.h": '#include "alone.h"\nunsigned int vc_cpu_enter(void);\n',
    "rust/va/mod.rs": "#![forbid(unsafe_code)]\npub mod area;\nmod alloc;\npub use space::range::GUARD;\n"
                      "use area::index::Index;\n",
    "rust/va/alloc.rs": "use crate::{sys::Padded, va::{space::range, stock::magazine::Local}};\n",
    "rust/va/area/mod.rs": "pub mod index;\n",
    "rust/va/area/index.rs": "use crate::va::GUARD;\n",
    "rust/va/space/mod.rs": "pub mod range;\n",
    "rust/va/space/range.rs": "pub const GUARD: u32 = 1;\n",
    "rust/va/stock/mod.rs": "pub mod magazine;\n",
    "rust/va/stock/magazine.rs": "use crate::va::area::index;\n",
    "rust/pages/mod.rs": "pub mod mapping;\n",
    "rust/pages/mapping.rs": "use kernel::prelude::*;\nuse crate::bindings;\nfn f() { bindings::vc_map() }\n",
    "rust/pages/pages.h": '#include "alone.h"\nint vc_map(void);\n#define VC_RUN 1UL\n',
    "rust/pages/mapping.c": '#include <linux/mm.h>\n#include "pages.h"\n',
    "rust/face/mod.rs": "pub mod allocator;\n",
    "rust/face/allocator.rs": "use crate::{bindings::{self, vc_misuse}, pages::mapping, va::area};\n",
    "rust/face/face.h": '#include "alone.h"\nenum vc_misuse { VC_MISUSE_INNER };\nvoid vc_wait(void);\n',
    "rust/face/exports.c": '#include <vmapcache.h>\n#include "face.h"\n#include "pages.h"\n',
    "rust/face/files/directory.rs": "use crate::bindings;\n",
    "rust/bench/vmapcache_bench.rs": '#[path = "../face/files/directory.rs"] mod directory;\nmod line;\n',
    "rust/bench/line.rs": "use crate::directory;\n",
    "rust/bench/side.c": "#include <vmapcache.h>\n",
    "include/vmapcache.h": "",
}


class Arrows(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = pathlib.Path(folder.name)
        for name, text in GOOD.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def check(self):
        return subprocess.run([SCRIPTS / "check-arrows", self.tree], text=True, timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True)

    def refused(self, name, line, words):
        """With one more line at the end of a file, that line is named, and nothing else."""
        before = GOOD.get(name, "")
        self.write(name, before + line + "\n")
        result = self.check()
        self.assertEqual(result.returncode, 1, line)
        place = f"{name}:{before.count(chr(10)) + 1}: "
        for said in result.stdout.splitlines():
            self.assertTrue(said.startswith(place), said)
        self.assertIn(words, result.stdout)
        self.write(name, before)

    def allowed(self, name, line):
        before = GOOD.get(name, "")
        self.write(name, before + line + "\n")
        result = self.check()
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        self.write(name, before)

    def test_good_tree(self):
        result = self.check()
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        self.assertRegex(result.stdout, r"^1\d arrows between rooms, all allowed\n$")

    def test_rooms_in_rust(self):
        for name, line, words in (
                ("rust/va/alloc.rs", "use crate::pages::mapping;", "va may not use pages"),
                ("rust/va/alloc.rs", "use crate::{\n    face::{allocator::{self, X}},\n};", "va may not use face"),
                ("rust/va/alloc.rs", "fn f() { crate::face::allocator::f() }", "va may not use face"),
                ("rust/va/area/index.rs", "use super::super::super::face::allocator;", "va may not use face"),
                ("rust/pages/mapping.rs", "use crate::va::area::index::Index;", "pages may not use va"),
                ("rust/pages/mapping.rs", "use crate::face::allocator;", "pages may not use face"),
                ("rust/sys/mod.rs", "use crate::va::GUARD;", "sys may not use va"),
                ("rust/sys/kernel/percpu.rs", "use crate::pages::mapping;", "sys may not use pages"),
                ("rust/bindings/mod.rs", "use crate::sys::Padded;", "bindings may not use sys")):
            with self.subTest(line, name=name):
                self.refused(name, line, words)

    def test_path_attribute(self):
        self.refused("rust/sys/mod.rs", '#[path = "../pages/mapping.rs"] mod mapping;', "sys may not use pages")
        self.allowed("rust/sys/mod.rs", '#[path = "kernel/percpu.rs"] mod percpu;')

    def test_names_of_the_border(self):
        for name, line, words in (
                ("rust/pages/mapping.rs", "fn g() { bindings::vc_wait() }", "pages may not use face"),
                ("rust/pages/mapping.rs", "use crate::bindings::{vc_map, vc_misuse};", "pages may not use face"),
                ("rust/sys/kernel/percpu.rs", "const R: usize = bindings::VC_RUN;", "sys may not use pages")):
            with self.subTest(line, name=name):
                self.refused(name, line, words)
        self.allowed("rust/face/allocator.rs", "fn g() { bindings::vc_map() }")

    def test_rooms_in_c(self):
        for name, line, words in (
                ("rust/pages/mapping.c", '#include "face.h"', "pages may not use face"),
                ("rust/pages/mapping.c", "#include <vmapcache.h>", "pages may not use include"),
                ("rust/sys/kernel/sys.h", '# include "pages.h"', "sys may not use pages")):
            with self.subTest(line, name=name):
                self.refused(name, line, words)

    def test_laboratory(self):
        for name, line, words in (
                ("rust/bench/line.rs", '#[path = "../face/allocator.rs"] mod allocator;', "bench may not use face"),
                ("rust/bench/side.c", '#include "face.h"', "bench may not use face"),
                ("rust/face/allocator.rs", "use crate::bench::line;", "face may not use bench")):
            with self.subTest(line, name=name):
                self.refused(name, line, words)

    def test_no_circles(self):
        loader = SourceFileLoader("check_arrows", str(SCRIPTS / "check-arrows"))
        check = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
        loader.exec_module(check)
        for table in check.ROOMS, check.INSIDE_VA:
            graphlib.TopologicalSorter(table).prepare()
            self.assertEqual(set().union(*table.values()) - set(table), set())

    def test_inside_va(self):
        for name, line, words in (
                ("rust/va/space/range.rs", "use crate::va::area::index;", "va/space may not use va/area"),
                ("rust/va/area/index.rs", "use crate::va::stock::magazine;", "va/area may not use va/stock"),
                ("rust/va/stock/magazine.rs", "use crate::va::alloc::f;", "va/stock may not use va/mod.rs"),
                ("rust/va/stock/magazine.rs", "use crate::va::Manager;", "va/stock may not use va/mod.rs")):
            with self.subTest(line, name=name):
                self.refused(name, line, words)

    def test_what_va_must_not_name(self):
        self.refused("rust/va/alloc.rs", "use kernel::prelude::*;", "the kernel crate")
        self.refused("rust/va/alloc.rs", "fn f() { kernel::pr_info!(); }", "the kernel crate")
        self.refused("rust/va/alloc.rs", "#[cfg(not(MODULE))]", "may not ask for MODULE")
        self.refused("rust/va/alloc.rs", "const X: bool = cfg!(CONFIG_NUMA);", "may not ask for CONFIG_NUMA")

    def test_unsafe_in_va(self):
        self.write("rust/va/mod.rs", GOOD["rust/va/mod.rs"].replace("forbid", "deny"))
        result = self.check()
        self.assertEqual(result.returncode, 1)
        self.assertIn("rust/va/mod.rs:1: va must say #![forbid(unsafe_code)]", result.stdout)

    def test_exports_are_compared(self):
        self.refused("rust/face/allocator.rs", "#[no_mangle] extern \"C\" fn f() {}", "no_mangle")

    def test_words_are_no_arrows(self):
        for line in ("// use crate::face::allocator;", "/* crate::pages::mapping */",
                     '/// [`crate::face::allocator`]', 'const S: &str = "crate::pages::mapping";'):
            self.allowed("rust/va/alloc.rs", line)
        self.allowed("rust/pages/mapping.c", '/* #include "face.h" */')
