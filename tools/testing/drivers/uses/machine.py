# SPDX-License-Identifier: GPL-2.0
"""The machine that the drivers run on: programs, modules, loop devices, mounts, data to compare."""

import hashlib
import os
import random
import subprocess
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).resolve().parents[4] / "build" / "drivers" / "modules"
CALLERS = Path("/sys/kernel/debug/vmapcache/callers")
WORK = Path("/tmp/drivers")
MIB = 1 << 20
# Words of a report in the kernel log.
BAD = ("BUG:", "WARNING:", "Oops", "general protection fault", "stack trace:", "Call Trace:")


class Failed(Exception):
    """A program failed, or an expectation."""


class Lacking(Exception):
    """This kernel cannot do it."""


def run(*command, text=None, timeout=120):
    """Runs a program, returns what it printed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL if text is None else None, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(words)}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def check(condition, message):
    if not condition:
        raise Failed(message)


def wait(condition, message, seconds=30):
    """Until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, message() if callable(message) else message)
        time.sleep(0.1)


def write(path, text):
    """To a file of the kernel, which tells errors at each write."""
    file = os.open(path, os.O_WRONLY)
    try:
        os.write(file, str(text).encode())
    finally:
        os.close(file)


def log_since(mark):
    """The lines of the kernel log behind the last one that has the mark."""
    text = run("dmesg")
    return text[text.rindex(mark):].splitlines()[1:]


def reports(lines):
    """Those that are a report of the kernel."""
    return [line for line in lines if any(word in line for word in BAD)]


@dataclass
class Sums:
    """What the functions of one module hold and got."""
    areas: int = 0
    allocations: int = 0


def callers():
    """debugfs `callers`, by module."""
    sums = defaultdict(Sums)
    for line in CALLERS.read_text(encoding="ascii").splitlines():
        words = line.split()
        if words and words[-1].startswith("["):
            of = sums[words[-1].strip("[]").replace("_", "-")]
            of.areas += int(words[1])
            of.allocations += int(words[2])
    # Names of modules have - or _, and the kernel shows _.
    return defaultdict(Sums, {**sums, **{name.replace("-", "_"): of for name, of in sums.items()}})


def prepare(programs, modules=MODULES):
    """Lays the programs over the system, tells the kernel where modules are."""
    for folder in "usr", "etc":
        run("mount", "-t", "overlay", "-o", f"lowerdir={programs}/{folder}:/{folder}", "overlay", f"/{folder}")
    WORK.mkdir(exist_ok=True)
    script(WORK / "modprobe", f'exec /sbin/modprobe -d {modules} "$@"')
    # The kernel starts programs in the initramfs, where the system is at /new (scripts/vm-init).
    script(WORK / "from-kernel", f'exec chroot /new {WORK}/modprobe "$@"')
    write("/proc/sys/kernel/modprobe", f"/new{WORK}/from-kernel")
    os.environ["DM_DISABLE_UDEV"] = "1"


def script(path, line):
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="ascii")
    path.chmod(0o755)


class Setup(ExitStack):
    """What one use set up; its end takes everything away again, modules too."""

    def __enter__(self):
        self.before = self.loaded()
        self.callback(self.unload)
        return super().__enter__()

    @staticmethod
    def loaded():
        return {line.split()[0]: int(line.split()[2])
                for line in Path("/proc/modules").read_text(encoding="ascii").splitlines()}

    def unload(self):
        """All modules that came since, users first."""

        def rest():
            return {name: users for name, users in self.loaded().items() if name not in self.before}

        def gone():
            for name in (name for name, users in rest().items() if users == 0):
                subprocess.run(["rmmod", name], capture_output=True, check=False)
            return not rest()

        wait(gone, lambda: f"modules stay loaded: {rest()}", 20)

    @staticmethod
    def load(name, *parameters):
        run(WORK / "modprobe", name, *parameters)

    def image(self, name, mebibytes):
        """A file in memory, of zeroes."""
        path = WORK / name
        with open(path, "wb") as file:
            file.truncate(mebibytes * MIB)
        self.callback(path.unlink, missing_ok=True)
        return path

    def loop(self, image):
        """A block device on an image."""
        self.load("loop")
        device = run("losetup", "--find", "--show", image).strip()
        self.callback(run, "losetup", "--detach", device)
        return device

    def disk(self, name, mebibytes):
        return self.loop(self.image(name, mebibytes))

    def mount(self, kind, device, options="defaults"):
        """Returns the folder; the use, or its end, unmounts it."""
        folder = WORK / f"on-{kind}"
        folder.mkdir(exist_ok=True)
        # -i: by the kernel itself, not by a program of that name.
        run("mount", "-i", "-t", kind, "-o", options, device, folder)
        self.callback(unmount, folder)
        return folder

    def start(self, *command, **options):
        """A program beside the use."""
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, **options)

        def end():
            process.kill()
            process.communicate()

        self.callback(end)
        return process


def unmount(folder):
    if os.path.ismount(folder):
        run("umount", folder)


def finish(process, seconds=90):
    """The end of a program that a use started."""
    output, _ = process.communicate(timeout=seconds)
    check(process.returncode == 0, f"{process.args}: {process.returncode}\n{output}")
    return output


def some_bytes(size, seed):
    """Half of it compresses well."""
    source = random.Random(seed)
    pieces = []
    while size > 0:
        piece = source.randbytes(min(size, 32768))
        pieces.append(piece)
        size -= len(piece)
        again = piece[:64] * 512
        pieces.append(again[:size])
        size -= min(size, len(again))
    return b"".join(pieces)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def fill(folder, mebibytes=8, small=200):
    """Writes a tree of files; returns what must be in each."""
    written = {}
    for number in range(mebibytes):
        written[f"large-{number}"] = some_bytes(MIB, f"large {number}")
    for number in range(small):
        written[f"folder-{number % 7}/small-{number}"] = some_bytes(37 * number, f"small {number}")
    for name, data in written.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return {name: digest(data) for name, data in written.items()}


def compare(folder, wanted, upper=False):
    """The tree must hold just that."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(folder))
            found[name.lower() if upper else name] = digest(path.read_bytes())
    missing = [name for name in wanted if name not in found]
    wrong = [name for name in wanted if name in found and found[name] != wanted[name]]
    check(not missing and not wrong, f"{len(missing)} files are missing {missing[:3]}, {len(wrong)} differ {wrong[:3]}")


def forget():
    """What the page cache holds is no proof that a device holds it."""
    os.sync()
    write("/proc/sys/vm/drop_caches", 3)


def write_blocks(device, data, offset=0):
    file = os.open(device, os.O_WRONLY)
    try:
        written = 0
        while written < len(data):
            written += os.pwrite(file, data[written:written + MIB], offset + written)
        os.fsync(file)
    finally:
        os.close(file)


def read_blocks(device, size, offset=0):
    forget()
    file = os.open(device, os.O_RDONLY)
    try:
        data = b""
        while len(data) < size:
            piece = os.pread(file, size - len(data), offset + len(data))
            check(piece, f"{device} ends after {offset + len(data)} bytes")
            data += piece
        return data
    finally:
        os.close(file)


def same_blocks(device, data, offset=0):
    """The device must hold these."""
    found = read_blocks(device, len(data), offset)
    check(found == data, f"{device} gives other data than were written")


def write_and_compare(device, mebibytes=8, seed="data", offset=0):
    data = some_bytes(mebibytes * MIB, seed)
    write_blocks(device, data, offset)
    same_blocks(device, data, offset)
    return data


@dataclass
class Use:
    """How drivers are used: the modules that must get areas, and the function that uses them."""
    modules: tuple
    text: str
    run: object


def collection():
    """A table of uses, and the decorator that enters functions."""
    table = {}

    def use(*modules):
        def enter(function):
            text = " ".join(function.__doc__.split()).rstrip(".")
            table[function.__name__.replace("_", "-")] = Use(modules, text, function)
            return function
        return enter

    return table, use
