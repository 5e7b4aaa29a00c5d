# SPDX-License-Identifier: GPL-2.0-only
"""From a failure of the search to a witness that is proven, over the gdbstub."""

from collections.abc import Callable, Iterator

from mmrace.hunting.order import Hit
from mmrace.hunting.proof import Proven, Prover
from mmrace.searching.naming import Names
from mmrace.searching.search import Failure

LATEST = 6  # schedules before a failure that are tried
ORDER_SECONDS = 60.0  # in which the least order of one of them is looked for


def prove_failure(
    prover: Prover,
    names: Names,
    failure: Failure,
    end: Callable[[], float],
    tell: Callable[[str], None],
) -> Proven | None:
    """Return the first schedule before a failure that is proven, or what came nearest to it.

    ``end`` tells how many seconds are left.
    """
    best: Proven | None = None
    for hits in orders(names, failure):
        left = end()
        if left <= 0:
            break
        proven = prover.prove(hits, min(ORDER_SECONDS, left), tell)
        if proven and (best is None or proven.proof.shown > best.proof.shown):
            best = proven
        if best and best.proof.holds:
            break
    return best


def orders(names: Names, failure: Failure) -> Iterator[tuple[Hit, ...]]:
    """The hits of the schedules that may have brought a failure, the likeliest first.

    What failed was sown by the last schedule in which a vCPU stood while another one went on, or
    by one shortly before it.
    """
    found = 0
    for schedule in failure.schedules:
        hits = schedule.hits(names.exact)
        if len({hit.actor for hit in hits}) < 2:
            continue
        yield hits
        found += 1
        if found == LATEST:
            return
