# SPDX-License-Identifier: GPL-2.0-only
"""From an order of steps that fails to its smallest part that still fails."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, combinations, pairwise

from mmrace.definitions.witness import Step
from mmrace.hunting.order import Hit, ends, going_on, in_turn, order

Steps = tuple[Step, ...]
_LONGEST = 4  # steps, at most, of the short orders that are tried before the whole walk
_LAST = 10  # short orders are made of this many last steps of the walk
_BETTER = 2  # variants tried of an order that fails only sometimes or too early


@dataclass(frozen=True)
class Trial:
    """Whether an order failed each time it was carried out, and how many steps were executed.

    ``early``: it failed before its next step could be carried out. ``shown``: it failed at least
    once.
    """

    failed: bool
    steps: int
    early: bool = False
    shown: bool = False


def minimise(
    hits: tuple[Hit, ...], attempt: Callable[[Steps], Trial], first: Steps = ()
) -> Steps | None:
    """Return the fewest steps found that still fail; None when no part of the walk fails again.

    Greedy: a step that was left out is not tried again. ``first``: an order that is tried before
    all others.
    """
    orders = chain((first,) if first else (), parts(hits))
    found = _first(filter(_holds, orders), attempt)
    while found:
        smaller = _pass(found, lambda steps: _holds(steps) and attempt(steps).failed)
        if smaller == found:
            return _plain(found)
        found = smaller
    return None


def parts(hits: tuple[Hit, ...]) -> Iterator[Steps]:
    """Orders that a walk's hits may stand for: its last four, three and two steps, then all steps.

    A failure comes from a few switches between actors, seldom long before it shows. The walk has
    further switches, where an actor had to wait for one that was held; the short orders leave these
    out.
    """
    last = ends(hits)
    lengths = range(min(_LONGEST, len(last) - 1), 1, -1)
    chosen = [
        order(hits, one)
        for one in in_turn(*(_alternating(hits, last[-_LAST:], length) for length in lengths))
    ]
    if last:
        chosen.append(order(hits, last))
    once = [tuple(step.model_copy(update={"hit": 1}) for step in steps) for steps in chosen]
    yield from dict.fromkeys(once + chosen)


def _alternating(
    hits: tuple[Hit, ...], last: tuple[int, ...], length: int
) -> list[tuple[int, ...]]:
    """Choices of ``length`` steps whose actors alternate.

    Those that leave out the fewest come first.
    """
    found = [
        chosen
        for chosen in combinations(range(len(last)), length)
        if all(hits[last[one]].actor != hits[last[other]].actor for one, other in pairwise(chosen))
    ]
    found.sort(key=lambda chosen: (len(last) - chosen[0] - length, -chosen[-1]))
    return [tuple(last[one] for one in chosen) for chosen in found]


def _holds(steps: Steps) -> bool:
    """Whether the first actor is held at a point while others go on."""
    return bool(steps[0].point)


def _first(orders: Iterable[Steps], attempt: Callable[[Steps], Trial]) -> Steps | None:
    """Return the first order that fails, or a variant of it.

    Orders that begin with a prefix that could not be carried out are skipped. An order that fails
    only sometimes or too early is followed by its variants (``_better``).
    """
    dead: set[Steps] = set()
    for steps_tried in orders:
        if any(steps_tried[:length] in dead for length in range(1, len(steps_tried) + 1)):
            continue
        tried, trial = steps_tried, attempt(steps_tried)
        for _ in range(_BETTER):
            if trial.failed or not (better := _better(tried, trial)):
                break
            tried, trial = better, attempt(better)
        if trial.failed:
            return tried
        if tried == steps_tried and trial.steps < len(tried):
            dead.add(tried[: trial.steps + 1])
    return None


def _better(steps: Steps, trial: Trial) -> Steps:
    """The variant to try of an order that fails only sometimes or too early; empty for none.

    If it failed before its next step, that step's actor only has to go on. If it fails sometimes,
    the second-last step's actor has to go on before the last one's.
    """
    if trial.early:
        return (*steps[: trial.steps], going_on(steps[trial.steps].actor))
    if trial.shown and len(steps) > 1 and steps[-1].point:
        return (*steps, going_on(steps[-2].actor))
    return ()


def _pass(steps: Steps, fails: Callable[[Steps], bool]) -> Steps:
    """Leave out each step in turn, or lower its hit to 1, wherever the rest still fails."""
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
    """Drop the names of tasks that occur in one step only: any task will do there."""
    used = Counter(step.task for step in steps)
    return tuple(
        step if used[step.task] > 1 else step.model_copy(update={"task": ""}) for step in steps
    )
