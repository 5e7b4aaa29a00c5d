# SPDX-License-Identifier: GPL-2.0-only
"""A guest whose vCPUs are lists of addresses, and an oracle for it."""

from mmrace.guests.gdbstub import Stop
from mmrace.outcome import Judgement, Outcome


class FakeGuest:
    """vCPUs execute a list of addresses each, in turns; ``fails`` looks at the trace.

    It is its own snapshot and its own gdbstub. ``loop``: lists begin again at their end. A vCPU
    that comes to ``OFF`` powers the machine off, with its last words.
    """

    OFF = -1

    def __init__(self, programs, fails=lambda trace: False, loop=False):
        self.programs = programs
        self.fails = fails
        self.loop = loop
        self.stub = self
        self.threads = tuple(programs)
        self.breakpoints = set()
        self.restores = 0
        self.restore()

    def restore(self):
        self.at = dict.fromkeys(self.threads, 0)
        self.trace = []
        self.running = ()
        self.breakpoints.clear()
        self.console, self.channel = bytearray(), bytearray()
        self.off = False
        self.restores += 1
        return self

    def pc(self, thread):
        program = self.programs[thread]
        at = self.at[thread] % len(program) if self.loop and program else self.at[thread]
        return program[at] if at < len(program) else 0

    def sp(self, thread):
        return (self.threads.index(thread) + 1) << 20

    def insert(self, address):
        assert address not in self.breakpoints
        self.breakpoints.add(address)

    def remove(self, address):
        self.breakpoints.remove(address)

    def step(self, thread):
        assert not self.off, "it would never answer"
        self.trace.append((thread, self.pc(thread)))
        self.at[thread] += 1
        return Stop(5, thread)

    def resume(self, threads):
        assert not self.off
        self.running = tuple(threads)

    def stop(self):
        assert self.running, "it would never answer"
        self.running = ()
        return Stop(2, self.threads[0])

    def listen(self, seconds):
        for _ in range(100):
            for thread in self.running:
                if self.pc(thread) in self.breakpoints:
                    self.running = ()
                    return Stop(5, thread)
                if self.pc(thread) == self.OFF:
                    self.running, self.off = (), True
                    return Stop(3, thread)
                if self.pc(thread):
                    self.step(thread)
        if self.fails(self.trace):
            self.console += b"BUG\n"
        return None


class SharedGuest(FakeGuest):
    """One whose vCPU, held at ``at``, lets another task run first when it takes an interrupt.

    ``other`` are the addresses of that task; the first one's go on behind them.
    """

    def __init__(self, programs, thread, at, other):
        super().__init__(programs)
        self.shared, self.switches, self.other = thread, at, list(other)
        self.left = 0

    def sp(self, thread):
        return super().sp(thread) + (0x8000 if self._away(thread) else 0)

    def resume(self, threads):
        super().resume(threads)
        if self.shared in threads and self.pc(self.shared) == self.switches and self.other:
            self.left, at = len(self.other), self.at[self.shared]
            self.programs[self.shared][at:at] = self.other
            self.other = []

    def step(self, thread):
        self.left -= self._away(thread)
        return super().step(thread)

    def _away(self, thread):
        return thread == self.shared and self.left > 0


class FakeOracle:
    """Finds BUG on the console."""

    dead, stalls = False, 0

    def ask(self, console, _channel, *, silent=False):
        if b"BUG" not in console:
            return None
        return Judgement(Outcome.CRASH, title="BUG", signature_matched=True)


def in_order(trace, *items):
    """Whether these, and between them none else of these, were executed in this order."""
    return [item for item in trace if item in items] == list(items)
