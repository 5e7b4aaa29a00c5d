# SPDX-License-Identifier: GPL-2.0-only
"""A guest whose vCPUs are lists of addresses, and an oracle for it."""

from mmrace.guests.gdbstub import Stop
from mmrace.outcome import Judgement, Outcome


class FakeGuest:
    """vCPUs execute a list of addresses each, in turns; ``fails`` looks at the trace.

    It is its own snapshot and its own gdbstub. ``loop``: lists begin again at their end.
    """

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
        self.restores += 1
        return self

    def pc(self, thread):
        program = self.programs[thread]
        at = self.at[thread] % len(program) if self.loop and program else self.at[thread]
        return program[at] if at < len(program) else 0

    def insert(self, address):
        assert address not in self.breakpoints
        self.breakpoints.add(address)

    def remove(self, address):
        self.breakpoints.remove(address)

    def step(self, thread):
        self.trace.append((thread, self.pc(thread)))
        self.at[thread] += 1
        return Stop(5, thread)

    def resume(self, threads):
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
                if self.pc(thread):
                    self.step(thread)
        if self.fails(self.trace):
            self.console += b"BUG\n"
        return None


class FakeOracle:
    """Finds BUG on the console."""

    dead, stalls = False, 0

    def ask(self, console, _channel, *, silent=False):
        if b"BUG" not in console:
            return None
        return Judgement(Outcome.CRASH, title="BUG", signature_matched=True)


def in_order(trace, *wanted):
    """Whether these, and between them none else of these, were executed in this order."""
    return [item for item in trace if item in wanted] == list(wanted)
