#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: guards-kcore.py ADDRESS PAGES SEED

Reads an area and its guard page through /proc/kcore, as a debugger does, and compares the area with what
sign() of vmapcache_test.ko has written there for SEED, and the guard page with zeros.
"""

import os
import struct
import sys

PAGE = os.sysconf("SC_PAGESIZE")
WORDS = PAGE // 8


def segments(core):
    """The (address, size, offset) of each part of the kernel's memory."""
    header = core.read(64)
    offset, = struct.unpack_from("<Q", header, 32)
    size, count = struct.unpack_from("<HH", header, 54)
    core.seek(offset)
    for _ in range(count):
        kind, _, at, address, _, _, length, _ = struct.unpack_from("<IIQQQQQQ", core.read(size))
        if kind == 1:
            yield address, length, at


def read(address, size):
    with open("/proc/kcore", "rb", buffering=0) as core:
        for start, length, offset in segments(core):
            if start <= address < start + length:
                core.seek(offset + address - start)
                data = b""
                while len(data) < size:
                    more = core.read(size - len(data))
                    if not more:
                        break
                    data += more
                return data
    sys.exit(f"/proc/kcore has no {address:#x}")


def main():
    address, pages, seed = (int(word) for word in sys.argv[1:])
    data = read(address, (pages + 1) * PAGE)
    if len(data) != (pages + 1) * PAGE:
        sys.exit(f"{len(data)} bytes of {(pages + 1) * PAGE}")
    for page in range(pages):
        words = struct.unpack_from(f"<{WORDS}Q", data, page * PAGE)
        value = (seed + page + 1) * 0x9E3779B97F4A7C15 % 2**64
        if (words[0], words[value % (WORDS - 2) + 1], words[-1]) != (value, value, value ^ (2**64 - 1)):
            sys.exit(f"page {page} of {pages} begins with {words[0]:#x}, not with {value:#x}")
    if any(data[pages * PAGE:]):
        sys.exit("the guard page has contents")


if __name__ == "__main__":
    main()
