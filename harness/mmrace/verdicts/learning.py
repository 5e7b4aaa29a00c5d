# SPDX-License-Identifier: GPL-2.0-only
"""Which failure the runs of a bad kernel share, if the user has not named one.

The failure is the title that `WANTED` runs share. A title blames a caller of the function that
failed if that one is a helper, such as the walk of a tree, and a bug may reach it through many
callers. So the title of the helper itself counts as well, in call traces from the same system call;
it is the failure if three runs share it and no other title.

One bug may crash in many places: where the titles differ after twice as many failures, the failure
is the innermost function that all their call traces have in common. A title that fewer runs share
is not taken: it may be another bug's.
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
    """One failure of the bad kernel: its title, its call trace, innermost function first, and
    titles that blame other functions of that trace.
    """

    title: str
    stack: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """The failure that counts: patterns for a crash's title and report, and how often it was seen.

    ``stack``: functions of its call trace that say something about it, innermost first. ``also``:
    patterns for title and report of crashes that blame another function and are the same failure.
    """

    name: str
    title: str
    report: str
    seen: int
    runs: int
    stack: tuple[str, ...] = ()
    also: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Say what was taken, as people read it."""
        return f"taking `{self.name}`, {self.seen} of {self.runs} runs"

    def covers(self, seen: Seen) -> bool:
        """Whether a crash is this failure."""
        titles = (seen.title, *seen.others)
        return any(
            any(re.search(title, one) for one in titles)
            and (not report or any(re.search(report, name) for name in seen.stack))
            for title, report in ((self.title, self.report), *self.also)
        )


class Learning:
    """Runs of the bad kernel, recorded until their failure is known or the budget is spent."""

    def __init__(self, budget: int, needed: int = WANTED) -> None:
        """Start with no runs; ``budget`` runs at most."""
        self._budget = budget
        self._needed = needed
        self._seen: list[Seen] = []
        self.runs = 0

    def record(
        self, judgement: Judgement, stack: Sequence[str] = (), others: Sequence[str] = ()
    ) -> None:
        """Add a run; call trace and other titles are of the crash that decided it."""
        self.runs += 1
        if judgement.outcome.failed and judgement.signature_matched:
            self._seen.append(Seen(judgement.title, telling(stack), tuple(others)))

    @property
    def done(self) -> bool:
        """Whether the failure is known, or no run is left."""
        return self.failure() is not None or self.runs >= self._budget

    @property
    def titles(self) -> tuple[tuple[str, int], ...]:
        """Titles of the failures, the most frequent first."""
        return tuple(Counter(one.title for one in self._seen).most_common())

    def foreign(self, failure: Failure) -> tuple[tuple[str, int], ...]:
        """Titles of what the runs showed beside this failure, the most frequent first."""
        return tuple(Counter(x.title for x in self._seen if not failure.covers(x)).most_common())

    def failure(self) -> Failure | None:
        """Return the failure that the runs share, None while none is known."""
        for title, count in self.titles[:1]:
            if count >= self._needed:
                seen = [one for one in self._seen if one.title == title]
                return Failure(
                    title, _exactly(title), "", count, self.runs, seen[0].stack, _also(seen)
                )
        spent = len(self._seen) >= 2 * self._needed or self.runs >= self._budget
        common = spent and len(self._seen) >= self._needed
        return self._of_helper() or (self._common() if common else None)

    def _of_helper(self) -> Failure | None:
        """The helper in which runs failed that have different callers of it in their titles."""
        counts = Counter(other for one in self._seen for other in one.others)
        for name, count in counts.most_common(1):
            seen = [one for one in self._seen if name in one.others]
            also = dict(_also(seen))
            if count >= self._needed and _exactly(name) in also:
                report = also[_exactly(name)]
                return Failure(name, _exactly(name), report, count, self.runs, seen[0].stack)
        return None

    def _common(self) -> Failure | None:
        """The innermost function that all call traces have."""
        stacks = [one.stack for one in self._seen]
        shared = set(stacks[0]).intersection(*stacks[1:])
        for name in stacks[0]:
            if name in shared:
                count = len(self._seen)
                report = _word(name)
                return Failure(f"any crash in {name}", "", report, count, self.runs, stacks[0])
        return None


def _also(seen: Sequence[Seen]) -> tuple[tuple[str, str], ...]:
    """Patterns for crashes that have another title in common with all of ``seen``, and the
    outermost function of their call traces; none if these have no function in common.
    """
    stacks = [set(one.stack) for one in seen]
    outermost = next((name for name in seen[0].stack[::-1] if all(name in s for s in stacks)), "")
    others = [name for name in seen[0].others if all(name in one.others for one in seen)]
    return tuple((_exactly(name), _word(outermost)) for name in others if outermost)


def _exactly(title: str) -> str:
    return f"^{re.escape(title)}$"


def _word(name: str) -> str:
    return rf"\b{re.escape(name)}\b"


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
