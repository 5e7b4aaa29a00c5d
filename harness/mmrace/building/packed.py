# SPDX-License-Identifier: GPL-2.0-only
"""Configs as distributions keep them: as text, or packed (``/proc/config.gz``, ``config.xz``)."""

import bz2
import gzip
import lzma
import shutil
from pathlib import Path
from typing import BinaryIO, cast

from mmrace.errors import UserError
from mmrace.proc import run

_LARGEST = 16 << 20  # bytes of a config
# How files begin: RFC 1952, the xz file format, bzip2, RFC 8878.
_GZIP = b"\x1f\x8b"
_XZ = b"\xfd7zXZ\0"
_BZIP2 = b"BZh"
_ZSTD = b"\x28\xb5\x2f\xfd"


def read_config(path: Path) -> str:
    """Read a config, packed or not; UserError when it cannot be read as text."""
    try:
        with path.open("rb") as file:
            begin = file.read(8)
        if begin.startswith(_ZSTD):
            raw = _zstd(path)
        else:
            with _opened(path, begin) as file:
                raw = file.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            raise UserError(f"{path}: larger than {_LARGEST >> 20} MiB; give a kernel config")
        return raw.decode()
    except (OSError, EOFError, ValueError, lzma.LZMAError) as error:
        raise UserError(f"{path}: cannot be read as text: {error}; give a kernel config") from error


def _opened(path: Path, begin: bytes) -> BinaryIO:
    if begin.startswith(_GZIP):
        return cast(BinaryIO, gzip.open(path))
    if begin.startswith(_XZ):
        return cast(BinaryIO, lzma.open(path))
    return cast(BinaryIO, bz2.open(path)) if begin.startswith(_BZIP2) else path.open("rb")


def _zstd(path: Path) -> bytes:
    # Python has no zstd before 3.14.
    if not shutil.which("zstd"):
        raise UserError(f"{path}: zstd is not installed; apt-get install zstd, or unpack the file")
    done = run(["zstd", "--decompress", "--stdout", "--quiet", path], deadline=60)
    if done.returncode:
        raise UserError(f"{path}: {done.errors.strip() or 'zstd cannot read it'}; unpack it")
    return done.stdout
