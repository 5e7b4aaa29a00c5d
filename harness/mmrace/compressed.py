# SPDX-License-Identifier: GPL-2.0-only
"""Compressed files, known by their first bytes: gzip, xz, bzip2, zstd."""

import bz2
import gzip
import importlib
import io
import lzma
import sys
from typing import IO, BinaryIO, cast

from mmrace.errors import UserError

MOST = 1 << 28  # bytes that a compressed text may expand to
# Imported when it is needed: the standard library has it from Python 3.14 on.
_ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"


def reader(stream: BinaryIO) -> IO[bytes]:
    """Return what reads a seekable stream expanded; the stream itself when it is not compressed."""
    magic = stream.read(6)
    stream.seek(-len(magic), io.SEEK_CUR)
    if magic.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(stream))
    if magic.startswith(b"\xfd7zXZ"):
        return lzma.open(stream)
    if magic.startswith(b"BZh"):
        return bz2.open(stream)
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return cast(IO[bytes], importlib.import_module(_ZSTD).open(stream))
    return stream


def expand(name: str, raw: bytes, most: int = MOST) -> bytes:
    """Return bytes expanded as often as they are compressed.

    Raises UserError when they are damaged, or come to more than ``most`` bytes.
    """
    while True:
        source = io.BytesIO(raw)
        stream = reader(source)
        if stream is source:
            return raw
        try:
            raw = stream.read(most + 1)
        except Exception as error:  # each library has errors of its own
            raise UserError(
                f"{name}: damaged or truncated compressed file: {error}; expand it by hand"
            ) from error
        if len(raw) > most:
            raise UserError(f"{name}: expands to more than {most >> 20} MiB; expand it by hand")
