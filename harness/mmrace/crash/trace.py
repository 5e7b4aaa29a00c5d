# SPDX-License-Identifier: GPL-2.0-only
"""Call traces, of which one report may have many, and the lines that part them."""

import re
from dataclasses import dataclass, field

from mmrace.crash.backtrace import Frame
from mmrace.crash.culprit import choose_loop

FRAMES = 100  # kept of one trace
NOISE = 8  # lines of others that one trace outlives

# What begins a trace of something else, and what begins the next one of the same.
FOREIGN = re.compile(
    r"\s*(?:(?:INFO: )?(?:Allocated|Freed) (?:by|in)\b|[Aa]llocated by task|[Ff]reed by task"
    r"|(?:Uninit was|Local variable)\b|Last potentially|Second to last|Last Breaking|page last "
    r"|Preemption disabled at|page_owner"
    r"|Stack dump where|RCU grace-period|Showing |(?:the )?existing|track (?:alloc|free)"
    r"|Last (?:creation|call_rcu)|Free path:)"
)
SIDE = re.compile(
    r"\s*(?:read|write|interrupt|race at unknown)[\w() -]* (?:to|at)\b.* 0x|\S+ to 0x"
)
NEXT = re.compile(r"\s*(?:[Cc]all [Tt]race:?|[Bb]acktrace:?|NMI backtrace for|Task dump for|task:)")
OVER = re.compile(r"\s*(?:</TASK>|Memory state|The buggy|Modules linked in|Kernel Offset|---\[)")
END = re.compile(r"-*\s*---\[ end (?:trace|Kernel)")
IRQ_END = re.compile(
    r"\s*(?:--- (?:interrupt|Exception): (?!c00|3000)[0-9a-f]+|</IRQ>|<<?EOI>|<TASK>|</?SOFTIRQ>)"
)


@dataclass
class Trace:
    """A call trace; ``own``: it says where the failure is, not where memory came from."""

    own: bool = True
    pointer: Frame | None = None
    frames: list[Frame] = field(default_factory=list)
    interrupt: int = 0  # so many of its frames are the interrupt's
    noise: int = 0
    over: bool = False

    @property
    def names(self) -> list[str]:
        """Functions, innermost first; those the unwinder is unsure of only without others."""
        sure = [frame.function for frame in self.frames if frame.reliable]
        return sure or [frame.function for frame in self.frames]

    def looping(self, skip: re.Pattern[str]) -> str:
        """What the CPU was asked to do: by a soft interrupt, else by the task below it."""
        served = [frame.function for frame in self.frames[: self.interrupt] if frame.reliable]
        if (soft := choose_loop(served, skip)) and not skip.match(soft):
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
