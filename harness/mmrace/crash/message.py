# SPDX-License-Identifier: GPL-2.0-only
"""What one message is, in any report."""

import re
from functools import lru_cache
from typing import NamedTuple

from mmrace.crash.backtrace import Frame, parse_frame, parse_pointer
from mmrace.crash.formats import TRIGGERS
from mmrace.crash.formats.body import BODY, CPU, REGISTERS, TAIL
from mmrace.crash.trace import END, FOREIGN, IRQ_END, NEXT, OVER

HEADER = 512  # characters of a line among which its header stands
TRIGGER = re.compile("|".join(re.escape(word) for word in TRIGGERS))
_KEPT = 8192  # different messages that are remembered


class Message(NamedTuple):
    """A message: what a report has to know of it, each from its text alone.

    ``telling``: it may announce a report or another CPU's part of one. ``dull``: registers or
    bytes. ``pid``: of the task that dump_stack() names. ``foreign``, ``next``, ``interrupt``,
    ``over``: what it does to the trace before it.
    """

    text: str
    frame: Frame | None = None
    dull: bool = False
    telling: bool = False
    pointer: Frame | None = None
    pid: str = ""
    body: bool = False
    tail: bool = False
    end: bool = False
    foreign: bool = False
    next: bool = False
    interrupt: bool = False
    over: bool = False


REGISTER_LINE = Message("", dull=True)


@lru_cache(maxsize=_KEPT)
def read_message(text: str) -> Message:
    """Read a line behind the prefixes of loggers."""
    telling = bool(TRIGGER.search(text[:HEADER])) or text.startswith("NMI ")
    if "+0x" not in text and REGISTERS.match(text):
        return Message(text, None, True, telling)
    if frame := parse_frame(text):
        return Message(text, frame, False, telling)
    task = CPU.match(text)
    return Message(
        text,
        None,
        False,
        telling,
        parse_pointer(text),
        task[2] if task else "",
        bool(BODY.match(text)),
        bool(TAIL.match(text)),
        bool(END.match(text)),
        bool(FOREIGN.match(text)),
        bool(NEXT.match(text)),
        bool(IRQ_END.match(text)),
        bool(OVER.match(text)),
    )
