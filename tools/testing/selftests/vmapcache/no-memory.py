#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: no-memory.py

Opens, reads and writes each file of vmapcache in debugfs and procfs while the
kernel's first, second, ... allocation for it fails, until a whole pass went through
in which none did. Prints how many allocations that were; complains about any other
error than ENOMEM, and about what was read if it is not what it should be.

The kernel must have been told which allocations may fail: see no-memory.sh.
"""
import errno
import os
import sys

DEBUGFS = "/sys/kernel/debug/vmapcache"
# What is written where; longer runs would allocate without end.
WRITES = {
    "purge": b"1\n",
    "lazy_max_pages": b"16384\n",
    "bench/program": b"requests 3\n0 a 1 1\n1 f 0\n0 a 7 4\n",
    "bench/run": b"scenario=va_only sides=vmapcache pages=1 runs=1 ops=4\n",
    "takeover/enable": b"off\n",
    "takeover/filter": b"!kfree\n",
    "takeover/what": b"vmap vm_map_ram vmalloc\n",
}
SWITCH = b"1\n"
DEEPEST = 20000

buffer = bytearray(1 << 20)
nth_file = os.open("/proc/thread-self/fail-nth", os.O_RDWR)


def arm(nth):
    """From here on the nth allocation of this task fails; 0: none."""
    os.pwrite(nth_file, b"%d" % nth, 0)


def was_hit():
    """Whether it has; disarms."""
    left = int(os.pread(nth_file, 16, 0))
    arm(0)
    return left == 0


def read_all(path):
    """Reads a file to its end."""
    file = os.open(path, os.O_RDONLY)
    try:
        length = 0
        while True:
            got = os.readv(file, [memoryview(buffer)[length:]])
            if not got:
                return length
            length += got
    finally:
        os.close(file)


def write_all(path, text):
    """Writes at once."""
    file = os.open(path, os.O_WRONLY)
    try:
        if os.write(file, text) != len(text):
            raise OSError(errno.EIO, "written in part")
    finally:
        os.close(file)
    return len(text)


def passes(what, operation):
    """An operation with its nth allocation failing, for all n; complaints."""
    nth = failed = 0
    hit = True
    while hit:
        nth += 1
        if nth > DEEPEST:
            return [f"{what}: {DEEPEST} allocations and no end"]
        error = None
        arm(nth)
        try:
            operation()
        except OSError as e:
            error = e.errno
        hit = was_hit()
        if error is not None:
            failed += 1
            if not hit:
                return [f"{what}: {errno.errorcode[error]}, and no allocation had failed"]
            if error != errno.ENOMEM:
                return [f"{what}: {errno.errorcode[error]} as allocation {nth} fails"]
    print(f"{what}: {nth - 1} allocations, {failed} of them end it")
    return []


def main():
    if len(sys.argv) > 1:
        print(__doc__)
        return 0 if sys.argv[1:] == ["--help"] else 2
    complaints = []
    for folder, folders, files in os.walk(DEBUGFS):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            mode = os.stat(path).st_mode
            short = os.path.relpath(path, DEBUGFS)
            if mode & 0o400:
                complaints += passes(f"read {short}", lambda path=path: read_all(path))
            if mode & 0o200:
                text = WRITES.get(short, SWITCH)
                complaints += passes(f"write {short}",
                                     lambda path=path, text=text: write_all(path, text))
    complaints += passes("read /proc/vmapcacheinfo", lambda: read_all("/proc/vmapcacheinfo"))
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


sys.exit(main())
