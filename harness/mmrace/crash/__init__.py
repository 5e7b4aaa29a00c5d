# SPDX-License-Identifier: GPL-2.0-only
"""Reading a console: which failures a kernel reported, of what kind, where.

No side effects; linear in the input. Formats are data (``mmrace.crash.formats``), as are the
functions that are not to blame (``mmrace.crash.helpers``).
"""

from collections.abc import Iterator
from typing import BinaryIO

from mmrace.crash.backtrace import Frame
from mmrace.crash.kind import Kind
from mmrace.crash.parser import Parser
from mmrace.crash.values import CorruptedReason, Crash, report_text

__all__ = [
    "CorruptedReason",
    "Crash",
    "Frame",
    "Kind",
    "Parser",
    "parse",
    "parse_stream",
    "report_text",
]

_PART = 256 * 1024  # bytes read of a stream at one time


def parse(data: bytes) -> tuple[Crash, ...]:
    """Find all failures in a console log, in the order of their first bytes."""
    parser = Parser()
    return (*parser.feed(data), *parser.finish())


def parse_stream(stream: BinaryIO) -> Iterator[Crash]:
    """Find the failures in a console log of any length, one after the other; none is kept."""
    parser = Parser()
    while part := stream.read(_PART):
        yield from parser.feed(part)
    yield from parser.finish()
