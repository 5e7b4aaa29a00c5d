# SPDX-License-Identifier: GPL-2.0-only
"""Carries out an order of steps on a guest that can be taken back to its race's start."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mmrace.definitions.witness import Step, Witness
from mmrace.errors import UserError
from mmrace.guests.attempts import Arrival, Attempt, Replay
from mmrace.guests.snapshot import Snapshot
from mmrace.guests.turns import Stand, Turns
from mmrace.judging.oracle import Oracle
from mmrace.symbols.resolve import Resolver

_FIRST = 1.0  # seconds that the first point has at least, to be reached
_LEAST = 0.2  # seconds without which another attempt is not worth while


@dataclass(frozen=True)
class Placed:
    """A step, and where its point is in one kernel."""

    step: Step
    addresses: frozenset[int]


def place(witness: Witness, resolver: Resolver) -> tuple[Placed, ...]:
    """Find the steps' points in a kernel; UserError says which it does not have, and why.

    Of a step's alternatives the first one counts that the scheduler can stop at.
    """
    return tuple(Placed(step, _addresses(step, resolver)) for step in witness.step)


def _addresses(step: Step, resolver: Resolver) -> frozenset[int]:
    if not step.point:
        return frozenset()
    for text in step.point:
        with suppress(UserError):
            found = resolver.resolve((text,))
            if not found.gate:
                return frozenset(found.addresses)
    gated = resolver.resolve(step.point)  # or the error of a kernel that has none of them
    raise UserError(
        f"`{gated.point}`: in this kernel other code reaches that place too,"
        " which the scheduler cannot tell apart; name another"
    )


class Scheduler:
    """Carries out one order on a snapshot, from its start each time."""

    def __init__(
        self,
        snapshot: Snapshot,
        witness: Witness,
        placed: tuple[Placed, ...],
        oracle: Callable[[], Oracle],
    ) -> None:
        self._snapshot = snapshot
        self._witness = witness
        self._placed = placed
        self._new_oracle = oracle
        self._restored = 0.0

    def replay(self, seconds: float, completions: float = math.inf) -> Replay:
        """Restore, and carry out the order until it fails; again as long as the time allows.

        ``completions``: how often the whole order is carried out at most.
        """
        begun = time.monotonic()
        oracle = self._new_oracle()
        turns = Turns(self._snapshot.restore(), oracle)
        restored = self._restored = time.monotonic()
        end = begun + seconds - self._witness.settle
        # Whatever the time, the first point has a chance, and the first order all its patience.
        first = self._attempt(turns, max(end, restored + _FIRST), math.inf)
        turns.let_go(self._witness.settle)
        attempts = [first]
        while not turns.over and time.monotonic() + _LEAST < end:
            completions -= attempts[-1].steps == len(self._placed)
            if completions <= 0:
                break
            attempts.append(self._attempt(turns, end, end))
            turns.let_go(self._witness.settle)
        return Replay(
            attempts=tuple(attempts),
            total=len(self._placed),
            failure=turns.failure,
            seconds=time.monotonic() - begun,
            stalls=oracle.stalls,
            restore=restored - begun,
        )

    def _attempt(self, turns: Turns, end: float, last: float) -> Attempt:
        """All steps: the first until ``end``, the others by their patience until ``last``."""
        arrivals: list[Arrival] = []

        def got(steps: int, infeasible: bool = False, why: str = "") -> Attempt:
            return Attempt(steps, infeasible, why, tuple(arrivals))

        actors: dict[str, str] = {}
        tasks: dict[str, int] = {}
        standing: dict[str, Stand] = {}
        for number, placed in enumerate(self._placed):
            step = placed.step
            own = actors.get(step.actor, "")
            standing.pop(own, None)
            free = [thread for thread in turns.threads if thread not in standing]
            going = [own] if own and step.alone else free
            if not going:
                return got(number, True, f"no vCPU is left to be {step.actor}")
            if step.seconds:
                turns.run(going, frozenset(), standing, time.monotonic() + step.seconds)
                if turns.over:
                    return got(number + 1)
                continue
            target = _Wanted(placed, own, tasks.get(step.task))
            stand = _arrive(turns, target, going, standing, end)
            if stand is None:
                why = f"{step.actor} did not reach `{step.point[0]}` in time"
                return got(number, number > 0, why)
            since = round(time.monotonic() - self._restored, 6)
            arrivals.append(Arrival(since, number, step.actor, stand.thread, stand.pc))
            actors[step.actor] = stand.thread
            standing[stand.thread] = stand
            if step.task:
                tasks.setdefault(step.task, stand.task)
            if number == 0:
                end = min(time.monotonic() + self._witness.patience, last)
        return got(len(self._placed))


@dataclass(frozen=True)
class _Wanted:
    """Which vCPU and task have to reach a step's point: any, or a certain one."""

    placed: Placed
    thread: str
    task: int | None

    def __call__(self, stand: Stand) -> bool:
        return self.thread in ("", stand.thread) and self.task in (None, stand.task)


def _arrive(
    turns: Turns, target: _Wanted, going: Sequence[str], held: Mapping[str, Stand], end: float
) -> Stand | None:
    """Run vCPUs until the right one is at the step's point often enough."""
    hits = 0
    while stand := turns.run(going, target.placed.addresses, held, end):
        hits += target(stand)
        if hits == target.placed.step.hit and target(stand):
            return stand
    return None
