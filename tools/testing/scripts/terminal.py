# SPDX-License-Identifier: GPL-2.0
"""The VM's input, output and signals as a person meets them, with a stub for QEMU.

The stub speaks what QEMU would pass on from the VM, through the sockets that it is given.
"""

import fcntl
import hashlib
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time

from weather import SCRIPTS, BadWeather

# $output, $errors and $control are descriptors, $status and $console files; `command` shows
# what the VM would run.
QEMU = """
for word; do
	case $word in
		socket,id=*) name=${word#*id=}; declare "${name%%,*}=${word##*fd=}" ;;
		file,id=*) name=${word#*id=}; declare "${name%%,*}=${word##*path=}" ;;
	esac
	[ "$before" != -initrd ] || initrd=$word
	before=$word
done
command() { cpio --quiet -i --to-stdout command <"$initrd"; }
end() { cpio --quiet -i --to-stdout end <"$initrd"; }
# The monitor: an answer to each of two commands, as QEMU gives it.
{
	exec {output}>&- {errors}>&- {control}>&-
	while read -r line <&$monitor; do
		echo "$line" >>"$PIDS/monitor"
		echo '{"return": {}} {"return": {}}' >&$monitor
	done
} &
echo $$ >"$PIDS/qemu"
"""
# The kernel has come to its first process.
UP = """
echo "vm: init" >"$console"
"""


class Screen:
    """A terminal: the master's side, with the output so far."""

    def __init__(self, rows=24, columns=80):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.shown = b""

    def read(self, seconds):
        """Reads output for the given time. False if there was none."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.shown += data
        return bool(data)

    def wait_for(self, words, seconds=30):
        """Waits until the words are shown."""
        end = time.monotonic() + seconds
        while words not in self.shown:
            left = end - time.monotonic()
            assert left > 0, f"never shown: {words}, but: {self.shown}"
            self.read(min(left, 0.5))

    def lines(self):
        """The output, without lines that were shown only for a while."""
        return re.sub(rb"\r[^\r\n]*\x1b\[K", b"", self.shown)

    def type(self, keys):
        """Types keys."""
        os.write(self.master, keys)

    def close(self):
        """Closes the window: its processes get SIGHUP."""
        for end in "master", "slave":
            if getattr(self, end) is not None:
                os.close(getattr(self, end))
                setattr(self, end, None)


class OnTerminal(BadWeather):
    """With a tree as for scripts/vm, and helpers for terminals."""

    def setUp(self):
        super().setUp()
        (self.stubs / "sleep").unlink()
        self.inside = True
        self.kernel = self.top / "kernel"
        self.kernel.mkdir()
        (self.kernel / "vmlinux").write_text("image")
        (self.top / "tmp").mkdir()
        self.more = {"TMPDIR": str(self.top / "tmp")}

    def environment(self, **more):
        return super().environment(PIDS=str(self.top), **self.more, **more)

    def qemu(self, text, up=True):
        """QEMU is played by this text for bash."""
        self.stub("qemu-system-x86_64", QEMU + (UP if up else "") + text, shell="bash")

    def screen(self, *size):
        """A terminal, closed at the end."""
        screen = Screen(*size)
        self.addCleanup(screen.close)
        return screen

    def start(self, *words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
              stderr=subprocess.DEVNULL, closed=(), **options):
        """Starts scripts/vm, with the descriptors in `closed` closed."""
        process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" {" ".join(f"{number}>&-" for number in closed)}', "sh",
             self.scripts / "vm", "--kernel", self.kernel, *(words or ["true"])],
            env=self.environment(), cwd=self.top / "tree", stdin=stdin, stdout=stdout,
            stderr=stderr, **options)
        self.addCleanup(self.kill, process)
        return process

    @staticmethod
    def kill(process):
        process.kill()
        process.wait()

    def state(self):
        """QEMU's state as /proc has it. A zombie is nothing."""
        number = (self.top / "qemu").read_text().strip()
        try:
            with open(f"/proc/{number}/stat", encoding="utf-8") as file:
                return file.read().rsplit(")", 1)[1].split()[0].replace("Z", "")
        except (FileNotFoundError, ProcessLookupError):
            return ""

    def wait_until(self, condition, words, seconds=30):
        """Waits for something to become true."""
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, words)
            time.sleep(0.02)

    def assert_nothing_left(self):
        """No QEMU, and no temporary folder. A dying one gets a moment."""
        self.wait_until(lambda: not self.state(), "the VM outlived its script", 3)
        self.wait_until(lambda: not any((self.top / "tmp").iterdir()), "a folder was left", 3)


class Terminal(OnTerminal):
    """Standard input, output and error of every kind."""

    # A kind gives a descriptor for the script, and a function that returns its output.

    def kind_terminal(self):
        screen = self.screen()

        def arrived():
            while screen.read(0.2):
                pass
            return screen.shown.replace(b"\r\n", b"\n")
        return screen.slave, arrived

    def kind_pipe(self):
        ours, theirs = os.pipe()
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, theirs)
        return theirs, lambda: self.take(ours)

    def kind_socket(self):
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        return theirs.fileno(), lambda: self.take(ours.fileno())

    def take(self, descriptor):
        """The output, once it has arrived."""
        self.assertTrue(select.select([descriptor], [], [], 30)[0], "nothing arrived")
        return os.read(descriptor, 65536)

    def file(self, flags, before=b""):
        path = self.top / "file"
        path.write_bytes(before)

        def arrived():
            data = path.read_bytes()
            self.assertTrue(data.startswith(before))
            return data[len(before):]
        return self.opened(path, flags)[0], arrived

    def opened(self, path, flags):
        descriptor = os.open(path, flags)
        self.addCleanup(os.close, descriptor)
        return descriptor, None

    def kind_created_file(self):
        return self.file(os.O_WRONLY)

    def kind_appended_file(self):
        return self.file(os.O_WRONLY | os.O_APPEND, b"before")

    def kind_file_open_for_reading_too(self):
        return self.file(os.O_RDWR)

    def kind_null_for_writing(self):
        return self.opened("/dev/null", os.O_WRONLY)

    def kind_null_for_reading(self):
        return self.opened("/dev/null", os.O_RDONLY)

    def kind_null_for_both(self):
        return self.opened("/dev/null", os.O_RDWR)

    @staticmethod
    def kind_closed():
        return None, None

    KINDS = ("terminal", "pipe", "socket", "created_file", "appended_file",
             "file_open_for_reading_too", "null_for_writing", "null_for_reading",
             "null_for_both", "closed")

    def run_with(self, stream, kind):
        """Runs with standard output, or error, of that kind. The other one is a pipe."""
        descriptor, arrived = getattr(self, f"kind_{kind}")()
        other, other_arrived = self.kind_pipe()
        number = {"stdout": 1, "stderr": 2}[stream]
        streams = {"stdout": other, "stderr": other}
        streams[stream] = subprocess.DEVNULL if descriptor is None else descriptor
        process = self.start(**streams, closed=[number] if descriptor is None else [])
        self.assertEqual(process.wait(30), 7)
        words = {"stdout": b"out\n", "stderr": b"err\n"}
        if arrived:
            self.assertEqual(arrived(), words.pop(stream))
        else:
            del words[stream]
        self.assertEqual(other_arrived(), *words.values())
        self.assert_nothing_left()

    def test_standard_output_of_every_kind(self):
        self.qemu('echo out >&$output; echo err >&$errors; echo 7 >"$status"')
        for kind in self.KINDS:
            with self.subTest(kind):
                self.run_with("stdout", kind)

    def test_standard_error_of_every_kind(self):
        self.qemu('echo out >&$output; echo err >&$errors; echo 7 >"$status"')
        for kind in self.KINDS:
            with self.subTest(kind):
                self.run_with("stderr", kind)

    def test_standard_input_of_every_kind(self):
        self.qemu('[ "$(readlink /proc/self/fd/0)" = /dev/null ] && echo 7 >"$status"')
        for name, stdin, closed in (("terminal", self.screen().slave, []),
                                    ("null", subprocess.DEVNULL, []), ("closed", None, [0])):
            with self.subTest(name):
                self.assertEqual(self.start(stdin=stdin, closed=closed).wait(30), 7)

    def test_all_three_are_closed(self):
        self.qemu('echo out >&$output; echo 7 >"$status"')
        self.assertEqual(self.start(closed=[0, 1, 2]).wait(30), 7)
        self.assert_nothing_left()

    def test_two_that_are_one_stay_in_order(self):
        # The VM is told by a file; scripts/vm-init reads it.
        self.qemu('cpio --quiet -t <"$initrd" | grep -qx merged && echo one >&$output; echo 0 >"$status"')
        screen = self.screen()
        self.start(stdout=screen.slave, stderr=screen.slave).wait(30)
        screen.wait_for(b"one")
        ours, theirs = os.pipe()
        self.start(stdout=screen.slave, stderr=theirs).wait(30)
        os.close(theirs)
        os.close(ours)
        while screen.read(0.2):
            pass
        self.assertEqual(screen.shown.count(b"one"), 1)

    def test_sizes_and_kinds_of_terminals(self):
        self.qemu('command >&$output; echo 0 >"$status"')
        for rows, columns, said in (24, 80, b"VMAPCACHE_TERMINAL=80"), (0, 0, b"VMAPCACHE_TERMINAL=0"):
            for term in "dumb", "xterm-256color", None:
                with self.subTest(f"{rows}x{columns} {term}"):
                    self.more["TERM"] = term or ""
                    screen = self.screen(rows, columns)
                    self.start(stdin=screen.slave, stdout=screen.slave, stderr=screen.slave).wait(30)
                    screen.wait_for(said)
                    screen.wait_for(f"export TERM='{term or 'dumb'}'".encode())
                    self.assertNotIn(b"NO_COLOR", screen.shown)
                    self.assertNotIn(b"\x1b", screen.shown)

    def test_no_color_reaches_the_vm(self):
        self.qemu('command >&$output; echo 0 >"$status"')
        self.more["NO_COLOR"] = "1"
        output, arrived = self.kind_pipe()
        self.start(stdout=output).wait(30)
        self.assertIn(b"export NO_COLOR=1\n", arrived())

    def test_words_and_folders_are_quoted(self):
        folder = self.top / "tree" / "it's a $folder, with `all`"
        folder.mkdir()
        self.qemu('command >&$output; echo 0 >"$status"')
        output, arrived = self.kind_pipe()
        process = subprocess.Popen(
            [self.scripts / "vm", "--kernel", self.kernel, "pwd"], env=self.environment(),
            cwd=folder, stdin=subprocess.DEVNULL, stdout=output)
        process.wait(30)
        result = subprocess.run(["bash"], input=arrived(), capture_output=True, check=True)
        self.assertEqual(result.stdout.decode(), f"{folder}\n")

    def test_output_comes_as_it_is_made(self):
        self.qemu(f"""
echo first >&$output
while [ ! -e {self.top}/seen ]; do /bin/sleep 0.05; done
echo 0 >"$status\"""")
        output, arrived = self.kind_pipe()
        process = self.start(stdout=output)
        self.assertEqual(arrived(), b"first\n")
        self.assertIsNone(process.poll())
        (self.top / "seen").touch()
        self.assertEqual(process.wait(30), 0)

    def test_a_hundred_megabytes_arrive_whole(self):
        self.qemu('seq -w 12500000 >&$output; echo 0 >"$status"')
        process = self.start(stdout=subprocess.PIPE)
        digest, size = hashlib.sha256(), 0
        while data := process.stdout.read(1 << 20):
            digest.update(data)
            size += len(data)
            if size < 5 << 20:
                time.sleep(0.1) # a slow reader
        process.stdout.close()
        self.assertEqual(process.wait(30), 0)
        wanted = subprocess.run("seq -w 12500000 | sha256sum", shell=True, check=True,
                                capture_output=True, text=True).stdout
        self.assertEqual(size, 112500000)
        self.assertEqual(digest.hexdigest(), wanted.split()[0])

    def test_every_byte_arrives_as_it_is(self):
        every = bytes(range(256)) + b"\r\n\n\r\xff\x00"
        (self.top / "bytes").write_bytes(every)
        self.qemu(f'cat {self.top}/bytes >&$output; echo 0 >"$status"')
        output, arrived = self.kind_pipe()
        self.start(stdout=output).wait(30)
        self.assertEqual(arrived(), every)

    def test_what_qemu_says_last_arrives(self):
        # More than a pipe takes: the rest is in QEMU's socket when it ends.
        self.qemu('echo 0 >"$status"; head -c 150000 /dev/zero >&$output; kill -9 $$')
        process = self.start(stdout=subprocess.PIPE)
        self.wait_until(lambda: (self.top / "qemu").exists() and not self.state(),
                        "QEMU does not end")
        time.sleep(0.5)
        self.assertEqual(len(process.communicate(timeout=30)[0]), 150000)

    def test_the_end_is_known_by_its_mark(self):
        # Once in pieces, with its beginning elsewhere too.
        self.qemu("""
end | head -c 7 >&$output
echo out >&$output
end | head -c 9 >&$output
/bin/sleep 0.3
end | tail -c 7 >&$output
end >&$errors
echo 7 >"$status"
exec /bin/sleep 60""")
        process = self.start(stdout=subprocess.PIPE)
        output = process.communicate(timeout=10)[0]
        self.assertEqual((process.returncode, len(output), output[7:]), (7, 11, b"out\n"))
        self.assert_nothing_left()

    def test_no_time_runs_for_a_reader(self):
        self.qemu("""
echo 7 >"$status"
printf %0600000d 0 >&$output # itself: it ends with it
end >&$output; end >&$errors
exec /bin/sleep 60""")
        process = self.start("--timeout", "1", "true", stdout=subprocess.PIPE)
        time.sleep(3)
        self.assertEqual(len(process.communicate(timeout=10)[0]), 600000)
        self.assertEqual(process.returncode, 7)

    def test_a_reader_that_goes_ends_it_quietly(self):
        # As QEMU, it goes on when nobody reads its ports any more.
        self.qemu('trap "" PIPE; while echo y >&$output; do :; done 2>/dev/null; exec /bin/sleep 60')
        process = self.start(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(process.stdout.read(2), b"y\n")
        process.stdout.close()
        self.assertEqual(process.wait(30), -signal.SIGPIPE)
        self.assertEqual(process.stderr.read(), b"")
        process.stderr.close()
        self.assert_nothing_left()

    def test_a_full_disk_is_said(self):
        self.qemu('while echo y >&$output; do :; done 2>/dev/null')
        with open("/dev/full", "wb") as full:
            process = self.start(stdout=full, stderr=subprocess.PIPE)
            _, errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 125)
        self.assertEqual(errors, b"vm: cannot pass the output on: No space left on device\n")
        self.assert_nothing_left()

    def test_bad_options_get_one_line(self):
        self.stub("qemu-system-x86_64", "echo it is busy >&2; exit 1")
        for words, said in ((["--memory", "abc"], "(VM_MEM=) abc: not a size"),
                            (["--memory", ""], "(VM_MEM=) : not a size"),
                            (["--memory", "1,x=y"], "not a size"),
                            (["--memory", "0"], "not a size"),
                            (["--memory", "1M"], "needs at least 64M"),
                            (["--cpus", "0"], "(VM_CPUS=) 0: not a number from 1 to 255"),
                            (["--cpus", "1000"], "not a number from 1 to 255"),
                            (["--cpus", "two"], "not a number from 1 to 255"),
                            (["--timeout", "-1"], "(VM_TIMEOUT=) -1: not a number"),
                            (["--timeout", "5m"], "(VM_TIMEOUT=) 5m: not a number"),
                            (["--kernel", "/none"], "no kernel image at /none"),
                            (["--modules"], "--modules: modules are built for"),
                            ([], "QEMU did not start the VM: it is busy")):
            with self.subTest(words):
                result = self.run_script("vm", "--kernel", self.kernel, *words, "true")
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(said, result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
                self.assertEqual(result.stdout, "")

    def test_no_command_needs_a_terminal(self):
        result = self.run_script("vm", "--kernel", self.kernel)
        self.assertEqual(result.returncode, 2)
        self.assertEqual(result.stderr, "vm: no COMMAND (CMD='...'), and no terminal for a shell\n")


class OnWindow(OnTerminal):
    """A window with a shell that has job control, and says each status."""

    def setUp(self):
        super().setUp()
        self.open_window()

    def open_window(self):
        """Opens the window, or another one."""
        self.window = self.screen()

        def begin():
            # A script's job in the background ignores these, and then so would all that the shell starts.
            for number in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.shell = subprocess.Popen(
            ["bash", "--norc", "--noediting", "-i"],
            env=self.environment(PS1="$ ", PROMPT_COMMAND='echo status=$?', VM=str(self.scripts / "vm")), cwd=self.top / "tree",
            stdin=self.window.slave, stdout=self.window.slave, stderr=self.window.slave,
            start_new_session=True, preexec_fn=begin)
        self.addCleanup(self.kill, self.shell)
        self.window.wait_for(b"$ ")

    def parent(self):
        """The process that started QEMU."""
        with open(f"/proc/{(self.top / 'qemu').read_text().strip()}/stat", encoding="utf-8") as file:
            return int(file.read().rsplit(")", 1)[1].split()[1])


class Signals(OnWindow):
    """Ctrl-C, Ctrl-Z and the end of the terminal."""

    def vm(self, *words, up=True, command="true", first=""):
        """Starts scripts/vm with a QEMU that waits for `go` in its folder."""
        (self.top / "go").unlink(missing_ok=True)
        (self.top / "qemu").unlink(missing_ok=True)
        self.qemu(f"""
{first}
while [ ! -e {self.top}/go ]; do /bin/sleep 0.05; done
echo 7 >"$status\"""", up)
        self.window.type(f"$VM --kernel {self.kernel} {' '.join(words)} {command}\n".encode())
        self.wait_until((self.top / "qemu").exists, "QEMU was not started")

    def steps(self):
        """Each step of a VM: while the kernel boots, and while the command runs."""
        for up in False, True:
            self.window.shown = b""
            yield up

    def test_ctrl_c_ends_it(self):
        for up in self.steps():
            self.vm(up=up)
            self.window.type(b"\x03")
            self.window.wait_for(b"status=130")
            self.assert_nothing_left()
            self.assertNotIn(b"Traceback", self.window.shown)
            self.assertNotIn(b"vm: ", self.window.shown)

    def test_ctrl_backslash_ends_it(self):
        self.vm()
        self.window.type(b"\x1c")
        self.window.wait_for(b"status=131")
        self.assert_nothing_left()

    def test_ctrl_z_stops_it_and_fg_goes_on(self):
        for up in self.steps():
            (self.top / "monitor").unlink(missing_ok=True)
            # Three seconds while it is stopped are none of these.
            self.vm("--timeout", "2", "--up", "2", up=up)
            self.window.type(b"\x1a")
            self.window.wait_for(b"Stopped")
            self.wait_until(lambda: self.state() == "T", "QEMU goes on")
            self.assertIn('"execute":"stop"', (self.top / "monitor").read_text())
            time.sleep(3)
            self.window.type(b"fg\n")
            self.wait_until(lambda: self.state() in "SR", "QEMU does not go on")
            (self.top / "go").touch()
            self.window.wait_for(b"status=7")
            self.assertIn('"execute":"cont"', (self.top / "monitor").read_text())
            self.assert_nothing_left()

    def test_the_timeout_counts_from_fg_on(self):
        self.vm("--timeout", "2")
        self.window.type(b"\x1a")
        self.window.wait_for(b"Stopped")
        self.window.type(b"fg\n")
        self.window.wait_for(b"status=124")
        self.assert_nothing_left()

    def test_ctrl_z_without_an_answer_from_qemu(self):
        self.vm(first="kill $!") # who answers
        self.window.type(b"\x1a")
        self.window.wait_for(b"Stopped", 10)
        self.window.type(b"fg\n")
        (self.top / "go").touch()
        self.window.wait_for(b"status=7")

    def test_the_terminal_is_closed(self):
        for up in self.steps():
            if self.window.master is None:
                self.setUp()
            self.vm(up=up)
            self.window.close()
            self.shell.wait(30)
            self.assert_nothing_left()

    def test_the_terminal_is_closed_while_it_is_stopped(self):
        self.vm()
        self.window.type(b"\x1a")
        self.window.wait_for(b"Stopped")
        self.window.close()
        self.shell.wait(30)
        self.assert_nothing_left()

    def test_a_second_signal_does_not_end_the_cleaning_up(self):
        # The shell and the kernel both send SIGHUP. One that is stopped gets all signals at once.
        self.qemu("exec /bin/sleep 60")
        process = self.start(stderr=subprocess.PIPE)
        self.wait_until(lambda: (self.top / "qemu").exists() and self.state(), "QEMU was not started")
        process.send_signal(signal.SIGSTOP)
        for number in signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT:
            process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        self.assertEqual(process.communicate(timeout=30)[1], b"")
        self.assertIn(-process.returncode, (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT))
        self.assert_nothing_left()

    def test_nohup_keeps_it(self):
        self.window.type(f"nohup $VM --kernel {self.kernel} true >{self.top}/out 2>&1; "
                         f"echo $? >{self.top}/left\n".encode())
        self.qemu(f'while [ ! -e {self.top}/go ]; do /bin/sleep 0.05; done; echo 7 >"$status"')
        self.wait_until((self.top / "qemu").exists, "QEMU was not started")
        self.window.close()
        time.sleep(0.5)
        self.assertTrue(self.state(), "it ended")
        (self.top / "go").touch()
        self.assert_nothing_left()

    def test_killed_it_takes_qemu_along(self):
        self.vm()
        os.kill(self.parent(), signal.SIGKILL)
        self.window.wait_for(b"status=137")
        self.wait_until(lambda: not self.state(), "the VM outlived its script", 3)

    def test_killed_it_takes_a_stopped_qemu_along(self):
        self.vm()
        self.window.type(b"\x1a")
        self.window.wait_for(b"Stopped")
        os.kill(self.parent(), signal.SIGKILL)
        self.wait_until(lambda: not self.state(), "the VM outlived its script", 3)


class Shell(OnWindow):
    """The interactive shell, played by a stub that shows which keys came."""

    ECHO = """
echo "keys: " >&$output
while read -r -N 1 key <&$output; do
	printf 'got %q\\r\\n' "$key" >&$output
	[ "$key" != q ] || break
done
"""

    def begin(self, then="", *words):
        """Starts the shell, and waits until it is there."""
        (self.top / "go").touch()
        self.qemu(f"""
{{
	exec {{output}}>&- {{errors}}>&-
	while read -r size <&$control; do echo "$size" >>{self.top}/sizes; done
}} &
{then or self.ECHO}
echo 7 >"$status\"""")
        (self.top / "qemu").unlink(missing_ok=True)
        self.before = termios.tcgetattr(self.window.slave)
        self.window.type(f"$VM --kernel {self.kernel} {' '.join(words)}\n".encode())
        self.window.wait_for(b"keys: ")
        self.wait_until(self.raw, "the terminal is not raw")

    def raw(self):
        """Do all keys go to the VM?"""
        return not termios.tcgetattr(self.window.slave)[3] & (
            termios.ICANON | termios.ECHO | termios.ISIG)

    def left(self, status):
        """It has ended, and the terminal is as before."""
        self.window.wait_for(b"status=%d" % status)
        self.assertEqual(termios.tcgetattr(self.window.slave), self.before)
        self.assert_nothing_left()

    def test_keys_go_to_the_vm(self):
        self.begin()
        for key, shown in ((b"x", b"got x"), (b"\x03", rb"got $'\003'"), (b"\x1a", rb"got $'\032'"),
                           (b"\x1c", rb"got $'\034'"), (b"\x04", rb"got $'\004'"),
                           (b"~", b"got \\~"), (b"\x7f", rb"got $'\177'"), (b"\r", rb"got $'\r'")):
            self.window.type(key)
            self.window.wait_for(shown)
        self.window.type(b"q")
        self.left(7)

    def test_escapes(self):
        self.begin()
        self.window.type(b"\r~")
        time.sleep(0.3)
        self.assertNotIn(b"~", self.window.shown.split(b"keys: ")[1])
        self.window.type(b"~")
        self.window.wait_for(b"got \\~")
        self.window.type(b"\r~x")
        self.window.wait_for(b"got x")
        self.assertEqual(self.window.shown.count(b"got \\~"), 2)
        self.window.type(b"\r~.")
        self.left(130)

    def test_suspended_by_its_escape(self):
        self.begin()
        self.window.type(b"\r~\x1a")
        self.window.wait_for(b"Stopped")
        self.assertFalse(self.raw())
        self.wait_until(lambda: self.state() == "T", "QEMU goes on")
        self.window.type(b"fg\n")
        self.wait_until(self.raw, "the terminal is not raw again")
        self.window.type(b"q")
        self.left(7)

    def test_its_size_reaches_the_vm(self):
        self.qemu("")
        self.begin()
        fcntl.ioctl(self.window.master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))
        sizes = self.top / "sizes"
        self.wait_until(lambda: sizes.exists() and sizes.read_text() == "24 80\n50 132\n",
                        "the size did not arrive")
        self.window.type(b"q")
        self.left(7)

    def test_the_vm_dies(self):
        for then in "kill -9 $$", "exit 0":
            self.window.shown = b""
            self.begin(f'echo "keys: " >&$output; read -r -N 1 key <&$output; {then}')
            self.window.type(b"x")
            self.left(125)

    def test_the_vm_is_late(self):
        self.begin('echo "keys: " >&$output; exec /bin/sleep 60', "--timeout", "2")
        self.left(124)

    def test_it_is_terminated(self):
        self.begin()
        os.kill(self.parent(), signal.SIGTERM)
        self.left(143)

    def test_ctrl_c_while_it_boots(self):
        self.qemu("exec /bin/sleep 60", up=False)
        self.before = termios.tcgetattr(self.window.slave)
        self.window.type(f"$VM --kernel {self.kernel}\n".encode())
        self.wait_until((self.top / "qemu").exists, "QEMU was not started")
        time.sleep(1.5) # longer than it waits at a time
        self.window.type(b"\x03")
        self.left(130)

    def test_its_window_is_closed(self):
        self.begin()
        self.window.close()
        self.shell.wait(30)
        self.assert_nothing_left()


class Targets(OnWindow):
    """Each target of `make help`, from a window. Stubs play the parts that take minutes."""

    VMS = "vm", "demo", "bench", "torture"
    # They end well, with no help of a stub.
    WHOLE = "clean", "help"

    def setUp(self):
        super().setUp()
        shutil.copy(SCRIPTS.parent / "Makefile", self.top / "tree")
        (self.top / "built").mkdir()
        for extent in "", "--faults", "--alone":
            (self.top / f"built/environment{extent}").touch()
        self.before = termios.tcgetattr(self.window.slave)
        package = self.top / "tree/tools/testing/package/run"
        package.parent.mkdir(parents=True)
        # scripts/vm and the programs that it becomes are real; all others only print their names.
        self.played = [script for script in self.scripts.iterdir() if os.access(script, os.X_OK)
                       and script.name not in ("vm", "vm-host", "vm-init")] + [package]
        for script in self.played:
            self.play(script)
        self.qemu('echo "the VM: $(command | tail -n 1)" >&$output; echo 7 >"$status"')

    def play(self, script):
        """A stub in the place of a script."""
        printed = {"kernel": self.kernel, "modules": self.top / "built"}.get(script.name, "")
        script.write_text(f"""#!/bin/sh
[ ! -t 2 ] || echo "a terminal is seen by {script.name} $*" >&2
echo {printed}
exit "$(cat {self.top}/status-of-{script.name} 2>/dev/null || echo 0)"
""")
        script.chmod(0o755)

    def targets(self):
        """The targets of `make help`, each with its help."""
        result = subprocess.run(["make", "help"], cwd=self.top / "tree", check=True, text=True,
                                env=self.environment(), capture_output=True)
        targets = re.findall(r"^([a-z0-9-]+) +\S", result.stdout, re.M)
        self.assertGreater(len(targets), 14)
        return targets

    def make(self, words):
        """Runs make in the window. Returns its output."""
        self.window.shown = b""
        self.window.type(f"make {words}\n".encode())
        while not (ended := re.search(rb"status=(\d+)\r\n\$ ", self.window.shown)):
            self.assertTrue(self.window.read(30), self.window.shown)
        self.assertEqual(termios.tcgetattr(self.window.slave), self.before)
        self.assertEqual(list((self.top / "tmp").iterdir()), [])
        return int(ended.group(1)), self.window.shown.decode()

    def test_vms(self):
        for target in self.VMS:
            with self.subTest(target):
                (self.top / "qemu").unlink(missing_ok=True)
                status, shown = self.make(target + (" CMD='echo hi'" if target == "vm" else ""))
                self.assertIn("the VM: ", shown)
                self.assertIn("Error 7", shown)
                self.assertEqual(status, 2)
                self.assert_nothing_left()

    def test_a_shell(self):
        status, shown = self.make("vm")
        self.assertIn("the VM: exec bash -i", shown)
        self.assertEqual(status, 2)
        self.assert_nothing_left()

    def test_all_others(self):
        for target in self.targets():
            if target in self.VMS:
                continue
            with self.subTest(target):
                for script in self.played:
                    (self.top / f"status-of-{script.name}").write_text("7")
                status, shown = self.make(target)
                self.assertEqual(status, 0 if target in self.WHOLE else 2, shown)
                if target not in self.WHOLE:
                    self.assertIn("a terminal is seen by ", shown)
                    self.assertIn("Error 7", shown)

    def test_ctrl_c_in_each(self):
        for target in self.targets():
            if target in (*self.VMS, *self.WHOLE):
                continue
            with self.subTest(target):
                began = self.top / "began"
                began.unlink(missing_ok=True)
                for script in self.played:
                    script.write_text(f"#!/bin/sh\n: >{began}; exec /bin/sleep 30\n")
                self.window.shown = b""
                self.window.type(f"make {target}\n".encode())
                self.wait_until(began.exists, "it did not begin")
                self.window.type(b"\x03")
                # 2 where make itself is about to start or to reap when the signal comes.
                self.wait_until(lambda: self.window.read(0.1) and re.search(
                    rb"status=(130|2)\r\n", self.window.shown), "it goes on", 10)

    def test_check_says_what_failed_at_its_end(self):
        shutil.copy(SCRIPTS / "check", self.scripts)
        (self.scripts / "sandbox").write_text("""#!/bin/sh
echo "ok 1 one"
for i in $(seq 30); do echo "# said $i"; done
echo "not ok 2 two"
echo "# of three"
echo "ok 3 three"
echo "ok 4 four # SKIP no time"
echo "not ok 5 five"
""")
        result = self.run_script("check", "core")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stdout.split("# failed, of all above:\n")[1], "".join(
            f"# said {i}\n" for i in range(11, 31)) +
            "# not ok 2 two\n# not ok 5 five\n"
            "# All that they printed is in build/check. A kselftest alone: make vm "
            "CMD='tools/testing/selftests/vmapcache/run NAME'\n2 passed, 2 failed, 1 skipped\n")

    def test_ctrl_c_while_check_makes_the_debug_kernel(self):
        shutil.copy(SCRIPTS / "check", self.scripts)
        (self.scripts / "kernel").write_text(
            f"#!/bin/sh\necho $$ >{self.top}/qemu\nexec /bin/sleep 30\n")
        self.window.type(b"make check-debug\n")
        self.wait_until((self.top / "qemu").exists, "it did not begin")
        time.sleep(0.2)
        self.window.type(b"\x1a")
        self.window.wait_for(b"Stopped")
        self.wait_until(lambda: self.state() == "T", "the kernel's script goes on")
        self.window.type(b"fg\n")
        self.wait_until(lambda: self.state() in "SR", "the kernel's script does not go on")
        self.window.type(b"\x03")
        self.wait_until(lambda: not self.state(), "the kernel's script goes on", 5)
