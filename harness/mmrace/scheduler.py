# SPDX-License-Identifier: GPL-2.0-only
"""Carries out an order of steps on a guest that can be taken back to its race's start."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from mmrace.errors import UserError
from mmrace.oracle import Oracle
from mmrace.outcome import Judgement
from mmrace.resolve import Resolver
from mmrace.snapshot import Snapshot
from mmrace.witness import Step, Witness

_REPORT_SECONDS = 15.0  # in which a report that has begun must be complete
_REPORT_PAUSE = 1.0  # within it


@dataclass(frozen=True)
class Placed:
    """A step, and where its point is in one kernel."""

    step: Step
    addresses: frozenset[int]


@dataclass(frozen=True)
class Attempt:
    """How far one carrying out of the order got; ``why`` it got no farther."""

    steps: int
    infeasible: bool = False
    why: str = ""


@dataclass(frozen=True)
class Replay:
    """One time from the race's start: its attempts, and the failure that they led to.

    ``seconds`` are the host's, the restore among them. ``stalls`` counts reports of watchdogs.
    """

    attempts: tuple[Attempt, ...]
    total: int
    failure: Judgement | None
    seconds: float
    stalls: int = 0

    @property
    def failed(self) -> bool:
        """Whether the race's own failure showed."""
        return self.failure is not None and self.failure.signature_matched

    @property
    def reached(self) -> bool:
        """Whether the first point was reached."""
        return any(item.steps for item in self.attempts)

    @property
    def complete(self) -> bool:
        """Whether the whole order was carried out, once at least."""
        return any(item.steps == self.total for item in self.attempts)

    @property
    def infeasible(self) -> bool:
        """Whether it held only because the order could not be carried out."""
        failed = self.failure is not None
        return self.reached and not self.complete and not failed


def place(witness: Witness, resolver: Resolver) -> tuple[Placed, ...]:
    """Find the steps' points in a kernel; UserError says which it does not have, and why."""
    placed = []
    for step in witness.step:
        found = resolver.resolve(step.point)
        if found.gate:
            raise UserError(
                f"`{found.point}`: in this kernel that place is reached on other ways as well,"
                " which the scheduler cannot tell apart; name another"
            )
        placed.append(Placed(step, frozenset(found.addresses)))
    return tuple(placed)


class Scheduler:
    """Carries out one order on one guest, which it leaves stopped."""

    def __init__(
        self,
        guest: Snapshot,
        witness: Witness,
        placed: tuple[Placed, ...],
        oracle: Callable[[], Oracle],
    ) -> None:
        self._guest = guest
        self._stub = guest.stub
        self._witness = witness
        self._placed = placed
        self._new_oracle = oracle
        self._oracle = oracle()
        self._counted: dict[str, int] = {}  # where a vCPU stands that was seen to arrive

    def replay(self, seconds: float) -> Replay:
        """Restore, and carry out the order until it fails; again as long as the time allows."""
        begun = time.monotonic()
        self._guest.restore()
        self._oracle = self._new_oracle()
        self._counted = {}
        attempts: list[Attempt] = []
        failure = None
        while not failure and not self._oracle.dead:
            left = begun + seconds - time.monotonic()
            if left <= 0 and attempts:
                break
            attempts.append(self._attempt(max(left, 0.5)))
            failure = self._let_go(self._witness.settle)
        seconds = time.monotonic() - begun
        stalls = self._oracle.stalls
        return Replay(tuple(attempts), len(self._placed), failure, seconds, stalls)

    def _attempt(self, seconds: float) -> Attempt:
        """All steps, the first of them in the time given."""
        actors: dict[str, str] = {}
        end = time.monotonic() + seconds
        for number, placed in enumerate(self._placed):
            step = placed.step
            own = actors.get(step.actor)
            if own and step.alone:
                running = [own]
            else:
                held = set(actors.values()) - {own}
                running = [thread for thread in self._stub.threads if thread not in held]
            if not running:
                return Attempt(number, True, f"no vCPU is left to be {step.actor}")
            arrived = self._run_to(placed, running, own, end)
            if arrived is None:
                why = f"{step.actor} did not come to `{step.point[0]}` in time"
                return Attempt(number, number > 0, why)
            actors[step.actor] = arrived
            if number == 0:
                end = time.monotonic() + self._witness.patience
        return Attempt(len(self._placed))

    def _run_to(
        self, placed: Placed, running: list[str], own: str | None, end: float
    ) -> str | None:
        """Run vCPUs until one is at the step's point often enough; the machine is stopped then."""
        for address in placed.addresses:
            self._stub.insert(address)
        try:
            hits = 0
            while True:
                self._resume(running, placed.addresses)
                arrived = self._wait(end)
                if arrived is None:
                    return None
                pc = self._stub.pc(arrived)
                if pc not in placed.addresses:
                    continue
                self._counted[arrived] = pc
                hits += own in (None, arrived)
                if hits == placed.step.hit:
                    return arrived
        finally:
            for address in placed.addresses:
                self._stub.remove(address)

    def _resume(self, running: list[str], addresses: frozenset[int]) -> None:
        """Let vCPUs run; one that was seen at a breakpoint is first led past it."""
        for thread in running:
            if self._counted.pop(thread, None) in addresses:
                self._stub.step(thread)
        self._stub.resume(running)

    def _wait(self, end: float) -> str | None:
        """The vCPU that came to a breakpoint; None when the time is over, or the kernel ended."""
        while (left := end - time.monotonic()) > 0:
            stop = self._guest.listen(left)
            if stop:
                return stop.thread
            if self._ask() or self._oracle.dead:
                break
        self._guest.stop()
        return None

    def _ask(self, *, silent: bool = False) -> Judgement | None:
        console, channel = bytes(self._guest.console), bytes(self._guest.channel)
        return self._oracle.ask(console, channel, silent=silent)

    def _let_go(self, seconds: float) -> Judgement | None:
        """Let all vCPUs run for a while, longer when the console speaks; the failure, if one."""
        self._stub.resume(self._stub.threads)
        self._counted = {}
        begun = time.monotonic()
        end, heard = begun + seconds, len(self._guest.console)
        failure = None
        while not failure and (left := end - time.monotonic()) > 0:
            self._guest.listen(left)
            failure = self._ask()
            if len(self._guest.console) > heard:
                heard = len(self._guest.console)
                end = max(end, min(time.monotonic() + _REPORT_PAUSE, begun + _REPORT_SECONDS))
        self._guest.stop()
        return failure or (self._ask(silent=True) if heard else None)
