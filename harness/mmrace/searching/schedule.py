# SPDX-License-Identifier: GPL-2.0-only
"""The schedule that a search recorded before a failure, as the hits that a proof begins with."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mmrace.hunting.order import Hit
from mmrace.windows.search import LogStep, StepKind

SLACK = 0.05  # seconds by which the console's and the channel's times may be early
BEFORE = 2.0  # seconds before the first byte of a report that the kernel may have marked it
PAUSE = 0.1  # seconds between two marks of one report at most; before a longer pause were others
_ENDS = (StepKind.TIMEOUT, StepKind.STUCK)
_OVER = (*_ENDS, StepKind.GO)
_STANDS = (StepKind.HELD, StepKind.SWITCH, StepKind.MEET)


@dataclass(frozen=True)
class Recorded:
    """The log of one schedule, in the order of time."""

    number: int
    steps: tuple[LogStep, ...]

    @property
    def switches(self) -> int:
        """How often another vCPU went on, as far as the log tells."""
        stands = [step.vcpu for step in self.steps if step.kind in _STANDS]
        return sum(one != other for one, other in itertools.pairwise(stands))

    def hits(self, name: Callable[[int], str]) -> tuple[Hit, ...]:
        """Where vCPUs stood, in their order; ``name`` gives the point behind an access.

        A hold that ended by itself is one in which another vCPU went on and came to no point, if
        it did anything.
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
        """Each hold alone in which others did something: a vCPU stood, another one went on."""
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
        """Where a vCPU had been when the schedule began, what it seldom does first.

        That is what tells a place in a function that is called everywhere from that place here.
        """
        own = [step for step in self.steps if step.vcpu == vcpu]
        stands = {step.address for step in own if step.kind in _STANDS}
        trail = [step for step in own if step.kind is StepKind.TRAIL and step.address not in stands]
        trail.sort(key=lambda step: step.count)
        points = dict.fromkeys(name(step.address) for step in trail)
        return tuple(Hit(f"V{vcpu}", point) for point in points if point)

    @property
    def vcpus(self) -> tuple[int, ...]:
        """All vCPUs that the log tells of."""
        return tuple(sorted({step.vcpu for step in self.steps}))

    def _other(self, vcpu: int) -> int:
        """The vCPU that went on while this one was held: one that the schedule knows, or any."""
        acted = [step for step in self.steps if step.kind is not StepKind.TRAIL]
        known = [step.vcpu for step in acted if step.vcpu != vcpu]
        return known[-1] if known else (1 if vcpu == 0 else 0)


def failed_at(log: Sequence[LogStep], seen: float) -> float:
    """When the failure happened, which was ``seen`` from outside at that time of the log.

    The kernel marks it when it prints the first line, which the console may show much later.
    """
    marks = [step.time for step in log if step.kind is StepKind.MARK]
    marks = sorted(time for time in marks if seen - BEFORE <= time <= seen + SLACK)
    first = seen + SLACK
    for time in reversed(marks):
        if first - time > PAUSE and first != seen + SLACK:
            break
        first = time
    return first


def recorded(log: Iterable[LogStep], until: float) -> tuple[Recorded, ...]:
    """Return the schedules that began before a time, the latest first, without what came after."""
    by_number: dict[int, list[LogStep]] = {}
    for step in log:
        if step.time <= until and step.kind is not StepKind.MARK:
            by_number.setdefault(step.schedule, []).append(step)
    return tuple(
        Recorded(number, tuple(steps)) for number, steps in sorted(by_number.items(), reverse=True)
    )
