#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Usage: tracepoints.py exact TRACE NOTES | pairs TRACE AREAS

Compares what tracefs, with the clock "counter", shows of the events of vmapcache with what must be there.

exact: NOTES, from a case of vmapcache_test.ko, has each event in its order, with callers without offset. A
       line "flushes N" stands for N flushes anywhere between its neighbours.
pairs: each purge_begin has its purge_end before the next one begins, and between them as many flushes as
       it counts; together they have purged AREAS areas. Prints how many purges of each size there were.
"""

import collections
import re
import sys


def traced(path):
    """The events of a trace, as (name, fields)."""
    with open(path, encoding="ascii") as lines:
        for line in lines:
            if line.startswith("#"):
                continue
            found = re.search(r"\s\d+: (\w+): (.*)$", line)
            if not found:
                sys.exit(f"no event: {line}")
            fields = re.sub(r"(caller=\w+)\+0x[0-9a-f]+/0x[0-9a-f]+", r"\1", found[2])
            yield found[1], fields


def exact(events, notes):
    with open(notes, encoding="ascii") as lines:
        wanted = [line.rstrip("\n") for line in lines if line.startswith(("event ", "flushes "))]
    events = list(events)
    for want in wanted:
        word, rest = want.split(" ", 1)
        if word == "flushes":
            for _ in range(int(rest)):
                if not events or events.pop(0)[0] != "flush":
                    sys.exit(f"fewer than {rest} flushes")
            continue
        seen = "nothing" if not events else "{}: {}".format(*events.pop(0))
        if seen != rest:
            sys.exit(f"expected {rest}\n    seen {seen}")
    if events:
        sys.exit("not expected: {}: {}".format(*events[0]))
    print(f"{len(wanted)} events as expected")


def pairs(events, areas):
    open_one, sizes, purged = None, collections.Counter(), 0
    for name, text in events:
        fields = dict(word.split("=", 1) for word in text.split(" ") if "=" in word)
        if name == "purge_begin":
            if open_one:
                sys.exit(f"a purge began before {open_one} had ended: {text}")
            open_one, flushes = fields["how"], 0
        elif name == "flush" and open_one:
            flushes += 1
        elif name == "purge_end":
            if open_one != fields["how"]:
                sys.exit(f"the end of {text}, but {open_one} had begun")
            # The kernel may call vm_unmap_aliases() meanwhile.
            if flushes < int(fields["flushes"]):
                sys.exit(f"{flushes} flushes in: {text}")
            if int(fields["nr_purged"]) < 2 * int(fields["num_purged"]):
                sys.exit(f"areas without their guard pages: {text}")
            sizes[open_one] += 1
            purged += int(fields["num_purged"])
            open_one = None
    if open_one:
        sys.exit(f"{open_one} has no end")
    print(", ".join(f"{how} {number}" for how, number in sorted(sizes.items())))
    if purged != areas:
        sys.exit(f"{purged} areas purged, but {areas} flushed")


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("exact", "pairs"):
        sys.exit(__doc__)
    _, what, trace, other = sys.argv
    if what == "exact":
        exact(traced(trace), other)
    else:
        pairs(traced(trace), int(other))


if __name__ == "__main__":
    main()
