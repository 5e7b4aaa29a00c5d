# SPDX-License-Identifier: GPL-2.0-only
"""From an order that fails to the smallest part of it that still does."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, combinations, pairwise, zip_longest

from mmrace.definitions.witness import Step
from mmrace.hunting.order import Hit, ends, going_on, order

Steps = tuple[Step, ...]
_LONGEST = 4  # steps of an order that is tried before the whole walk
_LAST = 10  # of a walk's steps, of which they are taken
_BETTER = 2  # orders tried in place of one that fails, but not always or not as it stands


@dataclass(frozen=True)
class Trial:
    """Whether an order failed each time it was carried out, and how many of its steps were.

    ``early``: the failure came though the next step could not be carried out. ``shown``: it failed
    once at least.
    """

    failed: bool
    steps: int
    early: bool = False
    shown: bool = False


def minimise(
    hits: tuple[Hit, ...], attempt: Callable[[Steps], Trial], first: Steps = ()
) -> Steps | None:
    """The fewest steps found that still fail; None when no part of the walk does again.

    Greedy: what is left out stays out. ``first``: an order that is tried before all others.
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
    """Orders that a walk's hits may mean: four, three, two of its last steps in turn, then all.

    The failure was sown by a few changes from one actor to another, and seldom long before it
    showed. Between them the walk has others, where one of them waited for a held one.
    """
    last = ends(hits)
    lengths = range(min(_LONGEST, len(last) - 1), 1, -1)
    chosen = [
        order(hits, one)
        for group in zip_longest(*(_alternating(hits, last[-_LAST:], length) for length in lengths))
        for one in filter(None, group)
    ]
    if last:
        chosen.append(order(hits, last))
    once = [tuple(step.model_copy(update={"hit": 1}) for step in steps) for steps in chosen]
    yield from dict.fromkeys(once + chosen)


def _alternating(
    hits: tuple[Hit, ...], last: tuple[int, ...], length: int
) -> list[tuple[int, ...]]:
    """Those first of which the fewest steps are left out, between them and behind them."""
    found = [
        chosen
        for chosen in combinations(range(len(last)), length)
        if all(hits[last[one]].actor != hits[last[other]].actor for one, other in pairwise(chosen))
    ]
    found.sort(key=lambda chosen: (len(last) - chosen[0] - length, -chosen[-1]))
    return [tuple(last[one] for one in chosen) for chosen in found]


def _holds(steps: Steps) -> bool:
    """Whether anybody is held while others go on."""
    return bool(steps[0].point)


def _first(orders: Iterable[Steps], attempt: Callable[[Steps], Trial]) -> Steps | None:
    """The first that fails; none is tried that begins as one that could not be carried out.

    One that fails, but not always or not as it stands, has better ones tried after it.
    """
    dead: set[Steps] = set()
    for wanted in orders:
        if any(wanted[:length] in dead for length in range(1, len(wanted) + 1)):
            continue
        tried, trial = wanted, attempt(wanted)
        for _ in range(_BETTER):
            if trial.failed or not (better := _better(tried, trial)):
                break
            tried, trial = better, attempt(better)
        if trial.failed:
            return tried
        if tried == wanted and trial.steps < len(tried):
            dead.add(tried[: trial.steps + 1])
    return None


def _better(steps: Steps, trial: Trial) -> Steps:
    """What else such an order may mean, if anything.

    Where it could not be carried out, its next actor only had to go on. Where it fails sometimes,
    the other one of the last two has to go on first when both are let go.
    """
    if trial.early:
        return (*steps[: trial.steps], going_on(steps[trial.steps].actor))
    if trial.shown and len(steps) > 1 and steps[-1].point:
        return (*steps, going_on(steps[-2].actor))
    return ()


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
