# SPDX-License-Identifier: GPL-2.0-only
"""Hits recorded under a schedule, and the order of steps made of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TypeVar

from mmrace.definitions.witness import Step

# Seconds for which an actor without a point goes on: a few pauses of a stressor, also on a
# busy host.
GOES_ON = 0.3
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Hit:
    """A vCPU reached a point, while it executed ``task``.

    No point (""): the actor went on for a while and reached none, as another actor was held.
    ``meets``: it accessed memory that a held actor had just accessed; at least one of the two
    stores.
    """

    actor: str
    point: str
    task: str = ""
    meets: bool = field(default=False, compare=False)


def steps(hits: tuple[Hit, ...]) -> tuple[Step, ...]:
    """Return a walk's hits as steps: one for the last hit of each uninterrupted run of an actor."""
    return order(hits, ends(hits))


def in_turn(*ways: Iterable[_Item]) -> Iterator[_Item]:
    """The first item of each way, the second of each, and so on; no item may be false."""
    for row in zip_longest(*ways):
        yield from filter(None, row)


def going_on(actor: str) -> Step:
    """Return the step of an actor that goes on for ``GOES_ON`` seconds without a point."""
    return Step(actor=actor, seconds=GOES_ON)


def ends(hits: tuple[Hit, ...]) -> tuple[int, ...]:
    """Return the indices of hits that end an actor's uninterrupted run, or come before it goes on.

    The place from which an actor went on matters: from there it met the held actor.
    """
    following = (*hits[1:], Hit("", ""))[: len(hits)]
    return tuple(
        at
        for at, (hit, after) in enumerate(zip(hits, following, strict=True))
        if hit.actor != after.actor or (hit.point and not after.point)
    )


def order(hits: tuple[Hit, ...], chosen: Iterable[int]) -> tuple[Step, ...]:
    """Return chosen hits as steps; each counts hits since the previous step of its actor."""
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
