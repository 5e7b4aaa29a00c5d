# SPDX-License-Identifier: GPL-2.0-only
"""Which lines announce a crash, and which of those are part of the report that is being read."""

import re

from mmrace.crash.dmesg import Line
from mmrace.crash.formats import CONSEQUENCE, TABLES, TRIGGERS, Format
from mmrace.crash.kind import DIE, PANICS, Kind
from mmrace.crash.report import Report

HEADER = 512  # characters of a line among which its header stands
NEAR = 4096  # bytes between a prelude and its header
TRIGGER = re.compile("|".join(re.escape(word) for word in TRIGGERS))
_TRIGGER_BYTES = tuple(word.encode() for word in TRIGGERS)


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


def trigger_lines(block: bytes) -> list[int]:
    """Offsets of the lines of a block that have a trigger word, in order."""
    found = set()
    for word in _TRIGGER_BYTES:
        position = block.find(word)
        while position >= 0:
            found.add(block.rfind(b"\n", 0, position) + 1)
            position = block.find(word, block.find(b"\n", position))
    return sorted(found)
