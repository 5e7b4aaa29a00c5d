# SPDX-License-Identifier: GPL-2.0-only
"""What reading a console gives: crashes, their reports, and lines that announce one."""

from dataclasses import dataclass

from mmrace.crash import dmesg
from mmrace.crash.backtrace import Frame
from mmrace.crash.kind import Kind


@dataclass(frozen=True, slots=True)
class Crash:
    """One failure that a kernel reported.

    ``title``: kind in the kernel's words + " in " + ``function``; ``alt_titles`` are other names
    for the same. ``start`` and ``end``: bytes of the log. ``corrupted``: torn, mixed or too short
    to be trusted. ``caller`` is PRINTK_CALLER's id, ``""`` where it is off.
    """

    kind: Kind
    title: str
    alt_titles: tuple[str, ...]
    function: str
    start: int
    end: int
    corrupted: bool
    frames: tuple[Frame, ...]
    caller: str = ""


@dataclass
class Prelude:
    """A line before a header that belongs to the report."""

    kind: Kind | None
    title: str
    start: int
    end: int


def report_text(data: bytes, crash: Crash) -> str:
    """Report of one crash without prefixes and escapes, lines of other callers left out."""
    kept = []
    position = crash.start
    for raw in data[crash.start : crash.end].splitlines(keepends=True):
        for line in dmesg.split(raw, position):
            if not crash.caller or line.caller in ("", crash.caller):
                kept.append(line.text)
        position += len(raw)
    return "\n".join(kept)
