# SPDX-License-Identifier: GPL-2.0-only
"""What reading a console gives: crashes, their reports, and lines that announce one."""

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
    position = crash.start
    for raw in bytes(data[crash.start : crash.end]).splitlines(keepends=True):
        for line in dmesg.split(raw, position):
            if not crash.caller or line.caller in ("", crash.caller):
                kept.append(line.text)
        position += len(raw)
    return "\n".join(kept)
