# SPDX-License-Identifier: GPL-2.0-only
"""What an experiment asks of whatever runs its cells."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Protocol

from mmrace.runs.cell import Cell
from mmrace.runs.record import RunDir

Group = tuple[Cell, ...]
Runs = tuple[RunDir, ...]
Plan = Callable[[], Group]


class Executor(Protocol):
    """Runs groups of cells; a group's cells run one after another, in order, at one place.

    ``slots``: guests that run at the same time, and so the number of groups that are worth
    submitting ahead.
    """

    slots: int

    def submit(self, plan: Plan) -> "Future[Runs]":
        """Have a group planned and run; the future holds its runs in the group's order.

        What planning or running raises (MmraceError) is the future's exception.
        """
        ...

    def close(self) -> None:
        """End what is under way; nothing is left running."""
        ...


def in_order(executor: Executor, plans: Iterable[Plan], ahead: int = 0) -> Iterator[Runs]:
    """Run groups, as many at a time as the executor has slots; yield their runs in order.

    ``ahead``: groups submitted before the first result is waited for; 0: one for each slot. The
    next plan is taken from ``plans`` after the results so far have been yielded, so it may depend
    on those. What planning or running raises ends it, and groups that have not begun are dropped.
    """
    waiting: deque[Future[Runs]] = deque()
    try:
        for plan in plans:
            waiting.append(executor.submit(plan))
            if len(waiting) >= (ahead or executor.slots):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
