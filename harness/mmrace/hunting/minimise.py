# SPDX-License-Identifier: GPL-2.0-only
"""From an order that fails to the smallest part of it that still does."""

from collections.abc import Callable, Iterator

from mmrace.definitions.witness import Step
from mmrace.hunting.explore import Hit, steps

Steps = tuple[Step, ...]


def minimise(hits: tuple[Hit, ...], fails: Callable[[Steps], bool]) -> Steps | None:
    """The fewest steps found that still fail; None when not even all of them do again.

    ``fails`` tries an order, several times if it likes. Greedy: what is left out stays out.
    """
    found = next((order for order in endings(hits) if fails(order)), None)
    while found:
        smaller = next((order for order in _smaller(found) if fails(order)), None)
        if not smaller:
            return found
        found = smaller
    return None


def endings(hits: tuple[Hit, ...]) -> Iterator[Steps]:
    """Orders that a walk's hits may mean, the shortest first.

    The failure was sown somewhere on the way: after the second change from one actor to another
    at the earliest. An order that is cut short there has less that can go wrong.
    """
    whole = steps(hits)
    for length in range(2, len(whole) + 1):
        yield _once(whole[:length])
    yield whole


def _once(order: Steps) -> Steps:
    return tuple(step.model_copy(update={"hit": 1}) for step in order)


def _smaller(order: Steps) -> Iterator[Steps]:
    """All that is a step less, or has a step that counts only once."""
    if len(order) > 1:
        for left_out in range(len(order)):
            yield order[:left_out] + order[left_out + 1 :]
    for number, step in enumerate(order):
        if step.hit > 1:
            once = step.model_copy(update={"hit": 1})
            yield (*order[:number], once, *order[number + 1 :])
