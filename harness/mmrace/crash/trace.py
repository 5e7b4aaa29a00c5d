# SPDX-License-Identifier: GPL-2.0-only
"""Call traces, of which one report may have many, and the lines that part them."""

import re
from dataclasses import dataclass, field

from mmrace.crash.backtrace import Frame
from mmrace.crash.culprit import choose_loop
from mmrace.crash.helpers import ENTRIES, Names

FRAMES = 100  # kept of one trace: its innermost and its outermost ones
_OUTER = 40
NOISE = 8  # lines of others that one trace outlives

# What begins a trace of something else, and what begins the next one of the same.
FOREIGN = re.compile(
    r"\s*(?:(?:INFO: )?(?:Allocated|Freed) (?:by|in)\b|[Aa]llocated by task|[Ff]reed by task"
    r"|(?:Uninit was|Local variable)\b|Last potentially|Second to last|Last Breaking|page last "
    r"|Preemption disabled at|page_owner|(?:\{[\w-]+\} )?state was registered at"
    r"|Stack dump where|(?:rcu: )?RCU grace-period|Showing |(?:the )?existing|track (?:alloc|free)"
    r"|Last (?:creation|call_rcu)|Free path:)"
)
SIDE = re.compile(
    r"\s*(?:read|write|interrupt|race at unknown)[\w() -]* (?:to|at)\b.* 0x|\S+ to 0x"
)
NEXT = re.compile(r"\s*(?:[Cc]all [Tt]race:?|[Bb]acktrace:?|NMI backtrace for|Task dump for|task:)")
# A thread's trace, with the lines of NEXT at its head.
THREAD = re.compile(r"\s*(?:rcu: )?(?:Stack dump where|RCU grace-period)")
_HEAD = re.compile(r"\s*(?:[Cc]all [Tt]race|[Bb]acktrace|task:)")
OVER = re.compile(r"\s*(?:</TASK>|Memory state|The buggy|Modules linked in|Kernel Offset|---\[)")
END = re.compile(r"-*\s*---\[ end (?:trace|Kernel)")
IRQ_END = re.compile(
    r"\s*(?:--- (?:interrupt|Exception): (?!c00|3000)[0-9a-f]+|</IRQ>|<<?EOI>|<TASK>|</?SOFTIRQ>)"
)
# How traces begin that tell of no failure: an injected fault, memory that ran out, SysRq.
_DUMPS = re.compile(r"_*(?:dump_(?:stack\w*|backtrace|trace)|show_(?:stack|trace)\w*|fail_dump)\Z")
_OTHERS = re.compile(
    r"_*(?:should_fail\w*|dump_header|warn_alloc(?:_show_mem)?|handle_sysrq|sysrq_\w+)\Z"
)


@dataclass(slots=True)
class Trace:
    """A call trace; ``own``: it says where the failure is, not where memory came from.

    ``over``: no more frames belong to it; ``ended``: it was printed to its end.
    """

    own: bool = True
    pointer: Frame | None = None
    place: str = ""  # function whose code the CPU was in, where the pointer's was inlined there
    frames: list[Frame] = field(default_factory=list)
    interrupt: int = 0  # so many of its frames are the interrupt's
    noise: int = 0
    over: bool = False
    marked: bool = False  # a line behind it said that it is over
    announced: int = 0  # the report's line that announced it
    thread: bool = False  # it has a head of its own

    def add(self, frame: Frame) -> None:
        """Take one more frame."""
        if len(self.frames) >= FRAMES:
            del self.frames[FRAMES - _OUTER]
        self.frames.append(frame)

    def foreign(self, *, bare: bool) -> bool:
        """Whether no failure printed it; ``bare``: a frame of dump_stack() may be missing."""
        for number, frame in enumerate(self.frames):
            if not _DUMPS.match(frame.function):
                return (bare or number > 0) and bool(_OTHERS.match(frame.function))
        return False

    def heads(self, text: str) -> bool:
        """Whether a line belongs to the head of this thread's trace."""
        return self.thread and not self.frames and bool(_HEAD.match(text))

    @property
    def ended(self) -> bool:
        """Whether nothing of it was lost behind its last frame."""
        return self.marked or any(frame.function in ENTRIES for frame in self.frames[-3:])

    @property
    def guessed(self) -> bool:
        """Whether the unwinder was sure of none of its frames."""
        return bool(self.frames) and not any(frame.reliable for frame in self.frames)

    @property
    def outlined(self) -> list[str]:
        """Functions that nothing inlined, innermost first, as a log has them before symbolising."""
        sure = [frame for frame in self.frames if frame.reliable] or self.frames
        whole = [frame.function for frame in sure if frame.offset is not None or not frame.location]
        return [name for name in (self.place, *whole) if name]

    @property
    def names(self) -> list[str]:
        """Functions, innermost first; those the unwinder is unsure of only without others."""
        sure = [frame.function for frame in self.frames if frame.reliable]
        return sure or [frame.function for frame in self.frames]

    def looping(self, skip: Names) -> str:
        """What the CPU was asked to do: by a soft interrupt, else by the task below it."""
        served = [frame.function for frame in self.frames[: self.interrupt] if frame.reliable]
        if soft := choose_loop(served, skip):
            return soft
        first = [self.pointer.function] if self.pointer else []
        return choose_loop(first + self.names, skip)


def inlined(trace: Trace, outer: str) -> list[str]:
    """In a symbolised trace, what was inlined into ``outer`` at its frame, innermost first."""
    frames = [frame for frame in trace.frames if frame.reliable]
    place = next((n for n, frame in enumerate(frames) if frame.function == outer), 0)
    first = place
    while first and frames[first - 1].location and frames[first - 1].offset is None:
        first -= 1
    return [frame.function for frame in frames[first:place]]
