# SPDX-License-Identifier: GPL-2.0-only
"""From an order that fails to the smallest part of it that still does."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise, zip_longest

from mmrace.definitions.witness import Step
from mmrace.hunting.explore import Hit, ends, order

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
    found = _first(filter(_holds, parts(hits)), attempt)
    while found:
        smaller = _pass(found, lambda steps: _holds(steps) and attempt(steps).failed)
        if smaller == found:
            return _plain(found)
        found = smaller
    return None


def parts(hits: tuple[Hit, ...]) -> Iterator[Steps]:
    """Orders that a walk's hits may mean: four, three, two of its last steps in turn, latest first.

    The failure was sown by a few changes from one actor to another, and seldom long before it
    showed. Between them the walk has others, where one of them waited for a held one.
    """
    last = ends(hits)
    lengths = range(min(_LONGEST, len(last) - 1), 1, -1)
    for group in zip_longest(*(_alternating(hits, last[-_LAST:], length) for length in lengths)):
        for chosen in filter(None, group):
            yield from _counted(order(hits, chosen))
    if last:
        yield from _counted(order(hits, last))


def _alternating(
    hits: tuple[Hit, ...], last: tuple[int, ...], length: int
) -> Iterator[tuple[int, ...]]:
    for chosen in combinations(reversed(last), length):
        if all(hits[one].actor != hits[other].actor for one, other in pairwise(chosen)):
            yield chosen[::-1]


def _holds(steps: Steps) -> bool:
    """Whether anybody is held while others go on."""
    return bool(steps[0].point)


def _counted(exact: Steps) -> Iterator[Steps]:
    """With the hits counted as the walk had them, and with the first one each time."""
    yield exact
    once = tuple(step.model_copy(update={"hit": 1}) for step in exact)
    if once != exact:
        yield once


def _first(orders: Iterable[Steps], attempt: Callable[[Steps], Trial]) -> Steps | None:
    """The first that fails; none is tried that begins as one that could not be carried out."""
    dead: set[Steps] = set()
    for tried in orders:
        if any(tried[:length] in dead for length in range(1, len(tried) + 1)):
            continue
        trial = attempt(tried)
        if trial.failed:
            return tried
        if trial.steps < len(tried):
            dead.add(tried[: trial.steps + 1])
    return None


def _pass(steps: Steps, fails: Callable[[Steps], bool]) -> Steps:
    """What is left when each step has once been left out, or counted only once."""
    number = 0
    while number < len(steps):
        step = steps[number]
        without = steps[:number] + steps[number + 1 :]
        if without and fails(without):
            steps = without
            continue
        if step.hit > 1:
            once = step.model_copy(update={"hit": 1})
            changed = (*steps[:number], once, *steps[number + 1 :])
            steps = changed if fails(changed) else steps
        number += 1
    return steps


def _plain(steps: Steps) -> Steps:
    """Without the names of tasks that stand in one step only: any task will do there."""
    used = Counter(step.task for step in steps)
    return tuple(
        step if used[step.task] > 1 else step.model_copy(update={"task": ""}) for step in steps
    )
