# SPDX-License-Identifier: GPL-2.0-only
"""A whole console log: its crashes and, with a vmlinux, lines of source."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmrace import crash
from mmrace.home import Home
from mmrace.symbols import decode, identity
from mmrace.symbols.symbolizer import Vmlinux


@dataclass(frozen=True)
class Log:
    """Crashes of a log; with a ``vmlinux`` also all its decoded lines.

    ``notes``: what is missing.
    """

    crashes: tuple[crash.Crash, ...]
    vmlinux: Path | None = None
    decoded: tuple[decode.Decoded, ...] = ()
    notes: tuple[str, ...] = ()


def read_log(home: Home, data: bytes, vmlinux: Path | None = None) -> Log:
    """Parse a console log; with a vmlinux of another kernel, lines are not decoded (noted)."""
    found = tuple(crash.parse(data))
    if not vmlinux:
        return Log(found)
    lines = data.decode(errors="replace").replace("\r", "").replace("\0", "").split("\n")
    decoded, notes = _decoded(lines, Vmlinux(vmlinux, home))
    return Log(found, vmlinux, decoded, notes)


def crashes_of(logs: Iterable[Path]) -> dict[Path, tuple[crash.Crash, ...]]:
    """Return the crashes of console logs of any length, in the order of ``logs``."""
    found = {}
    for log in logs:
        with log.open("rb") as stream:
            found[log] = tuple(crash.parse_stream(stream))
    return found


def _decoded(
    lines: Sequence[str], kernel: Vmlinux
) -> tuple[tuple[decode.Decoded, ...], tuple[str, ...]]:
    if why := identity.stranger(lines, kernel.path):
        plain = tuple(decode.Decoded(line) for line in lines)
        return plain, (f"warning: {why}; frames stay as they are",)
    decoded = decode.decode(lines, kernel.symbols, kernel.places)
    known = any(item.places for item in decoded)
    return decoded, () if known else ("nothing in this log is an address of this vmlinux",)
