#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: priorities.py BEGUN OVER FILE...

Reads FILEs with real-time priority on the last CPU, until there is a file OVER; makes the file BEGUN
when it begins. Watches from another CPU whether that goes on; what does not for ten seconds waits for a task
that it keeps away from the CPU, and is let go. Prints how many rounds there were, and whether it was stuck.
"""
import mmap
import os
import struct
import sys
import time

STUCK_AFTER = 10 # seconds


def read_on(shared, begun, over, files):
    """All files again and again; counts the rounds."""
    rounds = 0
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    with open(begun, "w", encoding="ascii"):
        pass
    while not os.path.exists(over):
        time.sleep(0.001)
        for file in files:
            if not os.pread(file, 1 << 16, 0):
                return 1
        rounds += 1
        shared[:8] = struct.pack("=Q", rounds)
    return 0


def main():
    if len(sys.argv) < 4 or "--help" in sys.argv:
        print(__doc__)
        return 0 if "--help" in sys.argv else 2
    begun, over, *names = sys.argv[1:]
    files = [os.open(name, os.O_RDONLY) for name in names]
    shared = mmap.mmap(-1, 8)
    reader = os.fork()
    if reader == 0:
        os._exit(read_on(shared, begun, over, files))
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {max(os.sched_getaffinity(0))})
    last, since, stuck = 0, time.monotonic(), 0
    while True:
        pid, status = os.waitpid(reader, os.WNOHANG)
        if pid:
            break
        time.sleep(0.1)
        rounds = struct.unpack("=Q", shared[:8])[0]
        if rounds != last or not os.path.exists(begun):
            last, since = rounds, time.monotonic()
        elif time.monotonic() - since > STUCK_AFTER:
            stuck = 1
            os.sched_setscheduler(reader, os.SCHED_OTHER, os.sched_param(0))
    print(struct.unpack("=Q", shared[:8])[0], stuck)
    return os.waitstatus_to_exitcode(status)


sys.exit(main())
