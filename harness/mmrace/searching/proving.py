# SPDX-License-Identifier: GPL-2.0-only
"""From a failure of the search to a witness that is proven, over the gdbstub."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator

from mmrace.hunting.minimise import Steps
from mmrace.hunting.order import Hit, going_on, steps
from mmrace.hunting.proof import Proven, Prover
from mmrace.searching.naming import Names
from mmrace.searching.search import Failure

LATEST = 64  # schedules before a failure that are looked at
ORDER_SECONDS = 60.0  # in which the least order of one of them is looked for
FAILURE_SECONDS = 60.0  # without an order that shows: the next failure may tell more
SCREENS = 2  # replays of an order that did not show, after which it is no suspect any more

Hits = tuple[Hit, ...]


class Suspects:
    """What may have brought the failures of a search, which share a cause more often than not.

    Those in which two vCPUs met at one word, those in which two stood and those in which one stood
    take turns, in each kind what came before most failures first, and then the latest.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._failures: Counter[Hits] = Counter()
        self._screened: Counter[Steps] = Counter()

    def of(self, failure: Failure) -> list[Hits]:
        """Take in a failure; return what may have brought it, the likeliest first."""
        found = list(candidates(self._names, failure))
        self._failures.update(found)
        found.sort(key=lambda hits: -self._failures[hits])
        kinds = ([hits for hits in found if _kind(hits) == kind] for kind in (2, 1, 0))
        turns = itertools.chain.from_iterable(itertools.zip_longest(*kinds))
        return list(dict.fromkeys((*filter(None, turns), *joined(self._names, failure))))

    def orders(self, hits: Hits) -> Iterator[Steps]:
        """Orders of these hits that were not screened often enough."""
        for order in variants(hits):
            if self._screened[order] < SCREENS:
                self._screened[order] += 1
                yield order


def prove_failure(
    prover: Prover,
    suspects: Suspects,
    failure: Failure,
    left: Callable[[], float],
    tell: Callable[[str], None],
) -> Proven | None:
    """Return the first suspect that is proven, or what came nearest to it.

    What showed late was sown some schedules before: each is replayed once, and looked into where
    that fails. ``left`` tells how many seconds there are.
    """
    best: Proven | None = None
    give_up = left() - FAILURE_SECONDS
    for hits in suspects.of(failure):
        if left() <= max(0.0, give_up):
            break
        tell(f"replaying a schedule of {len(hits)} steps")
        shown = next((order for order in suspects.orders(hits) if prover.shows(order)), None)
        if not shown:
            continue
        proven = prover.prove(hits, min(ORDER_SECONDS, left()), tell, shown)
        if proven and (best is None or proven.proof.shown > best.proof.shown):
            best = proven
        if best and best.proof.holds:
            break
        give_up = left() - FAILURE_SECONDS
    return best


def _kind(hits: Hits) -> int:
    """2 where vCPUs met at one word, 1 where two stood somewhere, else 0."""
    if any(hit.meets for hit in hits):
        return 2
    return int(len({hit.actor for hit in hits if hit.point}) > 1)


def candidates(names: Names, failure: Failure) -> Iterator[Hits]:
    """What may have brought one failure, the latest first.

    A schedule in which one vCPU stood and another one went on, and each of its holds alone.
    """
    seen: set[Hits] = set()
    for schedule in failure.schedules[:LATEST]:
        for hits in (schedule.hits(names.exact), *schedule.holds(names.exact)):
            if _of_several(hits) and hits not in seen:
                seen.add(hits)
                yield hits


def joined(names: Names, failure: Failure) -> Iterator[Hits]:
    """Schedules with the one after each, the latest first."""
    after: Hits = ()
    for schedule in failure.schedules[:LATEST]:
        whole = schedule.hits(names.exact)
        if whole and after and _of_several((*whole, *after)):
            yield (*whole, *after)
        after = whole


def _of_several(hits: Hits) -> bool:
    """Whether somebody stood first, and somebody else did something."""
    return len({hit.actor for hit in hits}) > 1 and bool(hits[0].point)


def variants(hits: Hits) -> tuple[Steps, ...]:
    """A schedule's steps, each point at its first hit, and what it may mean beside that.

    After the last one its actor may have gone on first, or the one before it; and hits may have
    to be counted.
    """
    counted = steps(hits)
    once = tuple(step.model_copy(update={"hit": 1}) for step in counted)
    found = [once]
    if once[-1].point and len(once) > 1:
        found += [(*once, going_on(once[-2].actor)), (*once, going_on(once[-1].actor))]
    return tuple(dict.fromkeys((*found, counted)))
