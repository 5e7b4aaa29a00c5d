# SPDX-License-Identifier: GPL-2.0-only
"""Groups in flight: how many, in what order they are yielded, and when a plan is taken."""

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

from mmrace.executors.executor import FURTHER, in_order


class Slow:
    """Groups end when the test says so."""

    def __init__(self, slots: int) -> None:
        self.slots = self.ahead = slots
        self.begun: list[Any] = []
        self.futures: dict[Any, Future[Any]] = {}

    def submit(self, plan: Any) -> Future[Any]:
        (name,) = plan()
        self.begun.append(name)
        self.futures[name] = Future()
        return self.futures[name]

    def close(self) -> None:
        pass


def plans(count: int) -> Iterator[Any]:
    return iter([lambda n=n: (n,) for n in range(count)])


def test_a_slot_does_not_wait_for_the_order() -> None:
    """The first group is slow: those behind it are run meanwhile, and yielded after it."""
    slow = Slow(2)
    submit = slow.submit

    def ends_but_the_first(plan: Any) -> Future[Any]:
        made = submit(plan)
        if slow.begun[-1] > 0:
            made.set_result(slow.begun[-1])
        if slow.begun[-1] == 4:
            slow.futures[0].set_result(0)
        return made

    slow.submit = ends_but_the_first  # type: ignore[method-assign]
    assert list(in_order(slow, plans(6))) == [0, 1, 2, 3, 4, 5]
    assert slow.begun == [0, 1, 2, 3, 4, 5]


def test_no_more_is_run_behind_a_slow_group_than_was_said() -> None:
    slow = Slow(1)
    submit = slow.submit

    def ends_but_the_first(plan: Any) -> Future[Any]:
        made = submit(plan)
        if slow.begun[-1] == 0:
            return made
        made.set_result(slow.begun[-1])
        return made

    slow.submit = ends_but_the_first  # type: ignore[method-assign]
    runs = in_order(slow, plans(20), ahead=2)

    def end_first(*_: object) -> Any:
        assert len(slow.begun) == FURTHER * 2
        slow.futures[0].set_result(0)

    slow.futures = {}
    import mmrace.executors.executor as module

    real, module.wait = module.wait, lambda *_, **__: end_first()  # type: ignore[assignment]
    try:
        assert next(runs) == 0
    finally:
        module.wait = real  # type: ignore[assignment]
    runs.close()
