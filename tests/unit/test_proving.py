# SPDX-License-Identifier: GPL-2.0-only
"""Which orders are tried for a failure of the search, and in which order."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from fakes.searched import step
from mmrace.definitions.witness import Step
from mmrace.guests.attempts import Attempt, Replay
from mmrace.hunting.minimise import Steps
from mmrace.searching.proving import Suspects, prove_failure
from mmrace.searching.schedule import recorded
from mmrace.searching.search import Failure
from mmrace.windows.search import StepKind


class Replays:
    """A prover whose replays get as far as they are told to; the orders that it was given."""

    def __init__(self, reached: Callable[[Steps], int]) -> None:
        self.reached = reached
        self.tried: list[Steps] = []

    def look(self, order: Steps) -> Replay:
        self.tried.append(order)
        return Replay((Attempt(self.reached(order)),), len(order), None, 1.0)


def test_an_order_that_begins_as_one_that_could_not_be_carried_out_is_not_tried() -> None:
    def order(*points: int) -> Steps:
        return tuple(
            Step(actor=f"V{n % 2}", point=(f"entry of f{at}",)) for n, at in enumerate(points)
        )

    orders = [order(1, 2, 3), order(1, 2, 4), order(1, 5, 3), order(6, 2)]
    prover = Replays(lambda tried: 1 if tried[:2] == order(1, 2) else len(tried))
    found = prove_failure(prover, [((), one) for one in orders], lambda: 60.0, lambda _text: None)
    assert found is None
    assert prover.tried == [orders[0], orders[2], orders[3]]


@pytest.mark.parametrize(("patience", "tried"), [(40.0, 4), (90.0, 9)])
def test_a_failure_that_took_long_to_find_is_looked_into_for_long(
    patience: float, tried: int
) -> None:
    orders = [(Step(actor="V0", point=(f"entry of f{at}",)),) for at in range(20)]
    prover = Replays(len)
    seconds = itertools.count(300, -10)  # each look at the clock is ten seconds later
    suspects = [((), one) for one in orders]
    prove_failure(prover, suspects, lambda: float(next(seconds)), lambda _text: None, patience)
    assert len(prover.tried) == tried - 1


def test_orders_out_of_a_report_are_tried_in_turn_with_those_of_schedules() -> None:
    names = SimpleNamespace(exact="at f{}+0x0".format, address=lambda _point: None)
    sliced = SimpleNamespace(orders=lambda name: iter([(Step(actor="V0", point=(name(3),)),)]))
    log = (step(1.0, 0, StepKind.HELD, 1), step(1.5, 1, StepKind.SWITCH, 2))
    boot = SimpleNamespace()
    failure = Failure(boot, recorded(log, 2.0), sliced)
    found = list(Suspects(names).of(failure))
    assert found[0] == ((), (Step(actor="V0", point=("at f3+0x0",)),))
    assert len(found) > 1


def test_schedules_in_which_nobody_else_did_anything_are_passed_over() -> None:
    telling = (step(0.1, 0, StepKind.HELD, 1), step(0.2, 1, StepKind.SWITCH, 2))
    vain = [
        replace(one, schedule=number)
        for number in range(2, 9)
        for one in (
            step(number / 10 + 0.1, 0, StepKind.HELD, 3),
            step(number / 10 + 0.15, 0, StepKind.STUCK, 3, count=0),
        )
    ]
    names = SimpleNamespace(exact="at f{}+0x0".format, address=lambda _point: None)
    failure = Failure(SimpleNamespace(), recorded((*telling, *vain), 2.0))
    assert len(failure.schedules) == 8
    points = {
        point
        for _hits, order in Suspects(names).of(failure)
        for one in order
        for point in one.point
    }
    assert points == {"at f1+0x0", "at f2+0x0"}


def test_suspects_know_how_long_a_place_takes_to_be_reached() -> None:
    log = (step(4.0, 0, StepKind.TRAIL, 7, count=2), step(4.0, 0, StepKind.HELD, 7))
    names = SimpleNamespace(exact="at f{}+0x0".format, address=lambda point: int(point[4]))
    suspects = Suspects(names)
    list(suspects.of(Failure(SimpleNamespace(), recorded(log, 5.0))))
    assert suspects.seconds_between("at f7+0x0") == 2.0
    assert suspects.seconds_between("at f8+0x0") == 0
