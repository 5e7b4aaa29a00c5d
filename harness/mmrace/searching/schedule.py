# SPDX-License-Identifier: GPL-2.0-only
"""The schedules that a search recorded before a failure, as hits with which a proof begins."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mmrace.hunting.order import Hit
from mmrace.windows.search import LogStep, StepKind

SLACK = 0.05  # seconds by which times of the console may be early
SAYING = 0.05  # seconds, about, from a program's failure to its being read on the channel
BEFORE = 2.0  # seconds, at most, from the kernel's mark to the report's first byte
PAUSE = 0.1  # seconds, at most, between two marks of one report
_ENDS = (StepKind.TIMEOUT, StepKind.STUCK)
_OVER = (*_ENDS, StepKind.GO)
_STANDS = (StepKind.HELD, StepKind.SWITCH, StepKind.MEET)


@dataclass(frozen=True)
class Recorded:
    """The log of one schedule, in order of time."""

    number: int
    steps: tuple[LogStep, ...]

    @property
    def switches(self) -> int:
        """Number of switches between vCPUs in the log."""
        stands = [step.vcpu for step in self.steps if step.kind in _STANDS]
        return sum(one != other for one, other in itertools.pairwise(stands))

    def hits(self, name: Callable[[int], str]) -> tuple[Hit, ...]:
        """Where vCPUs were held or met, in order; ``name`` returns the point behind an access.

        A hold that ended by a timeout, while another vCPU made accesses, adds a hit without a point
        for that vCPU.
        """
        found: list[Hit] = []
        for step in self.steps:
            if step.kind in _STANDS:
                if point := name(step.address):
                    met = step.kind is StepKind.MEET
                    found.append(Hit(f"V{step.vcpu}", point, meets=met))
            elif step.kind in _ENDS and step.count:
                found.append(Hit(f"V{self._other(step.vcpu)}", ""))
        return tuple(found)

    def holds(self, name: Callable[[int], str]) -> tuple[tuple[Hit, ...], ...]:
        """Each hold during which another vCPU made accesses: the hold, and the other going on."""
        found = []
        for number, step in enumerate(self.steps):
            own = (one for one in self.steps[number + 1 :] if one.vcpu == step.vcpu)
            end = next(own, None)
            if step.kind is StepKind.HELD and end and end.kind in _OVER and end.count:
                point = name(step.address)
                other = self._other(step.vcpu)
                found.append((Hit(f"V{step.vcpu}", point), Hit(f"V{other}", "")))
        return tuple(pair for pair in found if pair[0].point)

    def came_from(self, vcpu: int, name: Callable[[int], str]) -> tuple[Hit, ...]:
        """Places that a vCPU visited at the schedule's start, rarely visited ones first.

        They tell apart the callers of a function that is called everywhere.
        """
        own = [step for step in self.steps if step.vcpu == vcpu]
        stands = {step.address for step in own if step.kind in _STANDS}
        trail = [step for step in own if step.kind is StepKind.TRAIL and step.address not in stands]
        trail.sort(key=lambda step: step.count)
        points = dict.fromkeys(name(step.address) for step in trail)
        return tuple(Hit(f"V{vcpu}", point) for point in points if point)

    @property
    def vcpus(self) -> tuple[int, ...]:
        """All vCPUs in the log."""
        return tuple(sorted({step.vcpu for step in self.steps}))

    def _other(self, vcpu: int) -> int:
        """The vCPU that went on while this one was held: one from the log, else any."""
        acted = [step for step in self.steps if step.kind is not StepKind.TRAIL]
        known = [step.vcpu for step in acted if step.vcpu != vcpu]
        return known[-1] if known else (1 if vcpu == 0 else 0)


def report_of(log: Sequence[LogStep], seen: float) -> LogStep | None:
    """The mark that the kernel passed when it printed the first line of a failure's report.

    ``seen``: time at which the failure was seen from outside; the console may show a line much
    later than it was printed. None when no report was printed before that.
    """
    marks = (step for step in log if step.kind is StepKind.MARK)
    found = [step for step in marks if seen - BEFORE <= step.time <= seen + SLACK]
    first = None
    for mark in sorted(found, key=lambda step: step.time, reverse=True):
        if first and first.time - mark.time > PAUSE:
            break
        first = mark
    return first


def recorded(log: Iterable[LogStep], until: float) -> tuple[Recorded, ...]:
    """Return schedules begun before ``until``, the latest first, without steps after ``until``."""
    by_number: dict[int, list[LogStep]] = {}
    for step in log:
        if step.time <= until and step.kind is not StepKind.MARK:
            by_number.setdefault(step.schedule, []).append(step)
    return tuple(
        Recorded(number, tuple(steps)) for number, steps in sorted(by_number.items(), reverse=True)
    )


def schedules_before(log: Sequence[LogStep], seen: float) -> tuple[Recorded, ...]:
    """Return the schedules before a failure that was seen from outside at a time, the latest first.

    Without a report of the kernel's, a program said so: it wrote to a pipe, PID 1 read that and
    wrote to the channel, and the program may have been on its way out before the harness knew.
    """
    report = report_of(log, seen)
    if report:
        return recorded(log, report.time)
    found = recorded(log, seen)
    early = (schedule for schedule in found if schedule.steps[0].time <= seen - SAYING)
    return tuple(early) or found
