# SPDX-License-Identifier: GPL-2.0-only
"""An unattended job: its cells are decided within one budget of time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mmrace.ci.budget import next_share
from mmrace.ci.checks import Deciding, Result, deciding, failed
from mmrace.ci.ciplan import Cell, Check, Job, cells_of
from mmrace.errors import MmraceError
from mmrace.home import Home
from mmrace.patching.intake import Intake
from mmrace.runs import campaign
from mmrace.runs.campaign import Built, Step, Workbench
from mmrace.sources.history import find_revision, is_revision
from mmrace.sources.tree import find_tree

Clock = Callable[[], float]
DEFAULT = Intake()


@dataclass(frozen=True)
class Kernels:
    """The kernels of one job, each looked up or built once."""

    home: Home
    step: Step
    note: Callable[[str], None]
    intake: Intake
    built: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Built]

    def __call__(self, cell: Cell, series: tuple[str, ...]) -> Built:
        """Build a cell's tree with series on top. Raises MmraceError."""
        configs = cell.race.fragments(cell.check.configs)
        key = (cell.tree, series, configs)
        if key not in self.built:
            made = campaign.build(self.home, cell.tree, series, configs, self.step, self.intake)
            self.built[key] = made
            how = "reused" if made.kernel.reused else f"built in {made.kernel.seconds:.0f} s"
            what = " + ".join(series) or "as it is"
            self.note(f"kernel {made.kernel.id}: {cell.tree}, {what}: {how}")
        return self.built[key]


@dataclass(frozen=True)
class Session:
    """What a job's loop works with; ``clock`` gives seconds."""

    home: Home
    step: Step
    note: Callable[[str], None]
    intake: Intake = DEFAULT
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
        build = Kernels(self.home, self.step, self.note, self.intake, {})
        bench = Workbench(self.home, self.step)
        results: dict[int, Result] = {}
        open_cells: dict[int, Deciding] = {}
        for number, cell in enumerate(cells):
            try:
                open_cells[number] = deciding(cell, job, build)
            except MmraceError as error:
                results[number] = failed(cell, error)
                self.note(f"{cell.name}: {error.message}")
        self._decide(open_cells, results, bench, started + job.budget)
        results |= {number: one.result() for number, one in open_cells.items()}
        return tuple(results[number] for number in range(len(cells)))

    def _cells(self, check: Check, tree: str) -> tuple[Cell, ...]:
        with self.step(f"tree {tree}") as tell:
            find = find_revision if is_revision(tree) else find_tree
            version = find(self.home, tree, tell).version
        return cells_of(check, tree, version)

    def _decide(
        self,
        open_cells: dict[int, Deciding],
        results: dict[int, Result],
        bench: Workbench,
        end: float,
    ) -> None:
        while open_cells:
            numbers = list(open_cells)
            chosen = next_share([open_cells[n].need() for n in numbers], end - self.clock())
            if chosen is None:
                return
            one = open_cells[numbers[chosen]]
            try:
                one.share(bench)
            except MmraceError as error:
                results[numbers[chosen]] = failed(one.cell, error, one.result().runs)
                del open_cells[numbers[chosen]]
                self.note(f"{one.cell.name}: {error.message}")
                continue
            self.note(_told(one, max(0.0, end - self.clock())))


def _told(one: Deciding, left: float) -> str:
    said, need = one.result(), one.need()
    more = "" if need.done else f", about {need.total:.0f} s more"
    return f"{one.cell.name}: {said.word}: {said.reason}{more}; {left:.0f} s are left"


def guest_seconds(results: Sequence[Result]) -> float:
    """Seconds that all guests of a job took."""
    return sum(result.seconds for result in results)
