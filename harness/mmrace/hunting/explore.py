# SPDX-License-Identifier: GPL-2.0-only
"""Carries out a random schedule on a guest, and tells the order that came of it."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mmrace.definitions.witness import Step
from mmrace.guests.turns import Stand, Turns
from mmrace.hunting.pct import Schedule
from mmrace.outcome import Judgement

# Seconds without a hit after which the one that should run is taken to wait for one that is held;
# half of that, and half again, for the next time until it makes a hit.
_BLOCKED, _BLOCKED_LEAST = 0.1, 0.02
# Then the held one has as long to come to its next point alone, so that the order of hits is the
# order of what happened, before both go.
_ALONE = 0.03
_OFTEN = 3  # hits of one point by one vCPU after which it counts no more in this schedule


@dataclass(frozen=True)
class Hit:
    """A vCPU came to a point, in one of the tasks that take turns on it."""

    actor: str
    point: str
    task: str = ""


@dataclass(frozen=True)
class Walk:
    """One schedule: the hits in their order, and the failure that they led to.

    ``blocked``: how often the one that should have run had to be helped by one of lower priority.
    """

    hits: tuple[Hit, ...]
    blocked: int
    failure: Judgement | None

    @property
    def failed(self) -> bool:
        """Whether the race's own failure showed."""
        return self.failure is not None and self.failure.signature_matched


class Explorer:
    """Carries out schedules on one guest."""

    def __init__(self, turns: Turns, points: Mapping[int, str], hits: int) -> None:
        self._turns = turns
        self._points = points
        self._hits = hits

    def walk(self, schedule: Schedule, seconds: float, settle: float) -> Walk:
        """Carry out one schedule within the time given, then let all go."""
        threads = self._turns.threads
        priority = dict(zip(threads, schedule.priorities, strict=True))
        names = {thread: f"V{number}" for number, thread in enumerate(threads)}
        tasks: dict[int, str] = {}
        standing: dict[str, Stand] = {}
        counts: dict[tuple[str, int], int] = {}
        hits: list[Hit] = []
        blocked, patience = 0, _BLOCKED
        helped = ""
        end = time.monotonic() + seconds
        while len(hits) < self._hits and (now := time.monotonic()) < end:
            going = [thread for thread in threads if thread not in standing]
            worn = {
                at
                for at in self._points
                if sum(counts.get((thread, at), 0) >= _OFTEN for thread in going)
            }
            points = frozenset(self._points) - worn
            if not points:
                break
            running, until = ([helped], now + _ALONE) if helped else (going, now + patience)
            stand = self._turns.run(running, points, standing, min(end, until))
            if stand is None:
                if self._turns.over:
                    break
                if standing and not helped:
                    blocked += 1
                    patience = max(patience / 2, _BLOCKED_LEAST)
                    helped = max(standing, key=priority.__getitem__)
                    del standing[helped]
                else:
                    helped = ""
                continue
            helped = ""
            thread, place = stand.thread, (stand.thread, stand.pc)
            if thread == max(threads, key=priority.__getitem__):
                patience = _BLOCKED
            counts[place] = counts.get(place, 0) + 1
            task = tasks.setdefault(stand.task, f"T{len(tasks)}")
            hits.append(Hit(names[thread], self._points[stand.pc], task))
            fallen = schedule.fallen(len(hits))
            if fallen is not None:
                priority[thread] = fallen
            best = max(threads, key=priority.__getitem__)
            if thread != best:
                standing[thread] = stand
                standing.pop(best, None)
        return Walk(tuple(hits), blocked, self._turns.let_go(settle))


def steps(hits: tuple[Hit, ...]) -> tuple[Step, ...]:
    """The order of a walk as steps: where each run of one actor's hits ended."""
    return order(hits, ends(hits))


def ends(hits: tuple[Hit, ...]) -> tuple[int, ...]:
    """Which hits are the last of a run of one actor's."""
    after = [hit.actor for hit in hits[1:]] + [""]
    return tuple(at for at, hit in enumerate(hits) if hit.actor != after[at])


def order(hits: tuple[Hit, ...], chosen: Iterable[int]) -> tuple[Step, ...]:
    """Some hits of a walk as steps, each counted from the step of its actor before."""
    found = []
    begun: dict[str, int] = {}
    for at in chosen:
        hit = hits[at]
        count = hits[begun.get(hit.actor, 0) : at + 1].count(hit)
        begun[hit.actor] = at + 1
        found.append(Step(actor=hit.actor, point=(hit.point,), hit=count, task=hit.task))
    return tuple(found)
