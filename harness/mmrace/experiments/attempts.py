# SPDX-License-Identifier: GPL-2.0-only
"""The boots of one attack: those of this process, and those of an earlier one that was killed.

As in the pair loop, each run records its place before it starts, and counts once it is published by
rename. The place has the boot's number and the time, in seconds of the attack, at which the boot
began; so the runs alone tell how much of the budget is spent.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from mmrace.outcome import Outcome
from mmrace.runs.record import RunDir
from mmrace.runs.slots import Slots
from mmrace.searching.boots import Slot
from mmrace.verdicts.facing import Titles, title_of, titles_of
from mmrace.verdicts.verdict import Arm

# Ways to boot a kernel: under schedules, profiled, under hand-written windows, without steering.
SEARCH, WATCH, WINDOWS, FREE = "schedules", "watched", "windows", "nobody held"
SEARCHED = (SEARCH, WATCH)
Way = tuple[str, str]  # a workload's name, and one of SEARCH, WINDOWS and FREE


@dataclass(frozen=True)
class Berth:
    """The place of one boot of an attack.

    ``begun``: when it began, in seconds of the attack.
    """

    number: int
    begun: float
    arm: Arm
    workload: str
    way: str

    def __str__(self) -> str:
        return f"{self.number}-{self.begun:.1f}-{self.arm}-{self.way}-{self.workload}"

    @classmethod
    def read(cls, text: str) -> "Berth":
        """Return the place of which ``text`` is the string."""
        number, begun, arm, way, workload = text.split("-", 4)
        return cls(int(number), float(begun), Arm(arm), workload, way)


@dataclass(frozen=True)
class Attempt:
    """One boot of an attack: its place, and its run."""

    berth: Berth
    run: RunDir

    @property
    def arm(self) -> Arm:
        """The arm whose kernel was booted."""
        return self.berth.arm

    @property
    def workload(self) -> str:
        """The name of the workload."""
        return self.berth.workload

    @property
    def way(self) -> str:
        """The way in which the kernel was booted."""
        return self.berth.way

    @property
    def turn(self) -> Way:
        """The way of attack in whose turn it was made: SEARCH where it only watched."""
        return self.workload, SEARCH if self.way in SEARCHED else self.way

    @property
    def own(self) -> bool:
        """Whether it showed the race's own failure."""
        return self.run.judgement().signature_matched

    @property
    def title(self) -> str:
        """The failure's title, "" for none."""
        return title_of(self.run.judgement())

    @property
    def held(self) -> bool:
        """Whether the run was exercised and nothing failed."""
        return self.run.judgement().outcome is Outcome.PASS


class Attempts:
    """All boots of one attack, in the order in which they ended, and the attack's clock."""

    def __init__(self, slots: Slots, seed: int | None) -> None:
        """Add the boots of an earlier process; ``seed``: None for the campaign's own."""
        self.seed = slots.seed if seed is None else seed
        self._slots = slots
        found = [Attempt(Berth.read(slots.place(name)), run) for name, run in slots.runs.items()]
        self.made = sorted(found, key=lambda one: one.berth.number)
        self._next = 1 + max((one.berth.number for one in self.made), default=-1)
        ends = (one.berth.begun + one.run.vm().seconds for one in self.made)
        self._spent = max(ends, default=0.0)
        self._started = time.monotonic()

    @property
    def clock(self) -> float:
        """Seconds of wall time that the attack has taken, over all its processes."""
        return self._spent + time.monotonic() - self._started

    def begin(self, arm: Arm, workload: str, way: str) -> tuple[Berth, Slot]:
        """Return the next boot's place, and its slot with a seed of its own."""
        berth = Berth(self._next, self.clock, arm, workload, way)
        self._next += 1
        return berth, Slot(self._slots.slot(str(berth)), self.seed + berth.number)

    def add(self, attempt: Attempt) -> Attempt:
        """Add a boot that has ended."""
        self.made.append(attempt)
        return attempt

    def of(self, arm: Arm, workload: str, *ways: str) -> Iterator[Attempt]:
        """Return the boots of one kernel and workload in these ways."""
        return (
            one
            for one in self.made
            if one.arm is arm and one.workload == workload and one.way in ways
        )

    def titles(self, arm: Arm) -> Titles:
        """Failures other than the race's own in one kernel's boots.

        Boots with outcome INFRA are left out.
        """
        return titles_of(one.run.judgement() for one in self.made if one.arm is arm)
