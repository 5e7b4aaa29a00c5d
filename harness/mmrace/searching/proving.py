# SPDX-License-Identifier: GPL-2.0-only
"""From a failure of the search to a proven witness, over the gdbstub."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from mmrace.guests.attempts import Replay
from mmrace.hunting.minimise import Steps
from mmrace.hunting.order import Hit, going_on, in_turn, steps
from mmrace.hunting.proof import Proven, Prover
from mmrace.searching.naming import Names
from mmrace.searching.schedule import Recorded
from mmrace.searching.search import Failure
from mmrace.windows.search import StepKind

LATEST = 4  # last telling schedules before a failure that are examined; older ones seldom cause it
ORDER_SECONDS = 60.0  # limit for minimising the order of one schedule
FAILURE_SECONDS = 40.0  # least limit for one failure without a success; the next may tell more
SCREENS = 2  # replays of an order, without the failure, after which it is dropped
SLICED = 100  # orders, at most, that are sliced out of one report
SLICED_FIRST = 3  # of these before each order of a recorded schedule
CONTEXTS = 2  # places that another vCPU came from, at most, each of which is tried

Hits = tuple[Hit, ...]


class Suspects:
    """Orders that may have caused the failures of a search.

    Each is screened at most SCREENS times.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._screened: Counter[Steps] = Counter()
        self._between: dict[int, float] = {}

    def seconds_between(self, point: str) -> float:
        """Seconds between two visits of a point by one vCPU, in the boot examined last.

        0 if unknown.
        """
        address = self._names.address(point)
        return self._between.get(address, 0.0) if address is not None else 0.0

    def of(self, failure: Failure) -> Iterator[tuple[Hits, Steps]]:
        """Hits that may have caused a failure, each with an order of them, the likeliest first.

        Orders sliced out of a report, and after each SLICED_FIRST of them one of the recorded
        schedules.
        """
        self._between = seconds_between(failure)
        sliced = failure.slice.orders(self._names.exact) if failure.slice else ()
        ways = (((), order) for order in itertools.islice(sliced, SLICED))
        columns = [ways] * SLICED_FIRST + [self._scheduled(failure)]
        for hits, order in in_turn(*columns):
            if self._screened[order] < SCREENS:
                self._screened[order] += 1
                yield hits, order

    def _scheduled(self, failure: Failure) -> Iterator[tuple[Hits, Steps]]:
        """Orders of a failure's schedules.

        A crash shows soon after its cause, so the last schedule is the likeliest, and of it first
        the sequence of holds as recorded.
        """
        for hits in dict.fromkeys(
            (*candidates(self._names, failure), *joined(self._names, failure))
        ):
            yield from ((hits, order) for order in variants(hits))


def prove_failure(
    prover: Prover,
    suspects: Iterable[tuple[Hits, Steps]],
    left: Callable[[], float],
    tell: Callable[[str], None],
    patience: float = FAILURE_SECONDS,
) -> Proven | None:
    """Return the first suspect that is proven, or the one with the most failing replays.

    ``suspects``: orders, each with the hits that it is made of (may be empty). Each order is
    replayed once, and minimised if that replay fails. ``left``: returns the seconds that are left.
    ``patience``: limit without a success, in seconds.
    """
    best: Proven | None = None
    give_up = left() - patience
    looked_into: set[Hits] = set()
    dead: set[Steps] = set()
    for hits, order in suspects:
        if left() <= max(0.0, give_up):
            break
        beginnings = {order[:length] for length in range(1, len(order) + 1)}
        if (hits and hits in looked_into) or beginnings & dead:
            continue
        tell(f"replaying a schedule of {len(order)} steps")
        replay = prover.look(order)
        if not replay.shown:
            dead |= _dead(order, replay)
            continue
        looked_into |= {hits} if hits else set()
        proven = prover.prove(hits, min(ORDER_SECONDS, left()), tell, order)
        if proven and (best is None or proven.proof.shown > best.proof.shown):
            best = proven
        if best and best.proof.holds:
            break
        give_up = left() - patience
    return best


def _dead(order: Steps, replay: Replay) -> set[Steps]:
    """The beginning of an order that could not be carried out, if so."""
    reached = max(attempt.steps for attempt in replay.attempts)
    return set() if replay.failed or reached == len(order) else {order[: reached + 1]}


def seconds_between(failure: Failure) -> dict[int, float]:
    """Seconds of the race phase between two visits of an access by one vCPU, by its address."""
    found: dict[int, float] = {}
    for schedule in failure.schedules:
        for step in schedule.steps:
            if step.kind is StepKind.TRAIL and step.count:
                found.setdefault(step.address, step.time / step.count)
    return found


def candidates(names: Names, failure: Failure) -> Iterator[Hits]:
    """Hits that may have caused one failure, the last schedule first.

    For each schedule: all its holds in sequence, and each hold alone; both also preceded by a hit
    where another vCPU came from. A schedule in which nobody did anything while another one was held
    has no order that could have caused it.
    """
    telling = (one for one in failure.schedules if _tells(names, one))
    for schedule in itertools.islice(telling, LATEST):
        alone = schedule.holds(names.exact)
        for hits in dict.fromkeys((schedule.hits(names.exact), *alone)):
            if _of_several(hits):
                for context in contexts(names, schedule, hits):
                    yield (*context, *hits)


def _tells(names: Names, schedule: Recorded) -> bool:
    return _of_several(schedule.hits(names.exact)) or bool(schedule.holds(names.exact))


def contexts(names: Names, schedule: Recorded, hits: Hits) -> Iterator[Hits]:
    """First hits to put before a schedule's hits: places where other vCPUs came from, or none."""
    held = hits[0].actor
    others = [vcpu for vcpu in schedule.vcpus if f"V{vcpu}" != held]
    came = [schedule.came_from(vcpu, names.exact)[:CONTEXTS] for vcpu in others]
    ways = list(in_turn(*came))
    yield from ((hit,) for hit in ways[:1])
    yield ()
    yield from ((hit,) for hit in ways[1:CONTEXTS])


def joined(names: Names, failure: Failure) -> Iterator[Hits]:
    """Each schedule's hits followed by those of the next schedule, the latest first."""
    after: Hits = ()
    for schedule in failure.schedules[:LATEST]:
        whole = schedule.hits(names.exact)
        if whole and after and _of_several((*whole, *after)):
            yield (*whole, *after)
        after = whole


def _of_several(hits: Hits) -> bool:
    """Whether the first actor is held at a point, and another actor does something."""
    return len({hit.actor for hit in hits}) > 1 and bool(hits[0].point)


def variants(hits: Hits) -> tuple[Steps, ...]:
    """Return a schedule's steps, each at its point's first hit, and its variants.

    Variants: after the last step, the second-last or the last step's actor goes on first; or hits
    are counted as recorded.
    """
    counted = steps(hits)
    once = tuple(step.model_copy(update={"hit": 1}) for step in counted)
    found = [once]
    if once[-1].point and len(once) > 1:
        found += [(*once, going_on(once[-2].actor)), (*once, going_on(once[-1].actor))]
    return tuple(dict.fromkeys((*found, counted)))
