# SPDX-License-Identifier: GPL-2.0-only
"""vCPUs of one guest taking turns: run some, hold the others where they stand."""

import time
from collections.abc import Iterable

from mmrace.guests.gdbstub import Stop
from mmrace.guests.guest import Guest
from mmrace.judging.oracle import Oracle
from mmrace.outcome import Judgement

_SLICE = 0.005  # seconds after which held vCPUs answer interrupts
_REPORT_SECONDS = 15.0  # in which a report that has begun must be complete
_REPORT_PAUSE = 1.0  # within it


class Turns:
    """Runs the vCPUs of a stopped guest, and leaves it stopped.

    A held vCPU executes nothing of its own, and answers interrupts: now and then it is let go with
    a breakpoint where it stands. Nobody then waits for its part in a TLB shootdown, and a task
    that waits for the CPU may get it; the held task goes no farther.
    """

    def __init__(self, guest: Guest, oracle: Oracle) -> None:
        self._guest = guest
        self._stub = guest.stub
        self._oracle = oracle
        self._inserted: set[int] = set()
        self._seen: dict[str, int] = {}  # where a vCPU stands that was seen to arrive
        self._away: set[str] = set()  # held vCPUs that are not where they are held
        self.failure: Judgement | None = None

    @property
    def over(self) -> bool:
        """Whether the kernel has failed, so that nothing more is to be tried."""
        return self.failure is not None or self._oracle.dead

    @property
    def threads(self) -> tuple[str, ...]:
        """All vCPUs."""
        return self._stub.threads

    def run(
        self, going: Iterable[str], points: frozenset[int], held: dict[str, int], end: float
    ) -> tuple[str, int] | None:
        """Run vCPUs until one of them is at a point: who, and where.

        ``held`` are the vCPUs that are held, and where; ``end`` is in terms of the monotonic
        clock. None when the time is over, or the kernel has failed meanwhile.
        """
        going = tuple(going)
        self._insert(points | set(held.values()))
        self._away &= set(held)
        while True:
            self._resume((*going, *self._away))
            stop = self._wait(min(end, time.monotonic() + _SLICE))
            if stop is None:
                self._ask()
                if self.over or time.monotonic() >= end:
                    return None
                self._away = set(held)
                continue
            pc = self._stub.pc(stop.thread)
            if held.get(stop.thread) == pc:
                self._away.discard(stop.thread)
            elif pc in self._inserted:
                self._seen[stop.thread] = pc
                if stop.thread in going and pc in points:
                    return stop.thread, pc

    def let_go(self, seconds: float) -> Judgement | None:
        """Let all vCPUs run for a while, longer when the console speaks; the failure, if any."""
        self._insert(frozenset())
        self._resume(self.threads)
        self._away.clear()
        begun = time.monotonic()
        end, heard = begun + seconds, len(self._guest.console)
        while not self.failure and (left := end - time.monotonic()) > 0:
            self._guest.listen(left)
            self._ask()
            if len(self._guest.console) > heard:
                heard = len(self._guest.console)
                end = max(end, min(time.monotonic() + _REPORT_PAUSE, begun + _REPORT_SECONDS))
        self._guest.stop()
        self._ask(silent=heard > 0)
        return self.failure

    def _insert(self, wanted: frozenset[int]) -> None:
        for address in self._inserted - wanted:
            self._stub.remove(address)
        for address in wanted - self._inserted:
            self._stub.insert(address)
        self._inserted = set(wanted)

    def _resume(self, threads: tuple[str, ...]) -> None:
        """Let vCPUs run; one that was seen at a breakpoint is first led past it."""
        for thread in threads:
            if thread not in self._away and self._seen.pop(thread, None) in self._inserted:
                self._stub.step(thread)
        self._stub.resume(threads)

    def _wait(self, end: float) -> Stop | None:
        """The stop at a breakpoint; None when the time is over, the machine is stopped then."""
        while (left := end - time.monotonic()) > 0:
            if stop := self._guest.listen(left):
                return stop
        self._guest.stop()
        return None

    def _ask(self, *, silent: bool = False) -> None:
        if not self.failure:
            console, channel = bytes(self._guest.console), bytes(self._guest.channel)
            self.failure = self._oracle.ask(console, channel, silent=silent)
