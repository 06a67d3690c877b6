# SPDX-License-Identifier: GPL-2.0
"""Targets of the device mapper, on loop devices."""

import hashlib
import os

from .machine import MIB, Failed, check, collection, read_blocks, run, same_blocks, some_bytes, wait, write_and_compare, \
    write_blocks

USES, use = collection()
SECTOR = 512


def mapped(at, name, *table, options=()):
    """A device of one target, or of many lines; the use, or its end, removes it."""
    run("dmsetup", "create", name, *options, text="\n".join(table) + "\n")
    at.callback(unmap, name)
    return f"/dev/mapper/{name}"


def unmap(name):
    if os.path.exists(f"/dev/mapper/{name}"):
        run("dmsetup", "remove", "--retry", name)


def refused(path, offset):
    """The device must not give this block."""
    try:
        read_blocks(path, 4096, offset)
    except OSError:
        return
    raise Failed(f"{path} gives a block that was changed below it")


def sectors(mebibytes):
    return mebibytes * MIB // SECTOR


@use("dm-mod")
def dm_linear(at):
    """A table of 1,000 pieces in reverse order."""
    device = at.disk("linear", 32)
    lines = [f"{index * 16} 16 linear {device} {(999 - index) * 16}" for index in range(1000)]
    size = 1000 * 16 * SECTOR
    data = some_bytes(size, "linear")
    write_blocks(mapped(at, "linear", *lines), data)
    found = read_blocks(device, size)
    piece = 16 * SECTOR
    for index in range(1000):
        there = (999 - index) * piece
        check(found[there:there + piece] == data[index * piece:(index + 1) * piece], f"piece {index} differs")


@use("dm-snapshot")
def dm_snapshot(at):
    """Old contents stay in persistent and transient snapshots while the origin changes."""
    origin, kept, changed = at.disk("origin", 32), at.disk("kept", 32), at.disk("changed", 32)
    old = write_and_compare(origin, 8, "old")
    on = mapped(at, "origin", f"0 {sectors(32)} snapshot-origin {origin}")
    persistent = mapped(at, "persistent", f"0 {sectors(32)} snapshot {origin} {kept} P 8")
    transient = mapped(at, "transient", f"0 {sectors(32)} snapshot {origin} {changed} N 8")
    run("dmsetup", "suspend", "origin")
    run("dmsetup", "resume", "origin")
    write_and_compare(on, 4, "new")
    same_blocks(persistent, old)
    same_blocks(transient, old)


@use("dm-switch")
def dm_switch(at):
    """Regions of two disks in turn, which a message sets."""
    first, second = at.disk("first", 16), at.disk("second", 16)
    path = mapped(at, "switch", f"0 {sectors(16)} switch 2 8 0 {first} 0 {second} 0")
    # All regions are on the first disk, until a message says otherwise.
    run("dmsetup", "message", "switch", "0", "set_region_mappings", *(f"{region:x}:1" for region in range(1, 64, 2)))
    data = write_and_compare(path, 1, "switch")
    on_first, on_second = read_blocks(first, MIB), read_blocks(second, MIB)
    for region in range(64):
        there = slice(region * 4096, (region + 1) * 4096)
        check((on_second if region % 2 else on_first)[there] == data[there], f"region {region} is on the other disk")


@use("dm-writecache")
def dm_writecache(at):
    """Blocks through a cache, and on the disk after a flush."""
    origin, cache = at.disk("origin", 32), at.disk("cache", 16)
    path = mapped(at, "writecache", f"0 {sectors(32)} writecache s {origin} {cache} 4096 0")
    data = write_and_compare(path, 8)
    run("dmsetup", "message", "writecache", "0", "flush_on_suspend")
    run("dmsetup", "suspend", "writecache")
    same_blocks(origin, data)
    run("dmsetup", "resume", "writecache")


@use("dm-integrity")
def dm_integrity(at):
    """Blocks with checksums and a journal; one that was changed below is refused."""
    device = at.disk("integrity", 32)
    mapped(at, "format", f"0 1 integrity {device} 0 32 J 1 internal_hash:sha256")
    size = run("dmsetup", "status", "format").split()[4]
    unmap("format")
    table = f"0 {size} integrity {device} 0 32 J 1 internal_hash:sha256"
    data = write_and_compare(mapped(at, "integrity", table), 8)
    unmap("integrity")
    below = read_blocks(device, 32 * MIB).index(data[:SECTOR])
    write_blocks(device, bytes(SECTOR), below)
    refused(mapped(at, "integrity", table), 0)


@use("dm-era")
def dm_era(at):
    """Blocks on a disk whose writes are counted in eras."""
    notes, device = at.disk("notes", 16), at.disk("era", 128)
    path = mapped(at, "era", f"0 {sectors(128)} era {notes} {device} 8")
    data = write_and_compare(path, 8)
    run("dmsetup", "message", "era", "0", "checkpoint")
    same_blocks(device, data)


@use("dm-cache-smq")
def dm_cache(at):
    """Blocks through a cache that writes back."""
    notes, cache, origin = at.disk("notes", 8), at.disk("cache", 16), at.disk("origin", 64)
    path = mapped(at, "cache", f"0 {sectors(64)} cache {notes} {cache} {origin} 64 1 writeback smq 0")
    data = write_and_compare(path, 8)
    for _ in range(5):
        same_blocks(path, data)


@use("dm-thin-pool", "dm-bufio")
def dm_thin(at):
    """A thin volume and its snapshot."""
    notes, device = at.disk("notes", 8), at.disk("pool", 64)
    mapped(at, "pool", f"0 {sectors(64)} thin-pool {notes} {device} 128 0")
    run("dmsetup", "message", "pool", "0", "create_thin 0")
    path = mapped(at, "thin", f"0 {sectors(512)} thin /dev/mapper/pool 0")
    old = write_and_compare(path, 8, "old", offset=256 * MIB)
    run("dmsetup", "suspend", "thin")
    run("dmsetup", "message", "pool", "0", "create_snap 1 0")
    run("dmsetup", "resume", "thin")
    snapshot = mapped(at, "snapshot", f"0 {sectors(512)} thin /dev/mapper/pool 1")
    write_and_compare(path, 4, "new", offset=256 * MIB)
    same_blocks(snapshot, old, offset=256 * MIB)


@use("dm-clone")
def dm_clone(at):
    """A disk that is copied while it is read."""
    notes, target, source = at.disk("notes", 8), at.disk("target", 64), at.disk("source", 64)
    data = write_and_compare(source, 8)
    path = mapped(at, "clone", f"0 {sectors(64)} clone {notes} {target} {source} 8 1 no_hydration")
    same_blocks(path, data)
    run("dmsetup", "message", "clone", "0", "enable_hydration")

    def copied():
        done, _, regions = run("dmsetup", "status", "clone").split()[6].partition("/")
        return done == regions

    wait(copied, "the copy is never complete", 60)
    same_blocks(target, data)


@use("dm-log", "dm-region-hash")
def dm_mirror(at):
    """Two disks with the same blocks, and a log of what differs."""
    first, second = at.disk("first", 32), at.disk("second", 32)
    old = write_and_compare(first, 4, "old")
    path = mapped(at, "mirror", f"0 {sectors(32)} mirror core 1 64 2 {first} 0 {second} 0")
    wait(lambda: f"{sectors(32) // 64}/{sectors(32) // 64}" in run("dmsetup", "status", "mirror"),
         "the mirror is never whole", 60)
    same_blocks(second, old)
    data = write_and_compare(path, 8, "new")
    same_blocks(first, data)
    same_blocks(second, data)


@use("raid456")
def dm_raid(at):
    """RAID 5 on three disks; one of them fails, and the blocks are still right."""
    disks = [at.disk(f"part-{index}", 16) for index in range(3)]
    parts = " ".join(f"- {disk}" for disk in disks)
    path = mapped(at, "raid", f"0 {sectors(16)} raid raid5_ls 1 1024 3 {parts}")
    data = write_and_compare(path, 8)
    unmap("raid")
    parts = " ".join(["- -"] + [f"- {disk}" for disk in disks[1:]])
    path = mapped(at, "raid", f"0 {sectors(16)} raid raid5_ls 1 1024 3 {parts}")
    same_blocks(path, data)


def hashed(data, block, salt):
    """The digest of each block."""
    return [hashlib.sha256(salt + data[start:start + block]).digest() for start in range(0, len(data), block)]


@use("dm-verity")
def dm_verity(at):
    """Blocks checked against a tree of hashes; a changed one is refused."""
    block, blocks = SECTOR, 65536
    device, hashes = at.disk("data", blocks * block // MIB), at.disk("hashes", 4)
    data = some_bytes(blocks * block, "verity")
    write_blocks(device, data)
    salt = b"salt"
    level = hashed(data, block, salt)
    levels = []
    while len(level) > 1:
        packed = b"".join(level)
        packed += bytes(-len(packed) % block)
        levels.insert(0, packed)
        level = hashed(packed, block, salt)
    write_blocks(hashes, b"".join(levels))
    table = (f"0 {sectors(blocks * block // MIB)} verity 1 {device} {hashes} {block} {block} {blocks} 0 sha256 "
             f"{level[0].hex()} {salt.hex()} 1 check_at_most_once")
    same_blocks(mapped(at, "verity", table, options=["--readonly"]), data)
    unmap("verity")
    write_blocks(device, bytes(SECTOR), 100 * block)
    refused(mapped(at, "verity", table, options=["--readonly"]), 100 * block)
