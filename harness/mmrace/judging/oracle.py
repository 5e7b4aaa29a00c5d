# SPDX-License-Identifier: GPL-2.0-only
"""Whether a machine that still runs has shown its race's failure."""

from mmrace import crash
from mmrace.crash import Crash
from mmrace.definitions.race import Race, Workload
from mmrace.judging.evidence import Evidence
from mmrace.judging.judge import judge
from mmrace.outcome import Judgement, Outcome, VmEnd

_ENDED = b"---[ end "  # of a report, of a panic
_SAID = (b"\n# out mmrace: fail", b"\nnot ok ")


class Oracle:
    """Reads what a machine said since it was taken back; a new one for each time.

    Watchdogs (stalls, lockups, hung tasks) are not the race's failure: the one who asks has held
    vCPUs. They are counted in ``stalls``.
    """

    def __init__(self, race: Race, workload: Workload) -> None:
        self._race = race
        self._workload = workload
        self._parser = crash.Parser()
        self._read = 0
        self._asked = (0, 0, 0)
        self._crashes: tuple[Crash, ...] = ()

    @property
    def stalls(self) -> int:
        """How many reports of watchdogs there were."""
        return sum(1 for item in self._crashes if item.kind.hang)

    @property
    def dead(self) -> bool:
        """Whether the kernel has ended itself: nothing more will come."""
        return any(item.kind.fatal for item in self._crashes)

    def ask(self, console: bytes, channel: bytes, *, silent: bool = False) -> Judgement | None:
        """The failure that all said until now shows, None while there is none.

        Both grow between calls; the channel contains the workload's start. ``silent``: the
        console has said nothing for a while, so that what it began to say is complete.
        """
        self._parser.feed(console[self._read :])
        self._read = len(console)
        said = sum(channel.count(mark) for mark in _SAID)
        asked = self._parser.closed, console.count(_ENDED), said
        if asked == self._asked and not silent:
            return None
        self._asked = asked
        self._crashes = crash.parse(console)
        judged = judge(Evidence(self._race, self._workload, VmEnd.STOPPED, console, channel))
        return judged if judged.outcome in (Outcome.CRASH, Outcome.FAIL) else None
