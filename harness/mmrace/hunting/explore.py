# SPDX-License-Identifier: GPL-2.0-only
"""Carries out a random schedule on a guest, and tells the order that came of it."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mmrace.guests.turns import Stand, Turns
from mmrace.hunting.order import BLOCKED, Hit
from mmrace.hunting.pct import Schedule
from mmrace.outcome import Judgement

# A little more than a stressor's rest: BLOCKED the next time, until it makes a hit.
_BLOCKED_AGAIN = 0.06
# Then the held one has as long to come to its next point alone, so that the order of hits is the
# order of what happened, before both go.
_ALONE = 0.03
_OFTEN = 3  # hits of one point by one vCPU after which it counts no more in this schedule


@dataclass(frozen=True)
class Walk:
    """One schedule: the hits in their order, and the failure that they led to.

    ``made``: those that came to a point. ``blocked``: how often the one that should have run had to
    be helped by one of lower priority.
    """

    hits: tuple[Hit, ...]
    made: int
    blocked: int
    failure: Judgement | None

    @property
    def failed(self) -> bool:
        """Whether the race's own failure showed."""
        return self.failure is not None and self.failure.signature_matched


class _Record:
    """What a walk has come to so far."""

    def __init__(self) -> None:
        self.hits: list[Hit] = []
        self.made = self.blocked = 0
        self._tasks: dict[int, str] = {}
        self._counts: Counter[tuple[str, int]] = Counter()
        self._idle: set[str] = set()

    def hit(self, actor: str, point: str, stand: Stand) -> None:
        """An actor has come to a point."""
        task = self._tasks.setdefault(stand.task, f"T{len(self._tasks)}")
        self.hits.append(Hit(actor, point, task))
        self.made += 1
        self._counts[stand.thread, stand.pc] += 1
        self._idle.discard(actor)

    def block(self, actor: str) -> None:
        """An actor goes on without a hit; told once, until it makes one."""
        self.blocked += 1
        if actor not in self._idle:
            self.hits.append(Hit(actor, ""))
        self._idle.add(actor)

    def worn(self, threads: Sequence[str], points: Iterable[int]) -> set[int]:
        """The points that one of these vCPUs has come to often enough."""
        return {
            at for at in points if any(self._counts[thread, at] >= _OFTEN for thread in threads)
        }


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
        record = _Record()
        standing: dict[str, Stand] = {}
        patience = BLOCKED
        helped = ""
        end = time.monotonic() + seconds
        while record.made < self._hits and (now := time.monotonic()) < end:
            going = [thread for thread in threads if thread not in standing]
            points = frozenset(self._points) - record.worn(going, self._points)
            if not points:
                break
            running, until = ([helped], now + _ALONE) if helped else (going, now + patience)
            stand = self._turns.run(running, points, standing, min(end, until))
            if stand is None:
                if self._turns.over:
                    break
                if standing and not helped:
                    record.block(names[max(going, key=priority.__getitem__)])
                    patience = _BLOCKED_AGAIN
                    helped = max(standing, key=priority.__getitem__)
                    del standing[helped]
                else:
                    helped = ""
                continue
            helped = ""
            thread = stand.thread
            if thread == max(threads, key=priority.__getitem__):
                patience = BLOCKED
            record.hit(names[thread], self._points[stand.pc], stand)
            fallen = schedule.fallen(record.made)
            if fallen is not None:
                priority[thread] = fallen
            best = max(threads, key=priority.__getitem__)
            if thread != best:
                standing[thread] = stand
                standing.pop(best, None)
        failure = self._turns.let_go(settle)
        return Walk(tuple(record.hits), record.made, record.blocked, failure)
