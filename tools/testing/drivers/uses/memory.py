# SPDX-License-Identifier: GPL-2.0
"""Memory technology devices: flash that is simulated in memory, and the filesystems for it."""

from .filesystems import twice
from .machine import collection, run

USES, use = collection()


@use("nandsim", "ubi", "ubifs")
def ubifs(at):
    """Files on a volume of simulated NAND flash."""
    at.load("nandsim", "id_bytes=0x20,0xa2,0x00,0x15")
    at.load("ubi")
    run("ubiattach", "/dev/ubi_ctrl", "-m", "0")
    at.callback(run, "ubidetach", "/dev/ubi_ctrl", "-m", "0")
    run("ubimkvol", "/dev/ubi0", "-N", "volume", "-m")
    twice(at, "ubifs", "ubi0:volume", "compr=zlib")


@use("mtdram", "jffs2")
def jffs2(at):
    """Files on simulated NOR flash."""
    at.load("mtdram", "total_size=32768", "erase_size=64")
    twice(at, "jffs2", "mtd0", mebibytes=6)
