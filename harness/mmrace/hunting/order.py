# SPDX-License-Identifier: GPL-2.0-only
"""The order of hits that came of a schedule, and the steps that it means."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from mmrace.definitions.witness import Step

# Seconds for which an actor goes on that comes to no point: a few rests of a stressor, on a busy
# host as well.
GOES_ON = 0.3


@dataclass(frozen=True)
class Hit:
    """A vCPU came to a point, in one of the tasks that take turns on it.

    Without a point: it went on for a while and came to none, as another one was held. ``meets``: it
    came to memory that a held one had just accessed, one of the two storing to it.
    """

    actor: str
    point: str
    task: str = ""
    meets: bool = field(default=False, compare=False)


def steps(hits: tuple[Hit, ...]) -> tuple[Step, ...]:
    """The order of a walk as steps: where each run of one actor's hits ended."""
    return order(hits, ends(hits))


def going_on(actor: str) -> Step:
    """The step of one that goes on and comes to no point."""
    return Step(actor=actor, seconds=GOES_ON)


def ends(hits: tuple[Hit, ...]) -> tuple[int, ...]:
    """Which hits are the last of a run of one actor's, or the last before it went on.

    Where it went on from matters: it is there that it met the one that was held.
    """
    following = (*hits[1:], Hit("", ""))[: len(hits)]
    return tuple(
        at
        for at, (hit, after) in enumerate(zip(hits, following, strict=True))
        if hit.actor != after.actor or (hit.point and not after.point)
    )


def order(hits: tuple[Hit, ...], chosen: Iterable[int]) -> tuple[Step, ...]:
    """Some hits of a walk as steps, each counted from the step of its actor before."""
    found = []
    begun: dict[str, int] = {}
    for at in chosen:
        hit = hits[at]
        if not hit.point:
            begun[hit.actor] = at + 1
            found.append(going_on(hit.actor))
            continue
        count = hits[begun.get(hit.actor, 0) : at + 1].count(hit)
        begun[hit.actor] = at + 1
        found.append(Step(actor=hit.actor, point=(hit.point,), hit=count, task=hit.task))
    return tuple(found)
