# SPDX-License-Identifier: GPL-2.0-only
"""The interface between experiments and the executors that run their cells."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from mmrace.progress import Step
from mmrace.runs.cell import Cell
from mmrace.runs.record import RunDir

Group = tuple[Cell, ...]
Runs = tuple[RunDir, ...]
Plan = Callable[[], Group]
FURTHER = 4
T = TypeVar("T")


@dataclass(frozen=True)
class UnderWay(Generic[T]):
    """A group under way; ``end`` waits for it and returns its result (to be called once)."""

    future: "Future[Runs]"
    end: Callable[[], T]


class Executor(Protocol):
    """Runs groups of cells; the cells of a group run one after another, in order, on one host.

    ``slots``: guests that run at the same time. ``ahead``: groups to keep submitted; more than
    ``slots`` where a slot would otherwise wait for its next group to arrive.
    """

    @property
    def slots(self) -> int:
        """Guests that can run at the same time now; hosts may come and go."""
        ...

    @property
    def ahead(self) -> int:
        """Groups to keep submitted."""
        ...

    def submit(self, plan: Plan, step: Step | None = None) -> "Future[Runs]":
        """Have a group planned and run; the future holds its runs in the group's order.

        The future carries any MmraceError that planning or running raises. ``step`` shows progress
        in place of the executor's own step. Cancelling the future cancels a group that a cluster
        has accepted.
        """
        ...

    def close(self) -> None:
        """Cancel or end all groups under way; no guest is left running."""
        ...


def in_order(executor: Executor, plans: Iterable[Plan], ahead: int = 0) -> Iterator[Runs]:
    """Run groups, several at a time; yield their runs in the order of ``plans``.

    ``ahead``: groups under way at a time; 0: ``executor.ahead``. While the first group is slow, up
    to FURTHER times as many groups behind it are run, so that no slot is idle. The next plan is
    taken from ``plans`` after all results so far were yielded, so it may depend on them. An
    exception from planning or running ends the iteration and cancels groups that have not begun.
    """
    waiting: deque[Future[Runs]] = deque()
    try:
        for plan in plans:
            waiting.append(executor.submit(plan))
            while waiting:
                width = ahead or executor.ahead
                running = [one for one in waiting if not one.done()]
                if waiting[0].done():
                    yield waiting.popleft().result()
                elif len(running) < width and len(waiting) < FURTHER * width:
                    break
                else:
                    wait(running, return_when=FIRST_COMPLETED)
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def as_ended(
    executor: Executor, begin: Callable[[], UnderWay[T] | None], ahead: int = 0
) -> Iterator[UnderWay[T]]:
    """Keep ``ahead`` groups under way, and yield each when it has ended.

    ``ahead`` is as many as the executor has slots if it is 0.

    ``begin`` begins the next group, or returns None when there is none now; iteration ends when
    ``begin`` returns None and no group is under way. Closing the iterator cancels groups that have
    not begun.
    """
    waiting: list[UnderWay[T]] = []
    try:
        while True:
            while len(waiting) < (ahead or executor.slots) and (next_one := begin()):
                waiting.append(next_one)
            if not waiting:
                return
            wait([one.future for one in waiting], return_when=FIRST_COMPLETED)
            for ended in [one for one in waiting if one.future.done()]:
                waiting.remove(ended)
                yield ended
    finally:
        for one in waiting:
            one.future.cancel()
