# SPDX-License-Identifier: GPL-2.0-only
"""What an experiment asks of whatever runs its cells."""

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
    """A group under way; ``end`` waits for it and gives, once, what its beginner makes of it."""

    future: "Future[Runs]"
    end: Callable[[], T]


class Executor(Protocol):
    """Runs groups of cells; a group's cells run one after another, in order, at one place.

    ``slots``: guests that run at the same time. ``ahead``: groups that are worth submitting, more
    than that where a slot would have to wait for the next one.
    """

    @property
    def slots(self) -> int:
        """Slots now; hosts may come and go."""
        ...

    @property
    def ahead(self) -> int:
        """Groups that should be under way."""
        ...

    def submit(self, plan: Plan, step: Step | None = None) -> "Future[Runs]":
        """Have a group planned and run; the future holds its runs in the group's order.

        What planning or running raises (MmraceError) is the future's exception. ``step`` shows it,
        in place of the executor's own. Where it is cancelled, a group on its way is given up.
        """
        ...

    def close(self) -> None:
        """End what is under way; nothing is left running."""
        ...


def in_order(executor: Executor, plans: Iterable[Plan], ahead: int = 0) -> Iterator[Runs]:
    """Run groups, as many at a time as are worth it; yield their runs in order.

    ``ahead``: groups under way at a time; 0: as many as the executor says. A slot does not wait for
    the order: while a group takes long, up to FURTHER times as many behind it are run. The next
    plan is taken from ``plans`` after the results so far have been yielded, so it may depend on
    those. What planning or running raises ends it, and groups that have not begun are dropped.
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


def as_ended(executor: Executor, begin: Callable[[], UnderWay[T] | None]) -> Iterator[UnderWay[T]]:
    """Keep as many groups under way as the executor has slots; yield each when it has ended.

    ``begin`` begins the next one, or returns None while there is none: what is under way then ends,
    and when nothing is, this does. Groups that have not begun are dropped when it is closed.
    """
    waiting: list[UnderWay[T]] = []
    try:
        while True:
            while len(waiting) < executor.slots and (next_one := begin()):
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
