# SPDX-License-Identifier: GPL-2.0
"""scripts/vm and scripts/vm-host, with a stub for QEMU."""

import os
import signal
import struct
import subprocess
import time

from weather import BadWeather

QEMU = """
for word; do
	case $word in
		file,id=console,path=*) console=${word##*path=} ;;
		file,id=status,path=*) status=${word##*path=} ;;
	esac
done
echo "the console's last line" >"$console"
"""


class Machine(BadWeather):
    def setUp(self):
        super().setUp()
        # The code that watches a VM needs time to pass.
        (self.stubs / "sleep").unlink()
        self.inside = True
        self.kernel = self.top / "kernel"
        self.kernel.mkdir()
        (self.kernel / "vmlinux").write_text("image")

    def vm(self, *arguments):
        return self.run_script("vm", "--kernel", self.kernel, *arguments, "true")

    def test_status_is_the_commands(self):
        for status in 0, 7, 255:
            self.stub("qemu-system-x86_64", f'{QEMU} echo {status} >"$status"')
            self.assertEqual(self.vm().returncode, status)

    def test_hung_vm_is_ended(self):
        self.stub("qemu-system-x86_64", f"{QEMU} exec /bin/sleep 60")
        began = time.monotonic()
        result = self.vm("--timeout", "1")
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(result.returncode, 124)
        self.assertIn("ended the VM after 1 s", result.stderr)
        self.assertIn("the console's last line", result.stderr)

    def test_vm_that_dies(self):
        for end in "exit 0", "exit 1", "kill -9 $$":
            self.stub("qemu-system-x86_64", f"{QEMU} {end}")
            result = self.vm()
            self.assertEqual(result.returncode, 125)
            self.assertIn("the console's last line", result.stderr)

    def test_stuck_vm_is_booted_once_more(self):
        self.stub("qemu-system-x86_64", f"""{QEMU}
[ -e {self.top}/before ] || {{ : >{self.top}/before; exec /bin/sleep 60; }}
echo 0 >"$status\"""")
        result = self.vm("--up", "1")
        self.assert_ok(result)
        self.assertIn("booting once more", result.stderr)
        self.stub("qemu-system-x86_64", f"{QEMU} exec /bin/sleep 60")
        result = self.vm("--up", "1")
        self.assertEqual(result.returncode, 125)
        self.assertEqual(result.stderr.count("booting once more"), 1)

    def test_vm_that_qemu_itself_killed(self):
        """An oops at a breakpoint, and the bytes there: 0f is no breakpoint."""
        oops = "Oops: int3: 0000 [#1] SMP NOPTI\\nRIP: 0010:f+0x1/0x2\\nCode: 00 {} <1f> 44 00\\n"
        for first in "0f", "cc":
            self.stub("qemu-system-x86_64", f"""{QEMU}
printf '{oops.format(first)}' >>"$console"
[ -e {self.top}/before ] || {{ : >{self.top}/before; exit 0; }}
[ -e {self.top}/never ] || echo 0 >"$status\"""")
            (self.top / "before").unlink(missing_ok=True)
            result = self.vm("--again")
            if first == "cc":
                self.assertEqual(result.returncode, 125)
                self.assertNotIn("a breakpoint that", result.stderr)
                continue
            self.assert_ok(result)
            self.assertIn("booting once more", result.stderr)
            # Not unasked, and not for ever.
            (self.top / "never").touch()
            for options, again in (["--again"], 1), ([], 0):
                (self.top / "before").unlink()
                result = self.vm(*options)
                self.assertEqual(result.returncode, 125)
                self.assertEqual(result.stderr.count("booting once more"), again)
                self.assertIn("no fault of the kernel's: try again", result.stderr)
            (self.top / "never").unlink()

    def test_interrupted(self):
        self.stub("qemu-system-x86_64", f"""{QEMU}
echo $$ >{self.top}/qemu; : >{self.top}/hung
exec /bin/sleep 60""")
        for number in signal.SIGINT, signal.SIGTERM:
            (self.top / "hung").unlink(missing_ok=True)
            self.interrupt(number, "vm", "--kernel", self.kernel, "true")
            with self.assertRaises(ProcessLookupError, msg="the VM outlived its script"):
                os.kill(int((self.top / "qemu").read_text()), 0)

    def test_possible_cpus(self):
        self.stub("qemu-system-x86_64", f"""{QEMU}
while [ $# -gt 0 ]; do
	[ "$1" != -initrd ] || cp "$2" {self.top}/initrd
	printf '%s\\n' $1 >>{self.top}/words; shift
done
echo 0 >"$status\"""")
        table = b"kernel/firmware/acpi/apic.aml"
        for options, words, named in (
                ([], ["2"], False),
                (["--cpus", "3"], ["3"], False),
                (["--possible", "64", "--instructions"], ["1", "maxcpus=1"], True),
                (["--cpus", "4", "--possible", "240", "--nodes", "2"],
                 ["240", "maxcpus=4", "node,nodeid=0,memdev=node0,cpus=0-1",
                  "node,nodeid=1,memdev=node1,cpus=2-239"], False)):
            (self.top / "words").unlink(missing_ok=True)
            self.assert_ok(self.vm(*options))
            seen = (self.top / "words").read_text().splitlines()
            self.assertEqual(seen[seen.index("-smp") + 1], words[0])
            for word in words[1:]:
                self.assertIn(word, seen)
            self.assertEqual(any(word.startswith("maxcpus=") for word in seen), len(words) > 1)
            self.assertEqual(table in (self.top / "initrd").read_bytes(), named)
        result = self.vm("--cpus", "4", "--possible", "3")
        self.assertEqual(result.returncode, 2)
        self.assertIn("fewer than the 4 CPUs", result.stderr)
        (self.kernel / "build").mkdir()
        config = self.kernel / "build/.config"
        config.write_text("# CONFIG_ACPI_TABLE_UPGRADE is not set\n")
        result = self.vm("--possible", "64", "--instructions")
        self.assertEqual(result.returncode, 1)
        self.assertIn("takes no table of CPUs", result.stderr)
        self.assert_ok(self.vm("--possible", "64"))
        config.write_text("CONFIG_ACPI_TABLE_UPGRADE=y\n")
        self.assert_ok(self.vm("--possible", "64", "--instructions"))

    def test_levels_of_page_tables(self):
        self.stub("qemu-system-x86_64", f"""{QEMU}
printf '%s\\n' "$@" >{self.top}/words
while [ "$1" != -initrd ]; do shift; done
cp "$2" {self.top}/initrd
echo 0 >"$status\"""")
        for options, word in ([], "la57=off"), (["--levels", "4"], "la57=off"), (["--levels", "5"], "la57=on"):
            self.assert_ok(self.vm(*options))
            seen = (self.top / "words").read_text().splitlines()
            self.assertIn(word, seen[seen.index("-cpu") + 1].split(","))
            # Whether the kernel has switched, its own list of features tells.
            self.assertEqual(b"did not switch to 5 levels" in (self.top / "initrd").read_bytes(), word == "la57=on")
        for options, why in ((["--levels", "3"], "neither 4 nor 5"), (["--levels", ""], "neither 4 nor 5"),
                             (["--levels", "5-x"], "neither 4 nor 5"), (["--levels", "4-"], "neither 4 nor 5"),
                             (["--kernel", "debug", "--levels", "5"], "not with debug"),
                             (["--kernel", "cloud", "--levels", "5"], "not with cloud"),
                             (["--kernel", "rt-arm64", "--levels", "5"], "not with rt-arm64")):
            result = self.vm(*options)
            self.assertEqual(result.returncode, 2)
            self.assertIn(why, result.stderr)

    def test_table_of_cpus(self):
        table = subprocess.run([self.top / "tree/scripts/vm-madt", "64"], capture_output=True, check=True).stdout
        self.assertEqual(struct.unpack_from("<4sI", table), (b"APIC", len(table)))
        self.assertEqual(sum(table) & 0xff, 0)
        at, cpus = 44, []
        while at < len(table):
            if table[at] == 0:
                cpus.append(struct.unpack_from("<BBI", table, at + 2))
            at += table[at + 1]
        self.assertEqual(at, len(table))
        self.assertEqual(cpus, [(cpu, cpu, 1) for cpu in range(64)])

    def test_no_image(self):
        (self.kernel / "vmlinux").unlink()
        self.assert_fails(self.vm(), "no kernel image at")

    def test_console_is_kept(self):
        self.stub("qemu-system-x86_64", f'{QEMU} echo 0 >"$status"')
        self.assert_ok(self.vm())
        log = self.top / "tree/build/vm/log"
        self.assertEqual(log.read_text(), "the console's last line\n")
