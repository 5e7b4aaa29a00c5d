# SPDX-License-Identifier: GPL-2.0-only
"""An unattended job: its cells are decided within one budget of time."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mmrace.building.tools import toolchain
from mmrace.ci.budget import next_share
from mmrace.ci.checks import Deciding, Result, deciding, failed
from mmrace.ci.ciplan import Cell, Check, Job, cache_key, cells_of, read_job
from mmrace.errors import MmraceError
from mmrace.executors.local import with_event_loop
from mmrace.experiments.reproducing import race_of
from mmrace.experiments.session import Session
from mmrace.runs.kernels import find_source
from mmrace.runs.record import RunDir

Clock = Callable[[], float]


@dataclass(frozen=True)
class Unattended:
    """What a job's loop works with; ``clock`` gives seconds."""

    session: Session
    clock: Clock = time.monotonic

    def run(self, job: Job) -> tuple[Result, ...]:
        """Decide what can be decided within the job's budget, and say what became of each cell.

        A cell that mmrace cannot go on with does not keep the others from going on. Raises
        UserError for a tree, a race or a workload that is not there.
        """
        started = self.clock()
        cells = [
            cell for check in job.check for tree in check.tree for cell in self._cells(check, tree)
        ]
        cells = [cell for number, cell in enumerate(cells) if cell not in cells[:number]]
        results: dict[int, Result] = {}
        open_cells: dict[int, Deciding] = {}
        for number, cell in enumerate(cells):
            try:
                open_cells[number] = deciding(cell, job, self.session)
            except MmraceError as error:
                results[number] = failed(cell, error)
                self.session.note(f"{cell.name}: {error.message}")
        try:
            self._decide(open_cells, results, started + job.budget)
            results |= {number: one.result() for number, one in open_cells.items()}
        finally:
            for one in open_cells.values():
                one.close()
        return tuple(results[number] for number in range(len(cells)))

    def _cells(self, check: Check, tree: str) -> tuple[Cell, ...]:
        with self.session.step(f"tree {tree}") as tell:
            version = find_source(self.session.home, tree, tell).version
        home = self.session.home
        words = check.repro, check.crash, check.procs, check.user, check.fails_by
        return cells_of(check, tree, version, race_of(home, *words) if check.repro else None)

    def _decide(
        self, open_cells: dict[int, Deciding], results: dict[int, Result], end: float
    ) -> None:
        """Give shares to cells, as many at a time as guests can run."""
        executor = self.session.executor
        busy: dict[Future[None], int] = {}
        with ThreadPoolExecutor(max(1, executor.slots)) as pool:
            try:
                while open_cells:
                    slots = executor.slots
                    idle = [n for n in open_cells if n not in busy.values()]
                    needs = [open_cells[n].need() for n in idle]
                    chosen = None
                    if len(busy) < slots:
                        chosen = next_share(needs, end - self.clock())
                    if chosen is None and not busy:
                        return
                    if chosen is not None:
                        number = idle[chosen]
                        width = max(1, slots // sum(not need.done for need in needs))
                        share = partial(open_cells[number].share, width)
                        looped = partial(with_event_loop, share)
                        made = pool.submit(looped) if slots > 1 else _call_now(share)
                        busy[made] = number
                    full = chosen is None or len(busy) >= slots
                    for future in wait(busy, None if full else 0, FIRST_COMPLETED).done:
                        self._settle(busy.pop(future), future, open_cells, results, end)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                executor.close()
                raise

    def _settle(
        self,
        number: int,
        share: "Future[None]",
        open_cells: dict[int, Deciding],
        results: dict[int, Result],
        end: float,
    ) -> None:
        """Take in what came of a share; a cell that failed takes no more."""
        one = open_cells[number]
        try:
            share.result()
        except MmraceError as error:
            results[number] = failed(one.cell, error, one.result().runs)
            one.close()
            del open_cells[number]
            self.session.note(f"{one.cell.name}: {error.message}")
        else:
            self.session.note(_state_line(one, max(0.0, end - self.clock())))


def _call_now(call: Callable[[], None]) -> "Future[None]":
    """Call it now, in this thread, so that Ctrl-C ends the guest where it runs."""
    made: Future[None] = Future()
    try:
        call()
        made.set_result(None)
    except MmraceError as error:
        made.set_exception(error)
    return made


def _state_line(one: Deciding, left: float) -> str:
    result, need = one.result(), one.need()
    more = "" if need.done else f", about {need.total:.0f} s more"
    return f"{one.cell.name}: {result.word}: {result.reason}{more}; {left:.0f} s are left"


@dataclass(frozen=True)
class Done:
    """A job's cells; ``key``: of the CI service's cache; ``seconds`` of wall time in all."""

    title: str
    key: str
    results: tuple[Result, ...]
    seconds: float

    @property
    def guests(self) -> float:
        """Seconds that all guests took."""
        return guest_seconds(self.results)

    @property
    def runs(self) -> tuple[RunDir, ...]:
        """All runs."""
        return tuple(run for result in self.results for run in result.runs)


def run_job(session: Session, path: Path, budget: float | None = None) -> Done:
    """Read a job and run it; ``budget``: seconds in place of its own. Errors as of ``run``."""
    job = read_job(path)
    job = job.model_copy(update={"budget": budget}) if budget else job
    key = job_key(path)
    session.note(f"cache key {key}; home {session.home.cache} and {session.home.data}")
    started = time.monotonic()
    results = Unattended(session).run(job)
    return Done(job.title, key, results, time.monotonic() - started)


def job_key(path: Path) -> str:
    """Return the key under which a CI service keeps the home for a job."""
    read_job(path)
    return cache_key(path, toolchain({}))


def guest_seconds(results: Sequence[Result]) -> float:
    """Seconds that all guests of a job took."""
    return sum(result.seconds for result in results)
