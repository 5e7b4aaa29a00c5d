# SPDX-License-Identifier: GPL-2.0-only
"""From an order that fails to the smallest part of it that still does."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

from mmrace.definitions.witness import Step
from mmrace.hunting.explore import Hit, steps

Steps = tuple[Step, ...]
_LONGEST = 4  # steps of an order that is tried before the whole walk
_LAST = 10  # of a walk's steps, of which they are taken


@dataclass(frozen=True)
class Trial:
    """Whether an order failed each time it was carried out, and how many of its steps were."""

    failed: bool
    steps: int


def minimise(hits: tuple[Hit, ...], attempt: Callable[[Steps], Trial]) -> Steps | None:
    """The fewest steps found that still fail; None when no part of the walk does again.

    Greedy: what is left out stays out.
    """
    found = _first(parts(hits), attempt)
    while found:
        smaller = _pass(found, lambda order: attempt(order).failed)
        if smaller == found:
            return _plain(found)
        found = smaller
    return None


def parts(hits: tuple[Hit, ...]) -> Iterator[Steps]:
    """Orders that a walk's hits may mean: four, three, two of its last steps, the latest first.

    The failure was sown by a few changes from one actor to another, and seldom long before it
    showed. Between them the walk has others, where one of them waited for a held one.
    """
    whole = steps(hits)
    once = tuple(step.model_copy(update={"hit": 1}) for step in whole)
    for length in range(min(_LONGEST, len(whole) - 1), 1, -1):
        for chosen in combinations(reversed(once[-_LAST:]), length):
            if all(one.actor != next_.actor for one, next_ in pairwise(chosen)):
                yield chosen[::-1]
    if whole:
        yield once
        yield whole


def _first(orders: Iterable[Steps], attempt: Callable[[Steps], Trial]) -> Steps | None:
    """The first that fails; none is tried that begins as one that could not be carried out."""
    dead: set[Steps] = set()
    for order in orders:
        if any(order[:length] in dead for length in range(1, len(order) + 1)):
            continue
        trial = attempt(order)
        if trial.failed:
            return order
        if trial.steps < len(order):
            dead.add(order[: trial.steps + 1])
    return None


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
