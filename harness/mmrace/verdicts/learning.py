# SPDX-License-Identifier: GPL-2.0-only
"""Which failure the runs of a bad kernel share, if the user has not named one.

The failure is the title that `WANTED` runs share. One bug may crash in many places: where the
titles differ after twice as many failures, it is the innermost function that all their call traces
have in common. A title that fewer runs share is not taken: it may be another bug's.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mmrace.crash.helpers import DISPATCHES, GENERAL, SKIP
from mmrace.outcome import Judgement

WANTED = 3


@dataclass(frozen=True)
class Seen:
    """One failure of the bad kernel: its title, and its call trace, innermost function first."""

    title: str
    stack: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """The failure that counts: patterns for a crash's title and report, and how often it was seen.

    ``stack``: functions of its call trace that say something about it, innermost first.
    """

    name: str
    title: str
    report: str
    seen: int
    runs: int
    stack: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say what was taken, as people read it."""
        return f"taking `{self.name}`, {self.seen} of {self.runs} runs"


class Learning:
    """Runs of the bad kernel, recorded until their failure is known or the budget is spent."""

    def __init__(self, budget: int, needed: int = WANTED) -> None:
        """Start with no runs; ``budget`` runs at most."""
        self._budget = budget
        self._needed = needed
        self._seen: list[Seen] = []
        self.runs = 0

    def record(self, judgement: Judgement, stack: Sequence[str] = ()) -> None:
        """Add a run; ``stack`` is the call trace of the crash that decided it."""
        self.runs += 1
        if judgement.outcome.failed and judgement.signature_matched:
            self._seen.append(Seen(judgement.title, telling(stack)))

    @property
    def done(self) -> bool:
        """Whether the failure is known, or no run is left."""
        return self.failure() is not None or self.runs >= self._budget

    @property
    def titles(self) -> tuple[tuple[str, int], ...]:
        """Titles of the failures, the most frequent first."""
        return tuple(Counter(one.title for one in self._seen).most_common())

    def failure(self) -> Failure | None:
        """Return the failure that the runs share, None while none is known."""
        for title, count in self.titles[:1]:
            if count >= self._needed:
                stack = next(one.stack for one in self._seen if one.title == title)
                pattern = f"^{re.escape(title)}$"
                return Failure(title, pattern, "", count, self.runs, stack)
        spent = len(self._seen) >= 2 * self._needed or self.runs >= self._budget
        return self._common() if spent and len(self._seen) >= self._needed else None

    def _common(self) -> Failure | None:
        """The innermost function that all call traces have."""
        stacks = [one.stack for one in self._seen]
        shared = set(stacks[0]).intersection(*stacks[1:])
        for name in stacks[0]:
            if name in shared:
                count = len(self._seen)
                pattern = rf"\b{re.escape(name)}\b"
                return Failure(f"any crash in {name}", "", pattern, count, self.runs, stacks[0])
        return None


def telling(stack: Sequence[str]) -> tuple[str, ...]:
    """Leave out of a call trace what only reports, locks, allocates, or hands on."""
    common = (SKIP, GENERAL, DISPATCHES)
    return tuple(name for name in stack if not any(name in names for names in common))


def advice(kasan: bool, cpus: int, seconds: float) -> str:
    """What may help where the bad kernel does not fail."""
    words = [f"longer runs (--for, {seconds:g} s now)", "several instances (--procs)"]
    words += [] if kasan else ["--config kasan, which sees accesses that do harm only by chance"]
    words += [f"more vCPUs (--machine, {cpus} now)"] if cpus < 4 else []
    words.append("a search for a schedule (mmrace hunt --repro)")
    return ", ".join([*words, "windows to steer by (mmrace race new --from RUN)"])
