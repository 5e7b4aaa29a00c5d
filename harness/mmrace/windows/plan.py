# SPDX-License-Identifier: GPL-2.0-only
"""What the director is to do on one kernel: windows, delays and meters with addresses."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mmrace.definitions.window import Delays, Window
from mmrace.errors import UserError
from mmrace.symbols.resolve import Resolved, Resolver
from mmrace.windows.search import SearchPlan


@dataclass(frozen=True)
class PlannedWindow:
    """A window whose points have addresses."""

    window: Window
    hold: Resolved
    until: Resolved


@dataclass(frozen=True)
class PlannedMeter:
    """Guest instructions from ``start`` to the next ``stop`` on one vCPU."""

    name: str
    start: Resolved
    stop: Resolved


@dataclass(frozen=True)
class Plan:
    """All that the director is to do; ``seed`` makes its random choices.

    ``search``: what it watches and schedules by itself; ``marks``: where the kernel reports a
    failure, which its log then notes.
    """

    windows: tuple[PlannedWindow, ...] = ()
    delays: tuple[Resolved, ...] = ()
    delay: Delays | None = None
    meters: tuple[PlannedMeter, ...] = ()
    seed: int = 1
    search: SearchPlan | None = None
    marks: Resolved | None = None


def make_plan(
    windows: Sequence[Window], resolver: Resolver, seed: int, delays: Delays | None = None
) -> Plan:
    """Resolve all points for one kernel; UserError names the first that it has to have."""
    return Plan(
        windows=tuple(
            PlannedWindow(item, resolver.resolve(item.hold), resolver.resolve(item.until))
            for item in windows
        ),
        delays=tuple(_delays(delays, resolver)) if delays else (),
        delay=delays,
        seed=seed,
    )


def _delays(delays: Delays, resolver: Resolver) -> Iterator[Resolved]:
    for points in delays.points:
        with suppress(*([UserError] if delays.optional else [])):
            yield resolver.resolve(points)
