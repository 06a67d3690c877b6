# SPDX-License-Identifier: GPL-2.0
"""scripts/check-calls on small objects of both processors: each has one fault, and must be told so."""

import pathlib
import subprocess
import tempfile
import unittest

from weather import SCRIPTS

X86 = """
    .globl {name}
    .type {name}, @function
{name}:
    {code}
    ret
"""
X86_KEYS = """
    .globl __SCT__vc_one, __SCK__vc_one
__SCT__vc_one: ret
    .data
__SCK__vc_one: .quad 0
    .text
"""
ARM64 = """
    .globl {name}
    .type {name}, %function
{name}:
    {code}
    ret
"""
ARM64_KEYS = """
    .data
    .globl __SCK__vc_one
__SCK__vc_one: .quad 0
    .text
"""
ARM64_CALL = "adrp x0, __SCK__vc_one\n ldr x0, [x0, :lo12:__SCK__vc_one]\n blr x0"


class Calls(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def assembled(self, triple, text, file):
        """One object."""
        file.parent.mkdir(exist_ok=True)
        subprocess.run(["llvm-mc", f"--triple={triple}", "-filetype=obj", "-o", file, "-"],
                       input=text, text=True, check=True)

    def module(self, name, triple, keys, rust, c):
        """The objects of a module as kbuild leaves them."""
        from_rust = {"vmapcache": "rust/vmapcache.o", "vmapcache_bench": "rust/bench/vmapcache_bench.o"}[name]
        from_c = f"c/{name}.o"
        (self.folder / "rust/bench").mkdir(parents=True, exist_ok=True)
        self.assembled(triple, rust, self.folder / from_rust)
        self.assembled(triple, keys + c, self.folder / from_c)
        (self.folder / f"{name}.mod").write_text(f"{from_rust}\n{from_c}\n")
        subprocess.run(["ld.lld", "-r", "-o", f"{name}.o", from_rust, from_c], cwd=self.folder, check=True)

    def check(self, triple, keys, rust, c, good):
        """What check-calls says about a module that is made of these, beside a laboratory without a fault."""
        self.module("vmapcache", triple, keys, rust, c)
        self.module("vmapcache_bench", triple, keys, "", good)
        return subprocess.run([SCRIPTS / "check-calls", self.folder], text=True, capture_output=True,
                              timeout=60, check=False)

    def x86(self, *code, rust="nop", name="one", call="call __SCT__vc_one"):
        good = X86.format(name="good", code="call __SCT__vc_one")
        return self.check("x86_64-linux-gnu", X86_KEYS, X86.format(name="of_rust", code=rust),
                          X86.format(name=name, code="\n".join((*code, call))), good)

    def arm64(self, *code, rust="nop", name="one", more="", call=ARM64_CALL):
        good = ARM64.format(name="good", code=ARM64_CALL)
        return self.check("aarch64-linux-gnu", ARM64_KEYS, ARM64.format(name="of_rust", code=rust),
                          ARM64.format(name=name, code="\n".join((*code, call))) + more, good)

    def assert_good(self, result):
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        self.assertIn("vmapcache: 1 kernel symbols, all called as they must be", result.stdout)

    def assert_complains(self, result, words):
        self.assertEqual((result.returncode, result.stderr), (1, ""), result.stdout)
        self.assertEqual(len(result.stdout.splitlines()), 1, result.stdout)
        self.assertIn(words, result.stdout)

    def test_x86_without_a_fault(self):
        self.assert_good(self.x86())
        self.assert_good(self.x86(rust="call *%rax"))
        for code in ("lea __SCK__vc_one(%rip), %rdi", "mov $__SCK__vc_one, %rdi", "call *pv_ops(%rip)"):
            self.assert_good(self.x86(code))
        for name in ("file_show", "__traceiter_vmapcache_purge"):
            self.assert_good(self.x86("call *%rax", name=name))

    def test_x86_indirect(self):
        for code in ("call *%rax", "jmp *%rax", "call *8(%rax)", "notrack jmp *(%rax,%rcx,8)",
                     "call __x86_indirect_thunk_rax", "jmp __x86_indirect_thunk_r11"):
            with self.subTest(code):
                self.assert_complains(self.x86(code), "an indirect call")

    def test_x86_key(self):
        said = "uses what is in __SCK__vc_one"
        for code in ("mov __SCK__vc_one(%rip), %rax", "cmpq $0, __SCK__vc_one(%rip)"):
            with self.subTest(code):
                self.assert_complains(self.x86(code), said)
                self.assert_complains(self.x86(rust=code), said)
        self.assert_complains(self.x86(rust="call *__SCK__vc_one(%rip)"), said)

    def test_x86_never_called(self):
        self.assert_complains(self.x86(call="nop"), "__SCT__vc_one is never called in vmapcache")

    def test_arm64_without_a_fault(self):
        stored = "adrp x9, __SCK__vc_one\n add x9, x9, :lo12:__SCK__vc_one\n str x1, [x9]"
        kept = "str x0, [sp, #16]\n bl other\n ldr x1, [sp, #16]\n blr x1"
        self.assert_good(self.arm64())
        self.assert_good(self.arm64(rust="blr x3"))
        self.assert_good(self.arm64("blr x3", name="vc_visit"))
        self.assert_good(self.arm64(stored))
        for code in ("br x0", kept, "cbz x0, 1f\n blr x0\n1:"):
            self.assert_good(self.arm64(call=ARM64_CALL.replace("blr x0", code)))

    def test_arm64_indirect(self):
        for code in ("blr x3", "br x3", "ldr x3, [x4]\n blr x3", "cbz x1, 1f\n mov x3, x2\n1: blr x3"):
            with self.subTest(code):
                self.assert_complains(self.arm64(code), "an indirect call, and not of a key")

    def test_arm64_lost_on_the_way(self):
        # The register that has the key is another one's by then, on one of two ways at least.
        for between in ("bl other", "mov x0, x5", "cbz x1, 1f\n add x0, x0, #8\n1:", "ldp x0, x1, [x2]"):
            with self.subTest(between):
                result = self.arm64(ARM64_CALL.replace("blr x0", f"{between}\n blr x0"))
                self.assert_complains(result, "an indirect call, and not of a key")
        kept, lost = (f"mov {x}, x0\n bl other\n blr {x}" for x in ("x19", "x9"))
        self.assert_good(self.arm64(ARM64_CALL.replace("blr x0", kept)))
        self.assert_complains(self.arm64(ARM64_CALL.replace("blr x0", lost)), "an indirect call, and not of a key")

    def test_arm64_key(self):
        for code in ("str x0, [x7]", "stp x5, x0, [x7, #16]", "mov x4, x0\n str x4, [x7], #8"):
            with self.subTest(code):
                self.assert_complains(self.arm64(ARM64_CALL.replace("blr x0", code)), "stores what is in __SCK__vc_one")

    def test_arm64_never_called(self):
        self.assert_complains(self.arm64(call="nop"), "__SCK__vc_one is never called in vmapcache")

    def test_arm64_hooks(self):
        entry = "\n.globl vc_entry_of_one\n.type vc_entry_of_one, %function\nvc_entry_of_one:\n{}\n"
        jump = ARM64_CALL.replace("blr", "br")
        self.assert_good(self.arm64(call=jump, more=entry.format("bti c\n mov x30, x9\n b one")))
        self.assert_good(self.arm64("bl begin", more=entry.format("bti c\n mov x30, x9\n b one") + "begin: ret\n"))
        for code in ("mov x30, x9\n b one", "bti c\n b one", "bti c\n mov x30, x9\n b good",
                     "bti c\n mov x30, x9\n bl one"):
            with self.subTest(code):
                self.assert_complains(self.arm64(call=jump, more=entry.format(code)),
                                      "no landing pad that goes on in one")
        self.assert_complains(self.arm64(more=entry.format("bti c\n mov x30, x9\n b one")),
                              "a hook that does not count its task calls, where it must jump")
