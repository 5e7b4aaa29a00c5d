# SPDX-License-Identifier: GPL-2.0-only
"""From an order that fails to the smallest part of it that still does."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

from mmrace.definitions.witness import Step
from mmrace.hunting.explore import Hit, steps

Steps = tuple[Step, ...]
_LONGEST = 5  # steps of an order that is tried before the whole walk
_PARTS = 60  # orders that are tried for one walk


def minimise(hits: tuple[Hit, ...], fails: Callable[[Steps], bool]) -> Steps | None:
    """The fewest steps found that still fail; None when no part of the walk does again.

    ``fails`` tries an order, several times if it likes. Greedy: what is left out stays out.
    """
    found = next((order for order in islice(parts(hits), _PARTS) if fails(order)), None)
    while found:
        smaller = _pass(found, fails)
        if smaller == found:
            return _plain(found)
        found = smaller
    return None


def parts(hits: tuple[Hit, ...]) -> Iterator[Steps]:
    """Orders that a walk's hits may mean: runs of steps, the shortest first, the latest first.

    The failure was sown by a few changes from one actor to another, and often late: after it the
    walk has only gone on for so long. A short order has less that can go wrong.
    """
    whole = steps(hits)
    once = tuple(step.model_copy(update={"hit": 1}) for step in whole)
    for length in range(2, min(_LONGEST, len(whole)) + 1):
        for start in reversed(range(len(whole) - length + 1)):
            yield once[start : start + length]
    yield once
    yield whole


def _pass(order: Steps, fails: Callable[[Steps], bool]) -> Steps:
    """What is left when each step has once been left out, or counted only once."""
    number = 0
    while number < len(order):
        step = order[number]
        without = order[:number] + order[number + 1 :]
        if without and fails(without):
            order = without
            continue
        if step.hit > 1:
            once = step.model_copy(update={"hit": 1})
            changed = (*order[:number], once, *order[number + 1 :])
            order = changed if fails(changed) else order
        number += 1
    return order


def _plain(order: Steps) -> Steps:
    """Without the names of tasks that stand in one step only: any task will do there."""
    used = Counter(step.task for step in order)
    return tuple(
        step if used[step.task] > 1 else step.model_copy(update={"task": ""}) for step in order
    )
