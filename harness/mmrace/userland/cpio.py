# SPDX-License-Identifier: GPL-2.0-only
"""The newc cpio format, as Linux reads an initramfs (Documentation/driver-api/early-userspace).

Deterministic: no owner, no time, inode numbers in order. No root is needed for a device node.
"""

import stat
from collections.abc import Iterable
from dataclasses import dataclass

_MAGIC = "070701"
_TRAILER = "TRAILER!!!"
ALIGN = 4


@dataclass(frozen=True)
class Entry:
    """One member: its path without a leading slash, its mode with the file type, its content.

    ``content`` is a file's bytes or a symlink's target; ``device`` is (major, minor) of a node.
    """

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str, mode: int = 0o755) -> Entry:
    """Return a directory."""
    return Entry(path, stat.S_IFDIR | mode)


def file(path: str, content: bytes, mode: int = 0o644) -> Entry:
    """Return a regular file."""
    return Entry(path, stat.S_IFREG | mode, content)


def symlink(path: str, target: str) -> Entry:
    """Return a symbolic link."""
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int, mode: int = 0o600) -> Entry:
    """Return a character device node."""
    return Entry(path, stat.S_IFCHR | mode, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """Pack entries in their order; a directory has to come before what is in it.

    The result's length is a multiple of 4, so that another archive can follow.
    """
    packed = bytearray()
    for number, entry in enumerate(entries, start=1):
        packed += _member(entry, number)
    return bytes(packed + _member(Entry(_TRAILER, 0), 0))


def _member(entry: Entry, number: int) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (
        number,
        entry.mode,
        0,  # uid
        0,  # gid
        links,
        0,  # mtime
        len(entry.content),
        0,  # device of the file system
        0,
        *entry.device,
        len(name),
        0,  # checksum, of the crc variant only
    )
    header = _MAGIC + "".join(f"{value:08X}" for value in fields)
    return _padded(header.encode() + name) + _padded(entry.content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGN)
