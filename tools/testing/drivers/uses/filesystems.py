# SPDX-License-Identifier: GPL-2.0
"""Filesystems on a loop device: a tree is written, the device mounted again, the tree compared."""

import os

from .machine import WORK, collection, compare, fill, forget, run, unmount

USES, use = collection()


def attributes(folder, size, number=20):
    """Writes extended attributes, returns a function that compares them."""
    paths = [folder / f"with-attributes-{index}" for index in range(number)]
    values = {path: os.urandom(size) for path in paths}
    for path, value in values.items():
        path.touch()
        os.setxattr(path, "user.large", value)

    def same():
        for path, value in values.items():
            assert os.getxattr(path, "user.large") == value, f"{path}: another attribute than was written"

    return same


def crowd(folder, number):
    """A folder of many names; returns a function that compares them."""
    crowded = folder / "crowded"
    crowded.mkdir()
    names = {f"a-rather-long-name-of-a-file-{index:06}" for index in range(number)}
    for name in names:
        (crowded / name).touch()

    def same():
        assert set(os.listdir(crowded)) == names, "the folder has other names than were made"

    return same


def twice(at, kind, device, options="defaults", **size):
    """Writes, unmounts, mounts, compares."""
    folder = at.mount(kind, device, options)
    wanted = fill(folder, **size)
    compare(folder, wanted)
    unmount(folder)
    forget()
    compare(at.mount(kind, device, options), wanted)
    unmount(folder)


@use("btrfs")
def btrfs(at):
    """Files compressed with zlib, lzo and zstd."""
    for compressor in "zlib", "lzo", "zstd":
        device = at.disk(f"btrfs-{compressor}", 200)
        run("mkfs.btrfs", "--quiet", device)
        twice(at, "btrfs", device, f"compress-force={compressor}", mebibytes=6)


@use("ext4")
def ext4(at):
    """Files and attributes of 60,000 bytes, on a sparse disk of 300 GB."""
    device = at.disk("ext4", 300_000)
    run("mkfs.ext4", "-q", "-O", "ea_inode", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-J", "size=8",
        "-N", "20000", device)
    folder = at.mount("ext4", device)
    same = attributes(folder, 60_000)
    wanted = fill(folder)
    unmount(folder)
    forget()
    at.mount("ext4", device)
    same()
    compare(folder, wanted)


@use("f2fs")
def f2fs(at):
    """Files compressed with lz4, lzo, lzo-rle and zstd, whose pages vm_map_ram() maps."""
    for compressor in "lz4", "lzo", "lzo-rle", "zstd":
        device = at.disk(f"f2fs-{compressor}", 100)
        run("mkfs.f2fs", "-q", "-O", "extra_attr,compression", device)
        twice(at, "f2fs", device, f"compress_algorithm={compressor},compress_extension=*", mebibytes=6)


@use("xfs")
def xfs(at):
    """Files, attributes of 60,000 bytes, and a folder of 3,000 names in blocks of 64 KiB."""
    device = at.disk("xfs", 320)
    run("mkfs.xfs", "-q", "-n", "size=64k", device)
    folder = at.mount("xfs", device)
    same = attributes(folder, 60_000)
    same_names = crowd(folder, 3_000)
    wanted = fill(folder)
    unmount(folder)
    forget()
    at.mount("xfs", device)
    same()
    same_names()
    compare(folder, wanted)


@use("jfs")
def jfs(at):
    """Files."""
    device = at.disk("jfs", 32)
    run("mkfs.jfs", "-q", device)
    twice(at, "jfs", device)


@use("ntfs")
def ntfs(at):
    """Files."""
    device = at.disk("ntfs", 64)
    run("mkntfs", "-Q", "-F", "-q", device)
    twice(at, "ntfs", device)


@use("exfat")
def exfat(at):
    """Files."""
    device = at.disk("exfat", 64)
    run("mkfs.exfat", device)
    twice(at, "exfat", device)


@use("udf")
def udf(at):
    """Files, on a disk with a bitmap of free blocks."""
    device = at.disk("udf", 4096)
    run("mkudffs", "--blocksize=512", device)
    twice(at, "udf", device)


def packed(at, kind, name, *command):
    """Makes an image of a tree by a program, mounts it, compares it."""
    tree = WORK / "tree"
    run("rm", "-rf", tree)
    tree.mkdir()
    wanted = fill(tree, mebibytes=6)
    image = WORK / f"{kind}-{name}"
    image.unlink(missing_ok=True)
    at.callback(image.unlink, missing_ok=True)
    run(*(word.format(tree=tree, image=image) for word in command))
    folder = at.mount(kind, at.loop(image), "ro")
    compare(folder, wanted)
    unmount(folder)
    run("rm", "-rf", tree)


@use("erofs")
def erofs(at):
    """Images packed with lz4, lzma, deflate and zstd, whose pages vm_map_ram() maps."""
    for compressor in "lz4", "lzma", "deflate", "zstd":
        packed(at, "erofs", compressor, "mkfs.erofs", "--quiet", f"-z{compressor}", "-C65536", "{image}", "{tree}")


@use("squashfs")
def squashfs(at):
    """Images packed with gzip, lzo, lz4, xz and zstd."""
    for compressor in "gzip", "lzo", "lz4", "xz", "zstd":
        packed(at, "squashfs", compressor, "mksquashfs", "{tree}", "{image}", "-quiet", "-no-progress",
               "-comp", compressor)
