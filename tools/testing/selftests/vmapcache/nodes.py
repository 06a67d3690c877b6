#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: nodes.py

Has the case pages_by_node of vmapcache_test.ko allocate areas of both allocators, on a CPU of node 0, for
a node that it names or under a memory policy of this task, and looks which node the pages come from. It
does so with free memory as it is, and without two free neighbours, when pages come in bulk steps.
"""

import ctypes
import os
import sys
from pathlib import Path

CASES = Path("/sys/kernel/debug/vmapcache_test")
SET_MEMPOLICY = {"x86_64": 238, "aarch64": 237}[os.uname().machine]
DEFAULT, PREFERRED, BIND, INTERLEAVE, LOCAL = range(5)
# Under a policy, and in-tree always, a run of neighbours on another node goes before single pages on
# the right one. Where compaction makes such a run just then, the next attempt finds none.
ATTEMPTS = 5
# Pages in an area, areas, and a mask of the nodes where no two free pages are neighbours.
SHAPES = (1, 40, 0), (3, 40, 0), (8, 20, 0), (601, 2, 0), (601, 1, 3)


def first_node():
    """The CPUs of node 0."""
    text = Path("/sys/devices/system/node/node0/cpulist").read_text(encoding="ascii")
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def set_policy(mode, *nodes):
    mask = ctypes.c_ulong(sum(1 << node for node in nodes))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(SET_MEMPOLICY, mode, ctypes.byref(mask) if nodes else None, 64 if nodes else 0):
        sys.exit(f"set_mempolicy: {os.strerror(ctypes.get_errno())}")


def pages_by_node(**values):
    """The pages on node 0 and on node 1."""
    text = " ".join(["pages_by_node", *(f"{key}={value}" for key, value in values.items())])
    run = os.open(CASES / "run", os.O_WRONLY)
    try:
        os.write(run, text.encode())
    except OSError:
        sys.exit(f"{text}: {(CASES / 'result').read_text(encoding='ascii')}")
    finally:
        os.close(run)
    notes = dict(line.split() for line in (CASES / "result").read_text(encoding="ascii").splitlines())
    return int(notes["node0"]), int(notes["node1"])


def spread(allocator, pages, areas, fragmented, found):
    """Interleaving goes by single pages, or by runs of neighbours, of which few make a large area."""
    if allocator == "in-tree" and pages == 1:
        # Its bulk step gives the odd page of each area to the same node.
        return True
    return min(found) * 10 >= pages * areas * (1 if pages > 8 and not fragmented else 4)


def questions(shape):
    """Each with its policy, what it changes of the shape, and the right answer, if there is one."""
    every = shape["pages"] * shape["areas"]
    on = {0: (every, 0), 1: (0, every)}
    for node in on:
        yield f"bind {node}", (BIND, node), {}, on[node]
    yield "preferred 1", (PREFERRED, 1), {}, on[1]
    yield "local", (LOCAL,), {}, on[0]
    # The node that the caller names goes before the policy.
    for node in on:
        yield f"node={node} under interleave", (INTERLEAVE, 0, 1), {"node": node}, on[node]
    yield "interleave", (INTERLEAVE, 0, 1), {}, None
    if shape["allocator"] == "vmapcache" and shape["fragmented"]:
        for node in on:
            more = {"node": node, "fragmented": 1 << node}
            yield f"node={node}, neighbours on the other", (DEFAULT,), more, on[node]


def ask(text, policy, values, wanted):
    """Puts a question once. Returns whether the answer is right."""
    # Where cached files fill a node, pages come from the other one.
    Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="ascii")
    set_policy(*policy)
    found = pages_by_node(**values)
    set_policy(DEFAULT)
    if wanted:
        # Where single pages are scarce, the page allocator may take some from the other node.
        enough = found[wanted.index(sum(wanted))] * 20 >= sum(wanted) * 19
        right = found == wanted or values["fragmented"] and enough
    else:
        right = spread(found=found, **values)
    if not right or not wanted:
        print(f"{'' if right else 'WRONG: '}{values['allocator']}, {values['areas']} x {values['pages']} pages, "
              f"fragmented={values['fragmented']}, {text}: {found[0]} on node 0, {found[1]} on node 1")
    return right


def main():
    os.sched_setaffinity(0, first_node())
    wrong = 0
    for allocator in "vmapcache", "in-tree":
        for pages, areas, fragmented in SHAPES:
            shape = {"allocator": allocator, "fragmented": fragmented, "pages": pages, "areas": areas}
            for text, policy, more, wanted in questions(shape):
                wrong += not any(ask(text, policy, shape | more, wanted) for _ in range(ATTEMPTS))
    return 1 if wrong else 0


if "--help" in sys.argv:
    print(__doc__, end="")
    sys.exit()
sys.exit(main())
