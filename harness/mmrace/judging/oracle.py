# SPDX-License-Identifier: GPL-2.0-only
"""Whether a machine that still runs has shown its race's failure."""

from mmrace import crash
from mmrace.definitions.race import Race, Workload
from mmrace.judging.crashwatch import CrashWatch
from mmrace.judging.evidence import Evidence
from mmrace.judging.judge import judge
from mmrace.outcome import Judgement, Outcome, VmEnd

_ENDED = (b"---[ end ",)  # of a report, of a panic
_SAID = (b"\n# out mmrace: fail", b"\nnot ok ")


class Oracle:
    """Reads what a machine printed since it was restored; a new oracle for each time.

    Watchdogs (stalls, lockups, hung tasks) are not the race's failure: the one who asks has held
    vCPUs. They are counted in ``stalls``. ``dead``: the kernel has ended itself.
    """

    def __init__(self, race: Race, workload: Workload) -> None:
        self._race = race
        self._workload = workload
        self._watch = CrashWatch(race)
        self._watch.line("# start")
        self._console, self._channel = _Part(_ENDED), _Part(_SAID)
        self.stalls = 0
        self.dead = False

    def ask(
        self, console: bytes | bytearray, channel: bytes | bytearray, *, silent: bool = False
    ) -> Judgement | None:
        """Return the failure that the output so far shows; None while there is none.

        Both grow between calls; the channel contains the workload's start. ``silent``: the
        console has said nothing for a while, so that what it began to say is complete.
        """
        part, ended = self._console.take(console)
        _, said = self._channel.take(channel)
        closed = self._watch.console(part)
        self.stalls += sum(item.kind.hang for item in closed)
        self.dead = self.dead or any(item.kind.fatal for item in closed)
        failing = self._watch.own or any(not item.kind.hang for item in closed)
        if not (failing or ended or said or silent):
            return None
        return self._judge(bytes(console), bytes(channel))

    def _judge(self, console: bytes, channel: bytes) -> Judgement | None:
        found = crash.parse(console)
        self.stalls = sum(item.kind.hang for item in found)
        self.dead = any(item.kind.fatal for item in found)
        what = self._race, self._workload, VmEnd.STOPPED, console, channel
        judged = judge(Evidence(*what, crashes=found, held=True))
        return judged if judged.outcome in (Outcome.CRASH, Outcome.FAIL) else None


class _Part:
    """What is new in bytes that grow, and whether one of these marks came with it."""

    def __init__(self, marks: tuple[bytes, ...]) -> None:
        self._marks = marks
        self._before = max(map(len, marks)) - 1  # of a mark that was cut in two
        self._read = 0

    def take(self, data: bytes | bytearray) -> tuple[bytes, bool]:
        """Return what has come since, and whether a mark is complete in it."""
        read, self._read = self._read, len(data)
        if read == len(data):
            return b"", False
        seen = bytes(data[max(0, read - self._before) :])
        return bytes(data[read:]), any(mark in seen for mark in self._marks)
