# SPDX-License-Identifier: GPL-2.0-only
"""Workloads of races, run a number of times each on one kernel."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mmrace.definitions.race import Race, Workload
from mmrace.errors import MmraceError, NotHereError, UserError
from mmrace.executors.executor import in_order
from mmrace.experiments.session import Session
from mmrace.outcome import Outcome
from mmrace.runs.cell import Cell
from mmrace.runs.kernels import Built
from mmrace.runs.options import RunOptions
from mmrace.runs.record import NotRun, RunDir
from mmrace.severity import worst_outcome

SKIP = 125  # `git bisect run` skips a revision on this exit code


@dataclass(frozen=True)
class Runs:
    """Runs that were made, workloads that were not run, and the error that ended the loop."""

    made: tuple[RunDir, ...] = ()
    not_run: tuple[NotRun, ...] = ()
    error: MmraceError | None = None

    def __add__(self, other: "Runs") -> "Runs":
        not_run = tuple(dict.fromkeys(self.not_run + other.not_run))
        return Runs(self.made + other.made, not_run, self.error or other.error)

    @property
    def exit_code(self) -> int:
        """Exit code of a command that made these runs: that of the worst run."""
        if self.error:
            return self.error.exit_code
        worst = worst_outcome(run.judgement().outcome for run in self.made)
        return worst.exit_code if worst else Outcome.NOT_EXERCISED.exit_code

    @property
    def bisect_code(self) -> int:
        """1 when the race's own failure was seen, 0 when all runs held, else SKIP."""
        judged = [run.judgement() for run in self.made]
        if any(item.outcome.failed and item.signature_matched for item in judged):
            return 1
        held = judged and all(item.outcome is Outcome.PASS for item in judged)
        return 0 if held and not self.error else SKIP

    def document(self) -> dict[str, object]:
        """The JSON document."""
        return {
            "runs": [run.as_json() for run in self.made],
            "not_run": [vars(item) for item in self.not_run],
        }


def run_workloads(
    session: Session,
    built: Built,
    race: Race,
    workloads: Iterable[Workload],
    options: RunOptions,
    count: int = 1,
) -> Runs:
    """Run workloads of one race on one kernel, ``count`` times each.

    The first run of each is planned before any run, so that bad input is reported first.
    """
    planned: list[list[Callable[[], Cell]]] = []
    absent: list[NotRun] = []
    for workload in workloads:
        try:
            planned.append(_planned(session, built, race, workload, options, count))
        except NotHereError as missing:
            absent.append(NotRun(race.name, workload.name, missing.message))
    made: list[RunDir] = []
    plans = [lambda one=one: (one(),) for group in planned for one in group]
    try:
        for runs in in_order(session.executor, plans):
            made += runs
    except MmraceError as error:
        return Runs(tuple(made), tuple(absent), error)
    return Runs(tuple(made), tuple(absent))


def _planned(
    session: Session,
    built: Built,
    race: Race,
    workload: Workload,
    options: RunOptions,
    count: int,
) -> list[Callable[[], Cell]]:
    """Plan a workload's first run now.

    Later runs when their turn comes, each with its id and seed.
    """
    plan = session.planner.plan

    def later(number: int) -> Cell:
        seed = None if options.seed is None else options.seed + number
        return plan(built, race, workload, options.with_(seed=seed))

    first = later(0)
    return [lambda: first, *(lambda number=n: later(number) for n in range(1, count))]


def run_races(
    session: Session,
    tree: str,
    series: Sequence[str],
    race: Race | None,
    workloads: Sequence[str],
    options: RunOptions,
    count: int = 1,
) -> Runs:
    """Run a race, or the races that the series concerns, on a tree with series on top.

    Raises UserError for an unknown name, BuildError.
    """
    if workloads and not race:
        raise UserError("a workload belongs to a race; name it with --race")
    chosen = [race.find_workload(name) for name in workloads] if race else []
    built = session.build(tree, series, options, race)
    races = [race] if race else session.races_about(built.tree.commit, built.applied.commit)
    done = Runs()
    for one in races:
        these = chosen or one.default_workloads(built.kernel.release)
        done += run_workloads(
            session, session.suited(built, one, options), one, these, options, count
        )
        if done.error:
            break
    return done
