# SPDX-License-Identifier: GPL-2.0-only
"""Which lines announce a crash, and which of those are part of the report that is being read."""

import re
from functools import lru_cache
from typing import NamedTuple

from mmrace.crash.dmesg import Line
from mmrace.crash.formats import (
    CONSEQUENCE,
    HARMLESS,
    NOT_A_CRASH,
    PRELUDE,
    PRELUDES,
    TABLES,
    TRIGGERS,
    Format,
)
from mmrace.crash.kind import DIE, PANICS, Kind
from mmrace.crash.report import Report

NEAR = 4096  # bytes between a prelude and its header
_TRIGGER_BYTES = tuple(word.encode() for word in TRIGGERS)
_NEXT, _FAR = 1024, 64 * 1024  # bytes that are searched for a trigger word at first, and at most


class Announcement(NamedTuple):
    """What a line announces: a trace of no failure, a prelude (kind, title, match), a report."""

    harmless: bool
    prelude: tuple[Kind | None, str, re.Match[str]] | None
    header: tuple[Format, re.Match[str]] | None


@lru_cache(maxsize=1024)
def announcement(text: str) -> Announcement | None:
    """Read the first ``HEADER`` characters of a line that has a trigger word."""
    if NOT_A_CRASH.search(text):
        return None
    if HARMLESS.search(text):
        return Announcement(True, None, None)
    for kind, pattern, words in PRELUDES if PRELUDE.search(text) else ():
        if match := pattern.search(text):
            return Announcement(False, (kind, words, match), None)
    found = header_of(text)
    return found and Announcement(False, None, found)


def header_of(text: str) -> tuple[Format, re.Match[str]] | None:
    """Find the format that a line is the header of."""
    for worth, table in TABLES:
        if not worth.search(text):
            continue
        for form in table:
            if match := form.header.search(text):
                return form, match
    return None


def absorbs(report: Report, form: Format, line: Line) -> bool:
    """Whether a header inside an open report is part of that report."""
    if form.kind in PANICS:
        return report.kind.fatal or not report.framed or bool(CONSEQUENCE.search(line.text))
    if line.start - report.end > NEAR:
        return False  # others printed so much that this is another one
    if report.form.announces and form.kind in (Kind.WARNING, Kind.BUG):
        return report.lines <= 3 and not form.announces
    if report.kind in DIE and form.kind in DIE and not report.tail:
        return not report.framed or (report.mixed and not report.pointed)
    if report.framed or report.tail:
        return False
    again = form.kind is report.form.kind and (report.lines <= 3 or not form.stack)
    return again and form.kind is not Kind.HUNG_TASK


def next_trigger(block: bytes, position: int) -> int:
    """Offset of the first line that has a trigger word, from a line's offset on; or the end's."""
    width = _NEXT
    while position < len(block):
        stop = block.find(b"\n", position + width) + 1 or len(block)
        first = stop
        for word in _TRIGGER_BYTES:
            at = block.find(word, position, first)
            first = first if at < 0 else at
        if first < stop:
            return block.rfind(b"\n", position, first) + 1 or position
        position, width = stop, min(width * 4, _FAR)
    return len(block)
