# SPDX-License-Identifier: GPL-2.0
"""scripts/check-orders on a small source and an object that a compiler could have made of it."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

from weather import SCRIPTS

# A line of Rust, the method behind it, and instructions with the order and without.
RUST = [
    ("x.load(Acquire)", "load", "ldar w1, [x0]", "ldr w1, [x0]"),
    ("x.load(Acquire)", "load", "ldapr w1, [x0]", "ldr w1, [x0, #8]"),
    ("x.load(SeqCst)", "load", "ldar x1, [x0]", "ldr x1, [x0]"),
    ("x.store(1, Release)", "store", "stlr w1, [x0]", "str w1, [x0]"),
    ("x.swap(1, AcqRel)", "swap", "1: ldaxr w1, [x0]\\n stlxr w2, w3, [x0]\\n cbnz w2, 1b",
     "1: ldaxr w1, [x0]\\n stxr w2, w3, [x0]\\n cbnz w2, 1b"),
    ("x.swap(1, AcqRel)", "swap", "swpal w1, w2, [x0]", "swpl w1, w2, [x0]"),
    ("x.fetch_add(1, Release)", "xadd", "ldaddl w1, w2, [x0]", "ldadd w1, w2, [x0]"),
    ("x.compare_exchange(1, 2, Acquire, Relaxed)", "compare_exchange", "casa w1, w2, [x0]", "casl w1, w2, [x0]"),
    ("fence(Acquire)", "fence", "dmb ishld", "dmb ishst"),
    ("fence(Release)", "fence", "dmb ish", "dmb ishld"),
    ("fence(SeqCst)", "fence", "dmb ish", "dmb ishld"),
]
C = [
    ("smp_load_acquire(&word)", "ldar w1, [x0]", "ldr w1, [x0]"),
    ("smp_store_release(&word, 1)", "stlr w1, [x0]", "str w1, [x0]"),
    ("atomic_fetch_add_release(1, &word)", "ldaddl w1, w2, [x0]", "ldadda w1, w2, [x0]"),
]
TEXT = """
namespace core {{ namespace sync {{ namespace atomic {{
{operations}
}}}}}}
{functions}
"""
INLINE = "static inline __attribute__((always_inline))"
OPERATION = f'struct T{{at}} {{{{}}}}; {INLINE} void atomic_{{method}}(T{{at}}) {{{{ asm volatile("{{code}}"); }}}}'


class Orders(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = pathlib.Path(folder.name)
        self.built = self.top / "built"
        for place in ("scripts", "rust/va", "rust/pages", "built/rust/pages"):
            (self.top / place).mkdir(parents=True)
        for name in ("check-orders", "object_code.py"):
            shutil.copy(SCRIPTS / name, self.top / "scripts")
        # Fewer would look like a source that was not understood.
        self.rust = [line[:3] for line in RUST] + [RUST[0][:3]] * 50
        self.c = [line[:2] for line in C]

    def compiled(self, text, name):
        subprocess.run(["clang++", "--target=aarch64-linux-gnu", "-march=armv8.3-a+lse", "-O2", "-g", "-c", "-x", "c++",
                        "-o", self.built / name, "-"], input=text, text=True, check=True)

    def lines(self, file, codes):
        """Code at the lines of a source."""
        return "".join(f'#line {at} "{self.top}/rust/{file}"\n{code}\n' for at, code in codes)

    def check(self, more=""):
        """What check-orders says of an object with these instructions; more is C++ behind it."""
        (self.top / "rust/va/a.rs").write_text("".join(f"{source};\n" for source, _, _ in self.rust))
        operations = "\n".join(OPERATION.format(at=at, method=method, code=code)
                               for at, (_, method, code) in enumerate(self.rust, 1))
        calls = [(at, f"core::sync::atomic::atomic_{method}(core::sync::atomic::T{at}());")
                 for at, (_, method, code) in enumerate(self.rust, 1) if code]
        function = f"void all() {{\n{self.lines('va/a.rs', calls)}}}\n"
        self.compiled(TEXT.format(operations=operations, functions=function + more), "rust/vmapcache.o")

        (self.top / "rust/pages/c.c").write_text("".join(f"{source};\n" for source, _ in self.c))
        calls = [(at, f'asm volatile("{code}");') for at, (_, code) in enumerate(self.c, 1) if code]
        self.compiled(f"void in_c() {{\n{self.lines('pages/c.c', calls)}}}\n", "rust/pages/c.o")
        (self.built / "vmapcache.mod").write_text("rust/vmapcache.o\nrust/pages/c.o\n")
        return subprocess.run([self.top / "scripts/check-orders", self.built], text=True, capture_output=True,
                              timeout=60, check=False)

    def assert_complains(self, result, *words):
        self.assertEqual((result.returncode, result.stderr), (1, ""), result.stdout)
        for word in words:
            self.assertIn(word, result.stdout)
        self.assertEqual(len(result.stdout.splitlines()), 1, result.stdout)

    def test_all_are_there(self):
        result = self.check()
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        self.assertIn(f"{len(self.rust)} acquires and releases in Rust, {len(C)} in C", result.stdout)

    def test_another_instruction(self):
        for at, (source, method, good, bad) in enumerate(RUST):
            with self.subTest(source, bad=bad):
                self.rust[at] = (source, method, bad)
                word = source[:source.index("(")].removeprefix("x.")
                self.assert_complains(self.check(), f"rust/va/a.rs:{at + 1}: {word} (by ", "no ")
                self.rust[at] = (source, method, good)

    def test_another_instruction_in_c(self):
        for at, (source, good, bad) in enumerate(C):
            with self.subTest(source):
                self.c[at] = (source, bad)
                self.assert_complains(self.check(), f"rust/pages/c.c:{at + 1}: ", "no ")
                self.c[at] = (source, good)

    def test_a_plain_access_beside_the_right_one(self):
        for at, more in ((0, "ldr w2, [x0]"), (3, "str w2, [x0]")):
            kept = self.rust[at]
            self.rust[at] = (*kept[:2], f"{kept[2]}\\n {more}")
            self.assert_complains(self.check(), f"rust/va/a.rs:{at + 1}: {kept[1]} (by ", more)
            self.rust[at] = kept
        self.c[0] = (self.c[0][0], self.c[0][1] + "\\n ldr w2, [x0]")
        self.assert_complains(self.check(), "rust/pages/c.c:1: load (by ", "ldr w2, [x0]")

    def test_what_the_stack_holds(self):
        # The compiler moves it to where a register is free, and says that this belongs to the call.
        self.rust[0] = (*self.rust[0][:2], "ldar x1, [x0]\\n ldur x2, [x29, #-48]\\n ldr x2, [sp, #16]")
        self.c[1] = (self.c[1][0], "str x2, [x29]\\n stlr w1, [x0]")
        result = self.check()
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)

    def test_no_instruction(self):
        for at in (0, 3, 8):
            kept = self.rust[at]
            self.rust[at] = (*kept[:2], "")
            self.assert_complains(self.check(), f"rust/va/a.rs:{at + 1}: {kept[1]}: no instruction stands for it")
            self.rust[at] = kept

    def test_two_callers_and_one_lacks_the_fence(self):
        # The same function in two others, or made for two types; beside a load that needs no order.
        self.rust += [("fence(Acquire)", "fence", "dmb ishld"), ("x.load(Relaxed)", "load", "ldr w1, [x0]")]
        at = len(self.rust) - 1
        both = [(at, f"if (fenced) core::sync::atomic::atomic_fence(core::sync::atomic::T{at}());"),
                (at + 1, f"core::sync::atomic::atomic_load(core::sync::atomic::T{at + 1}());")]
        inner = f"template <int N> {INLINE} void inner(int fenced) {{\n{self.lines('va/a.rs', both)}}}\n"
        for other in ("0", "1"):
            for fenced in (1, 0):
                more = f"{inner}#line 1 \"b.rs\"\nvoid has() {{ inner<0>(1); }}\n" \
                       f"void lacks() {{ inner<{other}>({fenced}); }}\n"
                result = self.check(more)
                if fenced:
                    self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
                else:
                    self.assert_complains(result, f"rust/va/a.rs:{at}: fence (by lacks", "no instruction stands for it")

    def test_misread(self):
        self.rust = self.rust[:len(RUST)]
        self.assert_complains(self.check(), "only 11 orders in Rust, 1 files in C: the source is misread")
