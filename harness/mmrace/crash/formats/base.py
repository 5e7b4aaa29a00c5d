# SPDX-License-Identifier: GPL-2.0-only
"""What one format is."""

import re
from dataclasses import dataclass
from enum import Enum, auto

from mmrace.crash.helpers import SKIP, Names
from mmrace.crash.kind import Kind


class Use(Enum):
    """Which function of a report matters."""

    NONE = auto()  # no function belongs to this kind
    TRACE = auto()  # first good frame of the call trace
    POINTER = auto()  # where the CPU was (RIP), then the trace
    HEADER = auto()  # named in the header, then the trace
    WAIT = auto()  # a task waits: who, or for what everybody waits
    LOOP = auto()  # a CPU loops somewhere: what it was asked to do, not where the tick came


class Proof(Enum):
    """What a header has to show before it counts."""

    NONE = auto()  # nothing: only failures print this
    STAMP = auto()  # printk's time, or a call trace behind it
    TRACE = auto()  # a call trace behind it


@dataclass(frozen=True)
class Format:
    """One way to announce a failure.

    ``header`` is searched for in a cleaned line; ``title`` may use its groups and gets
    " in FUNCTION" unless ``use`` is NONE. ``named``: a line of the report that names the function
    (group ``at``), better than the trace. ``after``: frames before this line belong to something
    else. ``stack``: without frames the report was cut off. ``announces``: a WARN or BUG right
    behind it is a part of it. ``headless``: a line of a report's body, which counts where no header
    was.
    """

    kind: Kind
    header: re.Pattern[str]
    title: str = "{text}"
    use: Use = Use.TRACE
    skip: Names = SKIP
    named: re.Pattern[str] | None = None
    after: re.Pattern[str] | None = None
    stack: bool = True
    proof: Proof = Proof.NONE
    announces: bool = False
    headless: bool = False


NAME = r"[A-Za-z_][\w.$]*"
AT = rf"(?P<at>{NAME})(?:\+0x[0-9a-f]+)?"
NUMBER = r"(?::? ?(?:0x)?[0-9a-f]{1,16})? ?\[#?\d+\]"  # error code and count of die()
# What comes before the trace of the reporting task, which dump_stack() names.
_REPORTER = r"CPU: \d+ (?:UID: \d+ )?PID: \d+ Comm: "
CALL_TRACE = re.compile(rf"\s*(?:(?:Call Trace|Call trace|Backtrace|backtrace):?|{_REPORTER})")
BACKTRACE = re.compile(rf"\s*(?:(?:stack backtrace|[Cc]all [Tt]race|[Bb]acktrace):|{_REPORTER})")


def says(text: str) -> re.Pattern[str]:
    """Header that may stand behind a subsystem's name or a user's unfinished line."""
    return re.compile(text)


def starts(text: str) -> re.Pattern[str]:
    """Header that begins its line."""
    return re.compile(r"\A" + text)
