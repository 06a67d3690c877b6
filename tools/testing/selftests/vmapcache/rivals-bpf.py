#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: rivals-bpf.py fentry|fexit FUNCTION

Attaches a BPF program that does nothing to a function of the kernel, prints "attached", and
detaches it when standard input ends; then prints how often it ran. Ends with status 1 after the
error's name, like "EBUSY", if the kernel refuses to attach it, and with status 4 after the
reason if this kernel has no such programs.
"""

import ctypes
import errno
import os
import struct
import sys

SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
PROG_LOAD, RAW_TRACEPOINT_OPEN = 5, 17
TRACING = 26
ATTACH = {"fentry": 24, "fexit": 25}
# r0 = 0; exit
PROGRAM = bytes([0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0])
FUNC = 12
# Bytes behind each type of BTF: a fixed number, or for each of its members.
BEHIND = {1: 4, 3: 12, 14: 4, 17: 4}
EACH = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}


def btf_id(function):
    """The number of a function among the types of the kernel."""
    btf = open("/sys/kernel/btf/vmlinux", "rb").read()
    header, type_at, type_bytes, string_at, string_bytes = struct.unpack_from("<5I", btf, 4)
    strings = btf[header + string_at:header + string_at + string_bytes]
    name = strings.index(b"\0" + function.encode() + b"\0") + 1
    at, end, number = header + type_at, header + type_at + type_bytes, 0
    while at < end:
        number += 1
        name_at, info, _ = struct.unpack_from("<3I", btf, at)
        kind = info >> 24 & 0x1f
        if kind == FUNC and name_at == name:
            return number
        at += 12 + BEHIND.get(kind, 0) + EACH.get(kind, 0) * (info & 0xffff)
    raise ValueError(function)


def bpf(command, attributes):
    """The system call: a file descriptor, or an OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = libc.syscall(SYS_BPF, command, buffer, len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return result


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ATTACH:
        print(__doc__)
        return 0 if "--help" in sys.argv else 2
    kind, function = sys.argv[1:]
    try:
        number = btf_id(function)
    except (OSError, ValueError) as error:
        print(f"no type of {function}(): {error}")
        return 4
    program = ctypes.create_string_buffer(PROGRAM, len(PROGRAM))
    license_text = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack("<IIQQIIQII16sIIIIQIIQIII", TRACING, len(PROGRAM) // 8,
                             ctypes.addressof(program), ctypes.addressof(license_text), 0, 0, 0,
                             0, 0, b"vmapcache_test", 0, ATTACH[kind], 0, 0, 0, 0, 0, 0, 0,
                             number, 0)
    try:
        loaded = bpf(PROG_LOAD, attributes)
    except OSError as error:
        print(f"no BPF programs: {error}")
        return 4
    try:
        attached = bpf(RAW_TRACEPOINT_OPEN, struct.pack("<QIIQ", 0, loaded, 0, 0))
    except OSError as error:
        print(errno.errorcode[error.errno])
        return 1
    print("attached", flush=True)
    sys.stdin.read()
    os.close(attached)
    with open(f"/proc/self/fdinfo/{loaded}", encoding="ascii") as info:
        print(*(line.split()[1] for line in info if line.startswith("run_cnt:")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
