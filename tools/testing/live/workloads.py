# SPDX-License-Identifier: GPL-2.0
"""The workloads of `make live`: how each is set up, and what the program then runs.

A set-up returns the words of the program `workload` (program/). What it mounts and loads goes with
its machine.Setup.
"""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from uses.machine import MIB, WORK, Lacking, run

USUAL = "vmap vm_map_ram vmalloc"
WORKLOADS = {}


@dataclass
class Workload:
    """One line of the tables."""
    name: str
    # What one operation is, whose times the percentiles are of.
    operation: str
    set_up: Callable
    modules: tuple
    programs: tuple
    # What is taken over: debugfs takeover/what.
    targets: str

    def lacking(self):
        """What of it this machine has not."""
        for module in self.modules:
            found = subprocess.run([WORK / "modprobe", "--dry-run", module], capture_output=True, check=False)
            if found.returncode:
                yield f"the module {module}"
        for program in self.programs:
            if not shutil.which(program):
                yield f"the program {program}"

    def start(self, at):
        """The words of the program, after the set-up."""
        lacking = list(self.lacking())
        if lacking:
            raise Lacking(f"there is not {', nor '.join(lacking)}")
        return [str(word) for word in self.set_up(at)]


def workload(name, operation, modules=(), programs=(), targets=USUAL):
    def added(set_up):
        WORKLOADS[name] = Workload(name, operation, set_up, modules, programs, targets)
        return set_up
    return added


# ---- file systems on a disk in memory ----

def ram_disk(at, mebibytes):
    at.load("brd", "rd_nr=1", f"rd_size={mebibytes * 1024}")
    return "/dev/ram0"


def on_f2fs(at):
    device = ram_disk(at, 200)
    run("mkfs.f2fs", "-q", "-f", "-O", "extra_attr,compression", device)
    return at.mount("f2fs", device, "compress_algorithm=lz4,compress_extension=*")


def on_btrfs(at):
    device = ram_disk(at, 256)
    run("mkfs.btrfs", "--quiet", "--force", device)
    return at.mount("btrfs", device, "compress-force=zstd")


F2FS = {"modules": ("f2fs", "brd"), "programs": ("mkfs.f2fs",)}
BTRFS = {"modules": ("btrfs", "brd"), "programs": ("mkfs.btrfs",)}


@workload("f2fs write", "a file of 512 KiB, compressed with lz4, and synced", **F2FS)
def f2fs_write(at):
    return "files-write", on_f2fs(at), 12, 512


@workload("f2fs read", "a file of 512 KiB, compressed with lz4", **F2FS)
def f2fs_read(at):
    return "files-read", on_f2fs(at), 24, 512


@workload("btrfs write", "a file of 512 KiB, compressed with zstd, and synced", **BTRFS)
def btrfs_write(at):
    return "files-write", on_btrfs(at), 6, 512


@workload("btrfs read", "a file of 512 KiB, compressed with zstd", **BTRFS)
def btrfs_read(at):
    return "files-read", on_btrfs(at), 12, 512


def packed(at, kind, *command):
    """An image of the files that files-read wants, made by a program, and mounted."""
    tree = WORK / "tree"
    tree.mkdir()
    at.callback(shutil.rmtree, tree)
    image = WORK / f"image-{kind}"
    at.callback(image.unlink, missing_ok=True)
    run(WORK / "workload", "files-read", tree, 24, 512)
    run(*(word.format(tree=tree, image=image) for word in command))
    # The image itself in memory that needs no reading, so that the file system is all that is measured.
    device = ram_disk(at, (image.stat().st_size + MIB) // MIB)
    with open(device, "wb") as disk:
        disk.write(image.read_bytes())
    return at.mount(kind, device, "ro")


@workload("erofs read", "a file of 512 KiB, compressed with lz4", ("erofs", "brd"), ("mkfs.erofs",))
def erofs_read(at):
    folder = packed(at, "erofs", "mkfs.erofs", "--quiet", "-zlz4", "-C65536", "{image}", "{tree}")
    return "files-read", folder, 24, 512


@workload("squashfs read", "a file of 512 KiB, compressed with zstd", ("squashfs", "brd"), ("mksquashfs",))
def squashfs_read(at):
    folder = packed(at, "squashfs", "mksquashfs", "{tree}", "{image}", "-quiet", "-no-progress", "-comp", "zstd")
    return "files-read", folder, 24, 512


@workload("xfs attributes", "an attribute of 60,000 bytes, set or read", ("xfs", "brd"), ("mkfs.xfs",))
def xfs_attributes(at):
    device = ram_disk(at, 320)
    run("mkfs.xfs", "-q", "-f", device)
    return "attributes", "xfs", device, at.mount("xfs", device), 20, 60_000


@workload("zram", "64 KiB of a disk, written or read", ("zram",))
def zram(at):
    at.load("zram", "num_devices=1")
    return "zram", "zram0", 8


# ---- network, bpf, io_uring ----

@workload("nft", "a table of 1,000 rules, replaced", ("nf_tables",), ("nft",))
def nft(at):
    at.load("nf_tables")
    at.callback(run, "nft", "flush", "ruleset")
    return "nft", WORK, 1000, 1


@workload("socket filters", "a filter detached, another attached")
def socket_filters(_):
    return "filters", 400


@workload("bpf arrays", "a map of 64 KiB created, used, closed")
def bpf_arrays(_):
    return "arrays", 150


@workload("bpf mmapable", "a map of 64 KiB created, mapped, used, closed")
def bpf_mmapable(_):
    return "mmapable-arrays", 150


@workload("bpf ring buffers", "a buffer of 64 KiB created, mapped, closed")
def bpf_ring_buffers(_):
    return "ring-buffers", 150


@workload("io_uring", "a ring of 256 entries set up, used, closed")
def io_uring(_):
    return "io-uring", 150


# ---- tasks and modules ----

@workload("forks", "a process created", targets="stacks")
def forks(_):
    return "forks", 60


@workload("threads", "a thread created", targets="stacks")
def threads(_):
    return "threads", 200


@workload("modules", "a module of 380 KB loaded and unloaded", ("erofs",))
def module_loads(at):
    file = run(WORK / "modprobe", "--show-depends", "erofs").splitlines()[-1].split()[1]
    # With what it needs, which then stays.
    at.load("erofs")
    run("rmmod", "erofs")
    return "modules", file, 4


@workload("mix", "f2fs, filters, maps, rings and threads at the same time", targets=f"{USUAL} stacks", **F2FS)
def mixed(at):
    parts = [f2fs_write(at), ("filters", 200), ("mmapable-arrays", 60), ("ring-buffers", 60), ("io-uring", 60),
             ("threads", 100)]
    words = []
    for part in parts:
        words += [*part, "--"]
    return "mix", *words[:-1]
