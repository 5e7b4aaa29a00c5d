# SPDX-License-Identifier: GPL-2.0-only
"""From a failure of the search to a witness that is proven, over the gdbstub."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from mmrace.hunting.minimise import Steps
from mmrace.hunting.order import Hit, going_on, steps
from mmrace.hunting.proof import Proven, Prover
from mmrace.searching.naming import Names
from mmrace.searching.schedule import Recorded
from mmrace.searching.search import Failure
from mmrace.windows.search import StepKind

LATEST = 4  # schedules before a failure that are looked at: what is older has seldom to do with it
ORDER_SECONDS = 60.0  # in which the least order of one of them is looked for
FAILURE_SECONDS = 20.0  # without an order that shows: the next failure may tell more
SCREENS = 2  # replays of an order that did not show, after which it is no suspect any more
CONTEXTS = 2  # places that another vCPU came from, of which each is tried

Hits = tuple[Hit, ...]


class Suspects:
    """Orders that may have brought the failures of a search, each screened a few times at most."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._screened: Counter[Steps] = Counter()
        self._between: dict[int, float] = {}

    def seconds_between(self, point: str) -> float:
        """How long a vCPU took from one time at a place to the next, in the boot looked at last."""
        address = self._names.address(point)
        return self._between.get(address, 0.0) if address is not None else 0.0

    def of(self, failure: Failure) -> Iterator[tuple[Hits, Steps]]:
        """What may have brought a failure, and an order that it means, the likeliest first.

        A failure that takes the kernel down shows soon after its cause: the latest schedule is the
        likeliest, and in it the way that its vCPUs stood as it was recorded.
        """
        for hits in dict.fromkeys(
            (*candidates(self._names, failure), *joined(self._names, failure))
        ):
            for order in variants(hits):
                if self._screened[order] < SCREENS:
                    self._screened[order] += 1
                    yield hits, order


def prove_failure(
    prover: Prover,
    suspects: Iterable[tuple[Hits, Steps]],
    left: Callable[[], float],
    tell: Callable[[str], None],
) -> Proven | None:
    """Return the first suspect that is proven, or what came nearest to it.

    ``suspects`` are orders, each with the hits that it is made of, if it is of any. Each order is
    replayed once, and looked into where that fails. ``left`` tells how many seconds there are.
    """
    best: Proven | None = None
    give_up = left() - FAILURE_SECONDS
    looked_into: set[Hits] = set()
    for hits, order in suspects:
        if left() <= max(0.0, give_up):
            break
        tell(f"replaying a schedule of {len(order)} steps")
        if hits in looked_into or not prover.shows(order):
            continue
        looked_into |= {hits} if hits else set()
        proven = prover.prove(hits, min(ORDER_SECONDS, left()), tell, order)
        if proven and (best is None or proven.proof.shown > best.proof.shown):
            best = proven
        if best and best.proof.holds:
            break
        give_up = left() - FAILURE_SECONDS
    return best


def seconds_between(failure: Failure) -> dict[int, float]:
    """Seconds of the race phase between two visits of an access by one vCPU, by its address."""
    found: dict[int, float] = {}
    for schedule in failure.schedules:
        for step in schedule.steps:
            if step.kind is StepKind.TRAIL and step.count:
                found.setdefault(step.address, step.time / step.count)
    return found


def candidates(names: Names, failure: Failure) -> Iterator[Hits]:
    """What may have brought one failure, the latest schedule first.

    Of each schedule: the way in which its vCPUs stood, and each of its holds alone; both also
    with another vCPU first where it came from.
    """
    for schedule in failure.schedules[:LATEST]:
        alone = schedule.holds(names.exact)
        for hits in dict.fromkeys((schedule.hits(names.exact), *alone)):
            if _of_several(hits):
                for context in contexts(names, schedule, hits):
                    yield (*context, *hits)


def contexts(names: Names, schedule: Recorded, hits: Hits) -> Iterator[Hits]:
    """Where others stand before a schedule's first hold: where they came from, or anywhere."""
    held = hits[0].actor
    others = [vcpu for vcpu in schedule.vcpus if f"V{vcpu}" != held]
    came = [schedule.came_from(vcpu, names.exact)[:CONTEXTS] for vcpu in others]
    ways = [hit for hit in itertools.chain.from_iterable(itertools.zip_longest(*came)) if hit]
    yield from ((hit,) for hit in ways[:1])
    yield ()
    yield from ((hit,) for hit in ways[1:CONTEXTS])


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
