# SPDX-License-Identifier: GPL-2.0-only
"""vCPUs of one guest taking turns: run some, hold the others where they stand."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mmrace.guests.gdbstub import Stop
from mmrace.guests.guest import Guest
from mmrace.judging.oracle import Oracle
from mmrace.outcome import Judgement

# Seconds after which held vCPUs answer interrupts, at first and at most. Twice as long each time:
# when one is back at its breakpoint QEMU drops all code that it has translated.
_SLICE, _SLICE_MAX = 0.005, 0.16
_REPORT_SECONDS = 15.0  # in which a report that has begun must be complete
_REPORT_PAUSE = 1.0  # within it
_STACK = 14  # bits of an offset in a kernel stack, which lies at a multiple of its size


@dataclass(frozen=True)
class Stand:
    """Where a vCPU is, and by its stack pointer in which task."""

    thread: str
    pc: int
    sp: int

    @property
    def task(self) -> int:
        """What distinguishes tasks on one vCPU: each has a kernel stack of its own.

        KASAN doubles the stacks: a task that goes deep in its own may then look like two.
        """
        return self.sp >> _STACK


class Turns:
    """Runs the vCPUs of a stopped guest, and leaves it stopped.

    A held vCPU executes nothing of its own, and answers interrupts: now and then it runs, with a
    breakpoint at the instruction where it is held. So it takes part in TLB shootdowns, and another
    task may get the CPU; the held task goes no farther. Other tasks that reach the breakpoint
    meanwhile are stepped past it.
    """

    def __init__(self, guest: Guest, oracle: Oracle) -> None:
        self._guest = guest
        self._stub = guest.stub
        self._oracle = oracle
        self._inserted: set[int] = set()
        self._seen: dict[str, Stand] = {}  # vCPUs that were seen to arrive, not gone on since
        self._away: set[str] = set()  # held vCPUs that are not where they are held
        self._off = False
        self.failure: Judgement | None = None

    @property
    def over(self) -> bool:
        """Whether the kernel has failed or is off, so that nothing more is to be tried."""
        return self.failure is not None or self._off or self._oracle.dead

    @property
    def threads(self) -> tuple[str, ...]:
        """All vCPUs."""
        return self._stub.threads

    def run(
        self, going: Iterable[str], points: frozenset[int], held: Mapping[str, Stand], end: float
    ) -> Stand | None:
        """Run vCPUs until one of them is at a point; return where it is.

        ``held`` are the vCPUs that are held; ``end`` is in terms of the monotonic clock. None
        when the time is over, or the kernel has failed or gone off meanwhile.
        """
        going = tuple(going)
        self._insert(points | {stand.pc for stand in held.values()})
        self._away &= set(held)
        length = _SLICE
        while True:
            self._resume((*going, *self._away), held)
            stop = self._wait(min(end, time.monotonic() + length))
            if stop is None:
                length = min(2 * length, _SLICE_MAX)
                self._ask()
                if self.over or time.monotonic() >= end:
                    return None
                self._away = set(held)
                continue
            pc = self._stub.pc(stop.thread)
            if pc not in self._inserted:
                continue
            stand = Stand(stop.thread, pc, self._stub.sp(stop.thread))
            self._seen[stop.thread] = stand
            if held.get(stop.thread) == stand:
                self._away.discard(stop.thread)
            elif stop.thread in going and pc in points:
                return stand

    def let_go(self, seconds: float) -> Judgement | None:
        """Let all vCPUs run for a while, longer when the console speaks; the failure, if any."""
        self._insert(frozenset())
        self._resume(self.threads, {})
        self._away.clear()
        begun = time.monotonic()
        end, console_length = begun + seconds, len(self._guest.console)
        while not (self.failure or self._off) and (left := end - time.monotonic()) > 0:
            self._listen(left)
            self._ask()
            if len(self._guest.console) > console_length:
                console_length = len(self._guest.console)
                end = max(end, min(time.monotonic() + _REPORT_PAUSE, begun + _REPORT_SECONDS))
        self._stop()
        self._ask(silent=console_length > 0)
        return self.failure

    def _insert(self, addresses: frozenset[int]) -> None:
        for address in self._inserted - addresses:
            self._stub.remove(address)
        for address in addresses - self._inserted:
            self._stub.insert(address)
        self._inserted = set(addresses)

    def _resume(self, threads: Iterable[str], held: Mapping[str, Stand]) -> None:
        """Let vCPUs run; one that was seen at a breakpoint is first led past it, if not held there.

        A held one comes to its breakpoint at once, unless an interrupt is to be taken first.
        """
        threads = tuple(threads)
        for thread in threads:
            stand = self._seen.pop(thread, None)
            passes = stand and stand.pc in self._inserted and held.get(thread) != stand
            if passes and not self._off:
                self._note(self._stub.step(thread))
        if not self._off:
            self._stub.resume(threads)

    def _wait(self, end: float) -> Stop | None:
        """The stop at a breakpoint; None when the time is over, the machine is stopped then."""
        while not self._off and (left := end - time.monotonic()) > 0:
            if stop := self._listen(left):
                return stop
        self._stop()
        return None

    def _listen(self, seconds: float) -> Stop | None:
        """The next stop that is not the machine's end."""
        stop = self._guest.listen(seconds)
        if stop:
            self._note(stop)
        return None if self._off else stop

    def _stop(self) -> None:
        if not self._off:
            self._note(self._guest.stop())

    def _note(self, stop: Stop) -> None:
        if stop.ended:
            self._off = True
            self._guest.listen(0)  # what it said before its end may still wait to be read

    def _ask(self, *, silent: bool = False) -> None:
        if not self.failure:
            console, channel = bytes(self._guest.console), bytes(self._guest.channel)
            self.failure = self._oracle.ask(console, channel, silent=silent)
