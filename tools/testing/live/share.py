# SPDX-License-Identifier: GPL-2.0
"""How long the in-tree allocator works for a workload: its functions, traced."""

import re
from collections import Counter
from pathlib import Path

TRACING = Path("/sys/kernel/tracing")
FUNCTIONS = ("vmap", "vunmap", "vm_map_ram", "vm_unmap_ram", "__vmalloc_node_range_noprof", "vfree",
             "delayed_vfree_work", "drain_vmap_area_work", "purge_vmap_node")
# Such as " 0)   12.345 us    |  vfree();".
LINE = re.compile(r"^\s*\d+\)\s*(?P<us>[\d.]+) us\s*\|\s*(?P<name>\w+)( \[\w+\])?\(\);")


def times(lines):
    """Nanoseconds in each function, of the text of function_graph with a depth of 1."""
    total = Counter()
    for line in lines:
        found = LINE.match(line)
        if found:
            total[found["name"]] += round(float(found["us"]) * 1000)
    return total


class Share:
    """Traces while it is entered. What a traced function calls counts as a part of it."""

    OPTIONS = {"funcgraph-overhead": 0, "sleep-time": 0}
    functions = FUNCTIONS

    @staticmethod
    def write(name, text):
        (TRACING / name).write_text(f"{text}\n", encoding="ascii")

    def __enter__(self):
        there = {line.split()[0] for line
                 in (TRACING / "available_filter_functions").read_text(encoding="ascii").splitlines()}
        self.write("buffer_size_kb", 8192)
        self.write("set_ftrace_filter", " ".join(name for name in self.functions if name in there))
        self.write("max_graph_depth", 1)
        self.write("current_tracer", "function_graph")
        for option, value in self.OPTIONS.items():
            self.write(f"options/{option}", value)
        self.write("trace", "")
        return self

    def __exit__(self, *_):
        self.write("current_tracer", "nop")
        self.write("max_graph_depth", 0)
        self.write("set_ftrace_filter", "")
        self.write("trace", "")

    def times(self):
        self.write("tracing_on", 0)
        with open(TRACING / "trace", encoding="utf-8") as trace:
            found = times(trace)
        self.write("tracing_on", 1)
        return found
