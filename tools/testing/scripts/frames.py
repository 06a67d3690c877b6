# SPDX-License-Identifier: GPL-2.0
"""What scripts/check-frames reads from object code."""

import pathlib
import re
import subprocess
import tempfile
import unittest

from weather import SCRIPTS

C = """
void use(void *);

void none(void) { }
void small(void) { char text[100]; use(text); }
void limit(void) { char text[2000]; use(text); }
void large(void) { char text[2100]; use(text); }
/* The frame is made in one arm alone, which a compiler may put behind the other's return. */
void arm(int large) { if (large) { char text[3000]; use(text); } }
void huge(void) { char text[200000]; use(text); }
void some(unsigned long n) { char text[n]; use(text); }
"""
EXACT = """
asm(".globl exact\\n.type exact, @function\\nexact: push %rbx\\n push %rbp\\n sub $3000, %rsp\\n"
    "add $3000, %rsp\\n pop %rbp\\n pop %rbx\\n ret");
"""
RUST = """
#![no_std]
#[no_mangle] pub fn pages(f: fn(&mut [u8; 9000])) { f(&mut [1; 9000]) }
#[no_mangle] pub fn many(f: fn(&mut [u8; 200000])) { f(&mut [1; 200000]) }
"""


class Frames(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def compiled(self, text, *command):
        source = self.folder / ("a.c" if command[0] == "gcc" else "a.rs")
        source.write_text(text)
        subprocess.run([*command, "-o", self.folder / "a.o", source], check=True)
        return self.folder / "a.o"

    def c(self, *options, text=C):
        return self.compiled(text, "gcc", "-O2", "-c", *options)

    def rust(self):
        return self.compiled(RUST, "rustc", "-O", "--crate-type", "lib", "--emit", "obj", "-C", "panic=abort")

    def check(self, *arguments):
        return subprocess.run([SCRIPTS / "check-frames", *arguments], text=True, capture_output=True,
                              timeout=60, check=False)

    def found(self, file):
        """The frames that are too large, by function; None where nobody knows."""
        result = self.check(file)
        self.assertEqual((result.returncode, result.stderr), (1, ""), result.stdout)
        return {name: int(size.replace(",", "")) if size else None for name, size in
                re.findall(r"^a\.o: (\w+): (?:([\d,]+) bytes|.*nobody)", result.stdout, re.M)}

    def assert_frames(self, found, least):
        self.assertEqual(set(found), set(least))
        for name, bytes_at_least in least.items():
            if bytes_at_least is None:
                self.assertIsNone(found[name], name)
            else:
                # Saved registers, and what keeps the stack aligned.
                self.assertLess(found[name] - bytes_at_least, 100, name)
                self.assertGreaterEqual(found[name], bytes_at_least, name)

    def test_c(self):
        least = {"large": 2100, "arm": 3000, "huge": 200000, "some": None}
        for options in ([], ["-fstack-clash-protection"], ["-fno-omit-frame-pointer"], ["-m64", "-O0"],
                        ["-fstack-clash-protection", "-fno-omit-frame-pointer"]):
            with self.subTest(options):
                self.assert_frames(self.found(self.c(*options)), least)

    def test_saved_registers_and_return_address(self):
        self.assertEqual(self.found(self.c(text=EXACT)), {"exact": 8 + 2 * 8 + 3000})

    def test_rust_touches_each_page(self):
        self.assert_frames(self.found(self.rust()), {"pages": 9000, "many": 200000})

    def test_all_small(self):
        result = self.check(self.c(text="void use(void *); void f(void) { char text[100]; use(text); }"))
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r"^1 functions, the largest frame is 1\d\d bytes\n$")

    def test_modules_of_a_folder_without_those_in_faults(self):
        small = self.c(text="void use(void *); void f(void) { char text[100]; use(text); }")
        (self.folder / "samples").mkdir()
        (self.folder / "faults").mkdir()
        module = small.rename(self.folder / "samples/small.ko")
        large = self.c().rename(self.folder / "faults/large.ko")
        result = self.check(self.folder)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        # Each is looked at if it is named, or where it is not below faults/.
        self.assertEqual(self.check(large).returncode, 1)
        large.rename(module)
        self.assertEqual(self.check(self.folder).returncode, 1)

    def test_nothing_to_look_at(self):
        for what in (self.folder, self.c(text="int number = 1;")):
            result = self.check(what)
            self.assertEqual((result.returncode, result.stderr), (1, ""))
            self.assertIn("no function in", result.stdout)
        self.assertNotEqual(self.check(self.folder / "no-such.o").returncode, 0)
