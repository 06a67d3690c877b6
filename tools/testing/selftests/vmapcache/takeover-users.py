#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: takeover-users.py TAKEOVER [END]

Users of the kernel whose memory comes from vmalloc() and vmap(): bpf maps that user space
maps, socket filters, threads. Each is made while takeover is on and while it is off (TAKEOVER
is its directory in debugfs), used after a switch, and what it holds is compared. A kernel
without the system call bpf() has no bpf maps: then the others are tested.

With END they are made, compared and closed until that file exists, while somebody else switches
takeover and makes memory short.
"""

import ctypes
import errno
import mmap
import os
import pathlib
import socket
import struct
import sys
import threading

SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
MAP_CREATE, MAP_LOOKUP, MAP_UPDATE = 0, 1, 2
ARRAY, RINGBUF = 2, 27
MMAPABLE = 1 << 10
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
PAGE = mmap.PAGESIZE

libc = ctypes.CDLL(None, use_errno=True)
takeover = pathlib.Path(sys.argv[1])


def bpf(command, attributes):
    room = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    result = libc.syscall(SYS_BPF, command, room, 128)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"bpf command {command}: {os.strerror(error)}")
    return result


def has_bpf():
    """Has the kernel the system call?"""
    try:
        bpf(-1, b"")
    except OSError as why:
        return why.errno != errno.ENOSYS
    return True


def switch(word):
    (takeover / "enable").write_text(word + "\n")


def counts():
    lines = (line.split() for line in (takeover / "stats").read_text().splitlines())
    return {words[0]: words[1] for words in lines}


def redirected(target):
    return int(counts()[f"{target}_redirected"])


class Array:
    """An array map: what is written by either way is read by the other."""

    target = "vmalloc"

    def __init__(self, seed):
        self.seed = seed
        self.entries = 1024 + 512 * (seed % 5)
        self.fd = bpf(MAP_CREATE, struct.pack("=IIIII", ARRAY, 4, 8, self.entries, MMAPABLE))
        self.memory = mmap.mmap(self.fd, self.entries * 8)
        for entry in range(0, self.entries, 7):
            self.memory[entry * 8:entry * 8 + 8] = struct.pack("=Q", seed * 1000003 + entry)

    def element(self, command, entry, value):
        key = ctypes.c_uint32(entry)
        bpf(command, struct.pack("=IIQQQ", self.fd, 0, ctypes.addressof(key),
                                 ctypes.addressof(value), 0))

    def check(self):
        value = ctypes.c_uint64()
        for entry in range(0, self.entries, 7):
            self.element(MAP_LOOKUP, entry, value)
            assert value.value == self.seed * 1000003 + entry, (entry, value.value)
        self.element(MAP_UPDATE, 1, ctypes.c_uint64(self.seed + 5))
        seen = struct.unpack("=Q", self.memory[8:16])[0]
        assert seen == self.seed + 5, seen

    def close(self):
        self.memory.close()
        os.close(self.fd)


class Ring:
    """A ring buffer: pages that vmap() shows twice, mapped to user space."""

    target = "vmap"

    def __init__(self, seed):
        self.seed = seed
        self.size = PAGE << (1 + seed % 4)
        self.fd = bpf(MAP_CREATE, struct.pack("=IIIII", RINGBUF, 0, 0, self.size, 0))
        self.consumer = mmap.mmap(self.fd, PAGE)
        self.producer = mmap.mmap(self.fd, PAGE + 2 * self.size, prot=mmap.PROT_READ, offset=PAGE)
        self.consumer[:8] = struct.pack("=Q", seed * 8)

    def check(self):
        again = mmap.mmap(self.fd, PAGE)
        seen = struct.unpack("=Q", again[:8])[0]
        again.close()
        assert seen == self.seed * 8, seen
        assert not any(self.producer[:]), "its data are not zero"

    def close(self):
        self.consumer.close()
        self.producer.close()
        os.close(self.fd)


class Filter:
    """A socket filter that cuts what is received."""

    target = "vmalloc"

    def __init__(self, seed):
        self.keep = 10 + seed % 50
        self.ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        program = struct.pack("=HBBI", 0x06, 0, 0, self.keep)  # ret #keep
        room = ctypes.create_string_buffer(program, len(program))
        fprog = struct.pack("@HP", 1, ctypes.addressof(room))
        self.ends[1].setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)

    def check(self):
        self.ends[0].send(bytes(range(100)))
        seen = self.ends[1].recv(200)
        assert seen == bytes(range(self.keep)), seen

    def close(self):
        self.ends[1].setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, b"\0" * 4)
        for end in self.ends:
            end.close()


class Thread:
    """A thread, which has a stack in the kernel."""

    target = "stacks"

    def __init__(self, seed):
        self.seed = seed
        self.go = threading.Event()
        self.sum = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        self.go.wait()
        data = os.urandom(64) + b"".join(open("/proc/self/stat", "rb").readlines())
        self.sum = self.seed if data else None

    def check(self):
        self.go.set()
        self.thread.join()
        assert self.sum == self.seed

    def close(self):
        pass


def some_of(kind, first):
    """A few users at the same time. Memory may be short."""
    users = []
    try:
        for seed in range(first, first + 8):
            users.append(kind(seed))
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
    except (RuntimeError, MemoryError):  # no new thread
        pass
    for user in users:
        user.check()
    for user in users:
        user.close()
    return len(users)


def make_until(end, kinds):
    made = {kind: 0 for kind in kinds}
    while not end.exists() or not all(made.values()):
        for kind in kinds:
            made[kind] += some_of(kind, made[kind])
        end.with_name("begun").touch()
    print("made:", ", ".join(f"{number} {kind.__name__}" for kind, number in made.items()))


def main():
    kinds = [Array, Ring, Filter, Thread]
    if not has_bpf():
        print("Array, Ring: left out, this kernel has no bpf()")
        kinds = [Filter, Thread]
    if len(sys.argv) > 2:
        make_until(pathlib.Path(sys.argv[2]), kinds)
        return
    for kind in kinds:
        before, users = redirected(kind.target), []
        for seed in range(24):
            switch("off" if seed % 3 == 0 else "on")
            users.append(kind(seed))
        taken = redirected(kind.target) - before
        for number, user in enumerate(users):
            if number % 8 == 0:
                switch("on" if number % 16 else "off")
            user.check()
        for user in users:
            user.close()
        print(f"{kind.__name__}: {len(users)} made, {taken} calls of {kind.target} taken over")
        # Of two thirds; the kernel may have had some in stock.
        assert taken >= 8, f"{kind.__name__}: only {taken} were taken over"
    switch("off")


main()
