# SPDX-License-Identifier: GPL-2.0-only
"""What an attack on the kernel after adds to a verdict: it can only take FIXED away."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mmrace.verdicts.campaign import Combined
from mmrace.verdicts.verdict import Verdict


@dataclass(frozen=True)
class Faced:
    """What an attack saw of the kernel after.

    ``failure``: title of the race's own failure, "" where it did not show. ``regressions``: titles
    of other failures, none of which the kernel before showed. ``tried``: in words.
    """

    failure: str
    regressions: tuple[str, ...]
    tried: str


def face(said: Combined, faced: Faced) -> Combined:
    """Return the verdict after an attack.

    The race's own failure is NOT_FIXED, whatever the pairs said. A failure that only the kernel
    after shows forbids FIXED; it is no word about the race.
    """
    if faced.failure:
        reason = f"under attack the kernel after failed with {faced.failure}"
        return replace(said, verdict=Verdict.NOT_FIXED, reason=reason)
    if said.verdict is not Verdict.FIXED:
        return said
    if faced.regressions:
        reason = f"a regression of the fix? only the kernel after, under attack: {_list(faced)}"
        return replace(said, verdict=Verdict.INCONCLUSIVE, reason=reason)
    return replace(said, reason=f"{said.reason}; an attack found nothing ({faced.tried})")


def _list(faced: Faced) -> str:
    return ", ".join(faced.regressions)


def regressions(after: Iterable[str], before: Iterable[str]) -> tuple[str, ...]:
    """Return the titles that only the kernel after showed, in their order, once each."""
    known = set(before)
    return tuple(dict.fromkeys(title for title in after if title not in known))
