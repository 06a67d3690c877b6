# SPDX-License-Identifier: GPL-2.0
"""Block devices that need no hardware."""

from pathlib import Path

from .machine import MIB, collection, run, same_blocks, some_bytes, wait, write, write_and_compare, write_blocks

USES, use = collection()


@use("zram")
def zram(at):
    """Blocks written and read with each compressor that the kernel has."""
    at.load("zram", "num_devices=1")
    place = Path("/sys/block/zram0")
    choice = (place / "comp_algorithm").read_text(encoding="ascii")
    for compressor in choice.replace("[", "").replace("]", "").split():
        write(place / "comp_algorithm", compressor)
        write(place / "disksize", 32 * MIB)
        data = some_bytes(8 * MIB, compressor)
        write_blocks("/dev/zram0", data)
        same_blocks("/dev/zram0", data)
        write(place / "reset", 1)


@use("null_blk")
def null_blk(at):
    """Zones written in order and read."""
    at.load("null_blk", "nr_devices=1", "memory_backed=1", "zoned=1", "zone_size=1", "gb=1",
            "zone_nr_conv=64", "bs=4096")
    write_and_compare("/dev/nullb0", 4)


@use("scsi_debug")
def scsi_debug(at):
    """A disk in memory, whose store is one large area."""
    at.load("sd_mod")
    at.load("scsi_debug", "dev_size_mb=32", "sector_size=4096")
    at.callback(write, "/sys/bus/pseudo/drivers/scsi_debug/add_host", "-1")
    disks = Path("/sys/block")
    wait(lambda: list(disks.glob("sd*")), "no disk appears")
    device = f"/dev/{next(disks.glob('sd*')).name}"
    wait(lambda: run("blockdev", "--getsize64", device).strip() != "0", "the disk has no size")
    write_and_compare(device, 16)
