# SPDX-License-Identifier: GPL-2.0-only
"""What an attack on the kernel after adds to a verdict: it can only take FIXED away."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mmrace.lazy import Lazy
from mmrace.outcome import Judgement, Outcome
from mmrace.verdicts.campaign import Combined
from mmrace.verdicts.verdict import Verdict

_stats = Lazy("scipy.stats")
CHANCE = 0.01  # of a difference as large, if both kernels failed so equally often


@dataclass(frozen=True)
class Faced:
    """What an attack saw of the kernel after.

    ``failure``: title of the race's own failure, "" where it did not show. ``regressions``: titles
    of other failures that the kernel before did not show, or far less often. ``tried``: in words.
    ``trouble``: why it was no attack, "" where it was one.
    """

    failure: str
    regressions: tuple[str, ...]
    tried: str
    trouble: str = ""


def face(statement: Combined, faced: Faced) -> Combined:
    """Return the verdict after an attack.

    The race's own failure is NOT_FIXED, whatever the pairs said. A failure that only the kernel
    after shows forbids FIXED; it is no word about the race.
    """
    if faced.failure:
        reason = f"under attack the kernel after failed with {faced.failure}"
        return replace(statement, verdict=Verdict.NOT_FIXED, reason=reason)
    if statement.verdict is not Verdict.FIXED:
        return statement
    if faced.regressions:
        reason = f"a regression of the fix? only the kernel after, under attack: {_list(faced)}"
        return replace(statement, verdict=Verdict.INCONCLUSIVE, reason=reason)
    if faced.trouble:
        reason = f"{statement.reason}; but the attack could not be made: {faced.trouble}"
        return replace(statement, verdict=Verdict.INCONCLUSIVE, reason=reason)
    return replace(statement, reason=f"{statement.reason}; an attack found nothing ({faced.tried})")


def _list(faced: Faced) -> str:
    return ", ".join(faced.regressions)


@dataclass(frozen=True)
class Titles:
    """How often boots of a kernel ended with each title, of so many boots."""

    seen: Mapping[str, int]
    boots: int

    def __add__(self, other: "Titles") -> "Titles":
        """Both together."""
        return Titles(Counter(self.seen) + Counter(other.seen), self.boots + other.boots)


NONE = Titles({}, 0)


def title_of(judged: Judgement) -> str:
    """Return the failure that a run showed, "" for none."""
    return (judged.title or str(judged.outcome)) if judged.outcome.failed else ""


def titles_of(runs: Iterable[Judgement]) -> Titles:
    """Count failures but the race's own; what the host spoilt is no boot."""
    valid = [one for one in runs if one.outcome is not Outcome.INFRA]
    other = [title_of(one) for one in valid if not one.signature_matched]
    return Titles(Counter(filter(None, other)), len(valid))


def regressions(after: Titles, before: Titles) -> tuple[str, ...]:
    """Return the titles that the kernel after shows and the one before does not.

    One that the kernel before shows as well counts where it is far rarer there (Fisher's exact
    test, one-sided, at CHANCE).
    """
    return tuple(title for title in after.seen if _worse(title, after, before))


def _worse(title: str, after: Titles, before: Titles) -> bool:
    old = before.seen.get(title, 0)
    if not old:
        return True
    new = after.seen[title]
    table = [[new, max(0, after.boots - new)], [old, max(0, before.boots - old)]]
    return float(_stats.fisher_exact(table, alternative="greater").pvalue) <= CHANCE
