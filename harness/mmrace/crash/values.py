# SPDX-License-Identifier: GPL-2.0-only
"""What reading a console gives: crashes, their reports, and lines that announce one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from mmrace.crash import dmesg
from mmrace.crash.backtrace import Frame
from mmrace.crash.kind import Kind


class CorruptedReason(StrEnum):
    """Why a report cannot be trusted to be whole."""

    HEADER_LOST = "header lost"
    BEFORE_TRACE = "cut before the trace"
    INSIDE_TRACE = "cut inside the trace"
    GUESSED = "only guessed frames"
    MIXED = "another task's lines inside"
    NO_FUNCTION = "no function left"


@dataclass(frozen=True, slots=True)
class Crash:
    """One failure that a kernel reported.

    ``title``: kind in the kernel's words + " in " + ``function``; ``alt_titles`` are other names
    for the same. ``function`` is empty where no function is to blame, or only helpers were
    printed. ``start`` and ``end``: bytes of the log. ``corrupted``: why the report is not whole,
    None when it is. ``caller`` is PRINTK_CALLER's id, ``""`` where it is off.
    """

    kind: Kind
    title: str
    alt_titles: tuple[str, ...]
    function: str
    start: int
    end: int
    corrupted: CorruptedReason | None
    frames: tuple[Frame, ...]
    caller: str = ""


@dataclass
class Prelude:
    """A line before a header that belongs to the report."""

    kind: Kind | None
    title: str
    start: int
    end: int


def report_text(data: bytes | bytearray, crash: Crash) -> str:
    """Report of one crash without prefixes and escapes, lines of other callers left out."""
    kept = []
    whole = bytes(data[crash.start : crash.end])
    for match in dmesg.LINE.finditer(whole if whole.endswith(b"\n") else whole + b"\n"):
        for line in _lines(match):
            if not crash.caller or line[0] in ("", crash.caller):
                kept.append(line[1])
    return "\n".join(kept)


def _lines(match: re.Match[bytes]) -> Iterator[tuple[str, str]]:
    """Caller and text of each message in a raw line; most have printk's own prefix and no more."""
    _, name, rest = match.groups()
    plain = None
    if rest is not None and len(rest) <= dmesg.MAX_LINE:
        plain = dmesg.message(rest.rstrip(b"\r"))
    if plain is not None:
        yield (name.decode("ascii") if name else ""), plain
        yield from [("", "")] * (len(rest) - len(rest.rstrip(b"\r")) - 1)
        return
    for raw in match[0].splitlines():
        for line in dmesg.split(raw, 0):
            yield line.caller, line.text
