# SPDX-License-Identifier: GPL-2.0-only
"""Code that kprobes cannot probe: entry code, and the code that handles probes."""

import struct
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from mmrace.errors import UserError
from mmrace.symbols.resolve import Resolved

# Sections of such code, by their boundary symbols.
_SECTIONS = ("__kprobes_text", "__noinstr_text", "__entry_text")
_LIST = ("__start_kprobe_blacklist", "__stop_kprobe_blacklist")


@dataclass(frozen=True)
class Unprobeable:
    """Half-open address ranges, each with the name of its function or section."""

    ranges: tuple[tuple[int, int, str], ...]

    def why_not(self, address: int) -> str:
        """Name the function or section that makes an address unprobeable, "" when none does."""
        return next((name for low, high, name in self.ranges if low <= address < high), "")

    def check(self, point: Resolved) -> None:
        """Raise UserError, naming the point, when a kprobe cannot be placed at it."""
        if point.gate:
            raise UserError(
                f"`{point.point}`: in this kernel other code reaches that place too,"
                " which a kprobe cannot tell apart; steer by the director"
            )
        for address in point.addresses:
            if name := self.why_not(address):
                raise UserError(
                    f"`{point.point}`: {name} cannot be probed (noinstr, __kprobes); "
                    "say --steer-by director"
                )


def read_unprobeable(vmlinux: Path, symbols: Path) -> Unprobeable:
    """Read a kernel's vmlinux and its System.map; UserError when they cannot be read."""
    try:
        lines = symbols.read_text(encoding="ascii").splitlines()
        known = [(int(word[0], 16), word[2]) for word in map(str.split, lines) if len(word) == 3]
        at = {name: address for address, name in known}
        listed = _words(vmlinux, at.get(_LIST[0], 0), at.get(_LIST[1], 0))
    except (OSError, ValueError) as error:
        raise UserError(f"{symbols}: cannot be read: {error}; build the kernel again") from error
    starts = sorted({address for address, _ in known})
    names = dict(known)
    ranges = [
        (at[f"{name}_start"], at[f"{name}_end"], name.strip("_"))
        for name in _SECTIONS
        if f"{name}_start" in at and f"{name}_end" in at
    ]
    for address in listed:
        after = bisect_right(starts, address)
        end = starts[after] if after < len(starts) else address + 1
        ranges.append((address, end, names.get(address, hex(address))))
    return Unprobeable(tuple(ranges))


def _words(vmlinux: Path, start: int, end: int) -> tuple[int, ...]:
    """Read the 64-bit words of the vmlinux between two addresses."""
    if start == end:
        return ()
    with vmlinux.open("rb") as file:
        offsets = list(ELFFile(file).address_offsets(start, end - start))
        if not offsets:
            raise ValueError(f"no data at {start:#x}")
        file.seek(offsets[0])
        return struct.unpack(f"<{(end - start) // 8}Q", file.read((end - start) // 8 * 8))
