# SPDX-License-Identifier: GPL-2.0-only
"""Cells of an unattended job while they are being decided, a share of runs at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from mmrace.ci.budget import Need
from mmrace.ci.ciplan import Cell, Job
from mmrace.errors import MmraceError
from mmrace.outcome import Outcome
from mmrace.runs.campaign import Built, Choice, Workbench, command_line
from mmrace.runs.record import RunDir
from mmrace.verdicts.signtest import SignTest
from mmrace.verdicts.verdict import Arm, Rules, Verdict

BOOT = 6.0  # seconds of a run beside its workload, until one has been measured
UNSTARTED = 3  # exit code of a cell that nothing is known of
_SEVERITY = (Outcome.INFRA, Outcome.CRASH, Outcome.FAIL, Outcome.HANG)

Build = Callable[[Cell, tuple[str, ...]], Built]


@dataclass(frozen=True)
class Result:
    """What became of a cell.

    ``blamed`` are the runs that speak against it; ``exit_code`` is as of ``verify`` and ``run``.
    """

    cell: Cell
    word: str
    reason: str
    exit_code: int
    runs: tuple[RunDir, ...] = ()
    blamed: tuple[RunDir, ...] = ()

    @property
    def seconds(self) -> float:
        """Seconds in guests."""
        return sum(run.vm().seconds for run in self.runs)


class Deciding(Protocol):
    """A cell that takes shares."""

    cell: Cell

    def need(self) -> Need:
        """What it still needs."""
        ...

    def share(self, bench: Workbench) -> None:
        """Make the next runs. Raises MmraceError."""
        ...

    def result(self) -> Result:
        """What is known so far."""
        ...


def deciding(cell: Cell, job: Job, build: Build) -> Deciding:
    """Begin with a cell: its kernels are built. Raises MmraceError."""
    return _Hold(cell, job, build) if cell.before is None else _Verify(cell, job, build)


class _Runs:
    """Makes the runs of one cell, and knows how long one takes."""

    def __init__(self, cell: Cell, ltp: str | None) -> None:
        check = cell.check
        self._cell = cell
        self._choice = Choice(
            machine=check.machine,
            accel=check.accel,
            seconds=check.seconds,
            ltp=ltp,
            steer=check.steer,
            boot=check.boot,
        )
        self.made: list[RunDir] = []

    @property
    def seconds(self) -> float:
        """Seconds of one run, by those that were made."""
        if not self.made:
            return self._choice.seconds + BOOT
        return sum(run.vm().seconds for run in self.made) / len(self.made)

    def make(self, bench: Workbench, built: Built, seed: int | None) -> RunDir:
        """Run once."""
        cell, choice = self._cell, replace(self._choice, seed=seed)
        words = command_line(built, cell.race, cell.workload, choice)
        run = bench.run(*bench.plan(built, cell.race, cell.workload, choice, words))
        self.made.append(run)
        return run


class _Verify:
    """Pairs of runs of two kernels, as ``mmrace verify`` makes them."""

    def __init__(self, cell: Cell, job: Job, build: Build) -> None:
        self.cell = cell
        self._runs = _Runs(cell, job.ltp)
        self._after: list[RunDir] = []
        self._campaign = SignTest(Rules(alpha=job.alpha, pairs=cell.check.pairs))
        self._kernels = {
            Arm.BEFORE: build(cell, cell.before or ()),
            Arm.AFTER: build(cell, cell.series),
        }

    def need(self) -> Need:
        said = self._campaign.statement()
        runs = said.more_runs or said.more_runs_at_least
        step = 2 * self._runs.seconds
        return Need(step, runs * self._runs.seconds, bool(self._runs.made), self._campaign.done)

    def share(self, bench: Workbench) -> None:
        pair = self._campaign.next_pair()
        made = {side: self._runs.make(bench, self._kernels[side], pair.seed) for side in pair.order}
        self._after.append(made[Arm.AFTER])
        self._campaign.record(made[Arm.BEFORE].judgement(), made[Arm.AFTER].judgement())

    def result(self) -> Result:
        said = self._campaign.statement()
        bad = [run for run in self._after if run.judgement().outcome.failed]
        return Result(
            self.cell,
            str(said.verdict),
            f"{said.reason}; p = {said.p_value:.2g}" if self._after else "no time was left for it",
            said.verdict.exit_code,
            tuple(self._runs.made),
            tuple(bad) if said.verdict is not Verdict.FIXED else (),
        )


class _Hold:
    """Runs of one kernel, until one fails or there are enough."""

    def __init__(self, cell: Cell, job: Job, build: Build) -> None:
        self.cell = cell
        self._runs = _Runs(cell, job.ltp)
        self._kernel = build(cell, cell.series)

    def need(self) -> Need:
        made, seconds = self._runs.made, self._runs.seconds
        left = self.cell.check.runs - len(made)
        failed = any(run.judgement().outcome.failed for run in made)
        return Need(seconds, left * seconds, bool(made), failed or left <= 0)

    def share(self, bench: Workbench) -> None:
        self._runs.make(bench, self._kernel, None)

    def result(self) -> Result:
        made, wanted = self._runs.made, self.cell.check.runs
        if not made:
            return Result(self.cell, "INCONCLUSIVE", "no time was left for it", UNSTARTED)
        worst = _worst(made)
        outcome, title = worst.judgement().outcome, worst.judgement().title
        word, code = str(outcome), outcome.exit_code
        reason = title or "; ".join(worst.judgement().notes)
        if outcome is Outcome.PASS:
            reason = f"{len(made)} of {wanted} runs passed"
            word, code = (word, code) if len(made) >= wanted else ("INCONCLUSIVE", UNSTARTED)
        blamed = (worst,) if outcome is not Outcome.PASS else ()
        return Result(self.cell, word, reason, code, tuple(made), blamed)


def failed(cell: Cell, error: MmraceError, runs: Sequence[RunDir] = ()) -> Result:
    """Return the result of a cell that mmrace could not go on with."""
    word = {4: "NOT_BUILT", 69: "INFRA"}.get(error.exit_code, "NOT_RUN")
    return Result(cell, word, error.message, error.exit_code, tuple(runs))


def worst_exit_code(results: Sequence[Result]) -> int:
    """The exit code of the worst: cannot tell, not built, bad input, failed, not certain, held."""
    order = (69, 4, 2, 1, 3)
    codes = {result.exit_code for result in results}
    return next((code for code in order if code in codes), 0)


def _worst(runs: Sequence[RunDir]) -> RunDir:
    def rank(run: RunDir) -> int:
        outcome = run.judgement().outcome
        if outcome is Outcome.PASS:
            return len(_SEVERITY) + 1
        return _SEVERITY.index(outcome) if outcome in _SEVERITY else len(_SEVERITY)

    return min(runs, key=rank)
