# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel can count, from its files: vmstat counters, and functions by name."""

import re
import struct
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from mmrace.errors import UserError

_VMSTAT = "vmstat_text"  # in mm/vmstat.c: the names in /proc/vmstat, in order
_LONGEST = 64  # bytes of a counter's name, at most
_NAME = re.compile(rb"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class KernelCounters:
    """Names in /proc/vmstat (None: not found in the kernel's files), and of functions."""

    vmstat: frozenset[str] | None
    functions: frozenset[str]


def read_counters(vmlinux: Path, symbols: Path) -> KernelCounters:
    """Read a kernel's vmlinux and its System.map; UserError when they cannot be read."""
    try:
        lines = symbols.read_text(encoding="ascii").splitlines()
        known = [(int(word[0], 16), word[1], word[2]) for word in map(str.split, lines) if word[2:]]
        # gcc appends a suffix to the name of a static function whose arguments it changed.
        code = {name.partition(".")[0] for _, kind, name in known if kind in "tTwW"}
        table = next((address for address, _, name in known if name == _VMSTAT), None)
        if table is None:
            return KernelCounters(None, frozenset(code))
        starts = sorted({address for address, _, _ in known})
        after = bisect_right(starts, table)
        end = starts[after] if after < len(starts) else table
        return KernelCounters(_names(vmlinux, table, end), frozenset(code))
    except (OSError, ValueError, ELFError) as error:
        raise UserError(f"{symbols}: cannot be read: {error}; build the kernel again") from error


def _names(vmlinux: Path, start: int, end: int) -> frozenset[str]:
    """Read the strings of an array of pointers; null pointers (padding) may follow."""
    with vmlinux.open("rb") as file:
        elf = ELFFile(file)

        def read(address: int, size: int) -> bytes:
            offset = next(iter(elf.address_offsets(address)), None)
            if offset is None:
                return b""
            file.seek(offset)
            return file.read(size)

        words = read(start, (end - start) // 8 * 8)
        pointers = struct.unpack(f"<{len(words) // 8}Q", words)
        texts = [read(pointer, _LONGEST).partition(b"\0")[0] for pointer in pointers if pointer]
    return frozenset(text.decode() for text in texts if _NAME.fullmatch(text))
