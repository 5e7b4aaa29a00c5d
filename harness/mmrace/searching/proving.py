# SPDX-License-Identifier: GPL-2.0-only
"""From a failure of the search to a witness that is proven, over the gdbstub."""

from collections.abc import Callable, Iterator

from mmrace.hunting.minimise import Steps
from mmrace.hunting.order import Hit, steps
from mmrace.hunting.proof import Proven, Prover
from mmrace.searching.naming import Names
from mmrace.searching.search import Failure

LATEST = 64  # schedules before a failure that are looked at
ORDER_SECONDS = 60.0  # in which the least order of one of them is looked for


def prove_failure(
    prover: Prover,
    names: Names,
    failure: Failure,
    left: Callable[[], float],
    tell: Callable[[str], None],
) -> Proven | None:
    """Return the first schedule before a failure that is proven, or what came nearest to it.

    What showed late was sown some schedules before: each is replayed once, the latest first, and
    looked into where that fails. ``left`` tells how many seconds there are.
    """
    best: Proven | None = None
    for hits in candidates(names, failure):
        if left() <= 0:
            break
        tell(f"replaying a schedule of {len(hits)} steps")
        if not any(prover.shows(order) for order in variants(hits)):
            continue
        proven = prover.prove(hits, min(ORDER_SECONDS, left()), tell)
        if proven and (best is None or proven.proof.shown > best.proof.shown):
            best = proven
        if best and best.proof.holds:
            break
    return best


def candidates(names: Names, failure: Failure) -> Iterator[tuple[Hit, ...]]:
    """What may have brought a failure, the latest first.

    A schedule in which one vCPU stood and another one went on; each of its holds alone; and with
    the schedule after it.
    """
    seen: set[tuple[Hit, ...]] = set()
    after: tuple[Hit, ...] = ()
    for schedule in failure.schedules[:LATEST]:
        whole = schedule.hits(names.exact)
        joined = (*whole, *after) if whole and after else ()
        for hits in (whole, *schedule.holds(names.exact), joined):
            if len({hit.actor for hit in hits}) > 1 and hits[0].point and hits not in seen:
                seen.add(hits)
                yield hits
        after = whole


def variants(hits: tuple[Hit, ...]) -> tuple[Steps, ...]:
    """A schedule's steps, each point at its first hit, and with all its hits counted."""
    counted = steps(hits)
    once = tuple(step.model_copy(update={"hit": 1}) for step in counted)
    return tuple(dict.fromkeys((once, counted)))
