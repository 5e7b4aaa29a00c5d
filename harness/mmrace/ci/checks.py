# SPDX-License-Identifier: GPL-2.0-only
"""Cells of an unattended job while they are being decided, a share of runs at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mmrace.ci.budget import Need
from mmrace.ci.ciplan import Cell, Job
from mmrace.errors import MmraceError, UserError
from mmrace.experiments.attack import check_attackable
from mmrace.experiments.attacked import Attacked
from mmrace.experiments.proving import PROOF_SECONDS
from mmrace.experiments.reproducing import learn_for_arms
from mmrace.experiments.running import run_workloads
from mmrace.experiments.session import Session
from mmrace.experiments.verdict import Decided, attack_fixed
from mmrace.experiments.verification import Verification, works_of
from mmrace.outcome import Outcome
from mmrace.runs.kernels import Built
from mmrace.runs.record import RunDir
from mmrace.severity import word, worst_code, worst_outcome
from mmrace.verdicts.facing import Faced, face
from mmrace.verdicts.verdict import Arm, Rules, Verdict

BOOT = 6.0  # seconds of a run beside its workload, until one has been measured
UNSTARTED = 3  # exit code of a cell that nothing is known of


@dataclass(frozen=True)
class Result:
    """What became of a cell.

    ``blamed`` are the runs that speak against it; ``exit_code`` is as of ``verify`` and ``run``.
    ``paths``: the word for each path of a verdict. ``attack``: the JSON document of the attack.
    """

    cell: Cell
    word: str
    reason: str
    exit_code: int
    runs: tuple[RunDir, ...] = ()
    blamed: tuple[RunDir, ...] = ()
    paths: tuple[tuple[str, str], ...] = ()
    attack: Mapping[str, Any] | None = None

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

    def share(self, width: int) -> None:
        """Make the next runs, of which ``width`` may run at a time. Raises MmraceError."""
        ...

    def result(self) -> Result:
        """What is known so far."""
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


def deciding(cell: Cell, job: Job, session: Session) -> Deciding:
    """Begin with a cell: its kernels are built. Raises MmraceError."""
    return _Hold(cell, job, session) if cell.before is None else _Verify(cell, job, session)


def _build(cell: Cell, job: Job, session: Session, series: tuple[str, ...]) -> Built:
    """Build a cell's tree with series on top, and say what that took."""
    built = session.build(cell.tree, series, cell.check.options(job.ltp), cell.race)
    kernel = built.kernel
    how = "reused" if kernel.reused else f"built in {kernel.seconds:.0f} s"
    session.note(f"kernel {kernel.id}: {cell.tree}, {' + '.join(series) or 'as it is'}: {how}")
    return built


def _mean_seconds(runs: Sequence[RunDir], cell: Cell) -> float:
    """Seconds of one run, by those that were made."""
    if not runs:
        return cell.check.seconds + BOOT
    return sum(run.vm().seconds for run in runs) / len(runs)


class _Verify:
    """Pairs of runs of two kernels, and an attack, as ``mmrace verify`` makes them."""

    def __init__(self, cell: Cell, job: Job, session: Session) -> None:
        self.cell = cell
        self._session = session
        self._arms = {
            Arm.BEFORE: _build(cell, job, session, cell.before or ()),
            Arm.AFTER: _build(cell, job, session, cell.series),
        }
        self._attack = cell.check.attack_for if cell.check.attack else 0.0
        if self._attack:
            check_attackable(self._arms)
        self._workload = cell.workload.name if cell.workload else None
        self._options, pairs = cell.check.options(job.ltp), cell.check.pairs
        self._learnt = learn_for_arms(session, self._arms, cell.race, self._options, pairs)
        works, undecided = works_of(
            self._learnt.race,
            self._options,
            self._arms[Arm.BEFORE].kernel.release,
            self._workload,
        )
        rules = Rules(alpha=job.alpha, pairs=pairs)
        self._pairs = Verification(session, self._arms, works, rules, undecided)
        self._pairs.__enter__()
        self._attacked: Attacked | None = None
        self._document: Mapping[str, Any] | None = None

    def need(self) -> Need:
        if self._attack_is_due:
            return Need(self._attack + PROOF_SECONDS, self._attack, begun=True)
        statement = self._pairs.statement()
        seconds = _mean_seconds(self._runs, self.cell)
        runs = sum(one.more_runs or one.more_runs_at_least for one in statement.paths)
        done = self._pairs.done or bool(self._learnt.trouble)
        return Need(2 * seconds, runs * seconds, bool(self._runs), done)

    def share(self, width: int) -> None:
        if not self._attack_is_due:
            self._pairs.step(width)
            return
        pairs, workload = self._decided, self._workload
        done = attack_fixed(
            self._session, self._arms, pairs, self._options, self._attack, workload, width
        )
        if attacked := done.attacked:
            self._attacked = attacked
            self._document = attacked.document(attacked.keep_witness())

    def result(self) -> Result:
        done = self._decided
        statement = done.statement
        if self._attack_is_due:
            statement = face(statement, Faced("", (), "", "no time was left for it"))
        reason = f"{statement.reason}; p = {statement.weakest.p_value:.2g}"
        if statement.verdict is Verdict.FIXED and not self._attacked:
            reason = f"{reason}; {done.attack_words}"
        unmade = self._learnt.trouble or "no time was left for it"
        return Result(
            self.cell,
            str(statement.verdict),
            reason if self._runs else unmade,
            statement.exit_code,
            done.runs,
            _blamed(done) if statement.verdict is not Verdict.FIXED else (),
            tuple((one.path, str(one.verdict)) for one in statement.paths),
            self._document,
        )

    def close(self) -> None:
        self._pairs.__exit__(None, None, None)

    @property
    def _runs(self) -> tuple[RunDir, ...]:
        return tuple(run for _, run in self._pairs.result().runs)

    @property
    def _decided(self) -> Decided:
        return Decided(self._pairs.result(), self._learnt, self._attacked)

    @property
    def _attack_is_due(self) -> bool:
        """Whether the pairs say FIXED, and the attack that was asked for has not been made."""
        fixed = self._pairs.done and self._pairs.statement().verdict is Verdict.FIXED
        return bool(self._attack) and fixed and not self._attacked


def _blamed(done: Decided) -> tuple[RunDir, ...]:
    """Return the runs of the kernel after that speak against it."""
    pairs = [run for arm, run in done.verified.runs if arm is Arm.AFTER]
    blamed = [run for run in pairs if run.judgement().outcome.failed]
    if attacked := done.attacked:
        after = [one for one in attacked.attempts if one.arm is Arm.AFTER]
        blamed += [one.run for one in after if one.title in attacked.regressions]
        blamed += [attacked.failure.run] if attacked.failure else []
    return tuple(blamed)


class _Hold:
    """Runs of one kernel, until one fails or there are enough."""

    def __init__(self, cell: Cell, job: Job, session: Session) -> None:
        assert cell.workload  # noqa: S101 - ciplan gives a workload to each cell without before
        self.cell = cell
        self._session = session
        self._options = cell.check.options(job.ltp)
        self._workload = cell.workload
        self._kernel = _build(cell, job, session, cell.series)
        self._made: list[RunDir] = []

    def need(self) -> Need:
        seconds = _mean_seconds(self._made, self.cell)
        left = self.cell.check.runs - len(self._made)
        failed = any(run.judgement().outcome.failed for run in self._made)
        return Need(seconds, left * seconds, bool(self._made), failed or left <= 0)

    def share(self, width: int) -> None:
        count = min(width, self.cell.check.runs - len(self._made))
        done = run_workloads(
            self._session, self._kernel, self.cell.race, [self._workload], self._options, count
        )
        self._made += done.made
        if done.error:
            raise done.error
        if done.not_run:
            raise UserError(done.not_run[0].why)

    def result(self) -> Result:
        made, needed = tuple(self._made), self.cell.check.runs
        if not made:
            return Result(self.cell, "INCONCLUSIVE", "no time was left for it", UNSTARTED)
        outcome = worst_outcome(run.judgement().outcome for run in made)
        worst = next(run for run in made if run.judgement().outcome is outcome)
        judged = worst.judgement()
        if judged.outcome is not Outcome.PASS:
            reason = judged.title or "; ".join(judged.notes)
            code = judged.outcome.exit_code
            return Result(self.cell, str(judged.outcome), reason, code, made, (worst,))
        reason = f"{len(made)} of {needed} runs passed"
        if len(made) < needed:
            return Result(self.cell, "INCONCLUSIVE", reason, UNSTARTED, made)
        return Result(self.cell, str(judged.outcome), reason, 0, made)

    def close(self) -> None:
        """It holds nothing."""


def failed(cell: Cell, error: MmraceError, runs: Sequence[RunDir] = ()) -> Result:
    """Return the result of a cell that mmrace could not go on with."""
    return Result(cell, word(error), error.message, error.exit_code, tuple(runs))


def worst_exit_code(results: Sequence[Result]) -> int:
    """The exit code of the worst: cannot tell, not built, bad input, failed, not certain, held."""
    return worst_code(result.exit_code for result in results)
