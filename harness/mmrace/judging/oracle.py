# SPDX-License-Identifier: GPL-2.0-only
"""Whether a guest that is still running has shown its race's failure."""

from mmrace import crash
from mmrace.definitions.race import Race, Workload
from mmrace.judging.crashwatch import CrashWatch
from mmrace.judging.evidence import Evidence
from mmrace.judging.judge import judge
from mmrace.outcome import Judgement, Outcome, VmEnd

_ENDED = (b"---[ end ",)  # ends a report and a panic
_SAID = (b"\n# out mmrace: fail", b"\nnot ok ")


class Oracle:
    """Reads the output of a guest since it was restored; make a new one for each restore.

    Watchdog reports (stalls, lockups, hung tasks) are not the race's failure, as the caller holds
    vCPUs; they are counted in ``stalls``. ``dead``: the kernel has panicked or otherwise ended.
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
        """Return the failure in the output so far; None while there is none.

        Both logs grow between calls; the channel contains the workload's start. ``silent``: the
        console was silent for a while, so that its last report is complete.
        """
        part, ended = self._console.take(console)
        _, reported = self._channel.take(channel)
        closed = self._watch.console(part)
        self.stalls += sum(item.kind.hang for item in closed)
        self.dead = self.dead or any(item.kind.fatal for item in closed)
        failing = self._watch.own or any(not item.kind.hang for item in closed)
        if not (failing or ended or reported or silent):
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
    """Finds the new part of a growing log, and whether a mark is in it."""

    def __init__(self, marks: tuple[bytes, ...]) -> None:
        self._marks = marks
        self._before = max(map(len, marks)) - 1  # a mark may begin in the old part
        self._read = 0

    def take(self, data: bytes | bytearray) -> tuple[bytes, bool]:
        """Return the new bytes, and whether a mark is complete with them."""
        read, self._read = self._read, len(data)
        if read == len(data):
            return b"", False
        seen = bytes(data[max(0, read - self._before) :])
        return bytes(data[read:]), any(mark in seen for mark in self._marks)
