# SPDX-License-Identifier: GPL-2.0-only
"""Races on trees with series: a table whose cells are outcomes, or verdicts over all paths."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from mmrace.definitions.machine import load_machine
from mmrace.definitions.race import Race, load_race, race_names
from mmrace.errors import MmraceError
from mmrace.executors.local import with_event_loop
from mmrace.experiments.running import run_workloads
from mmrace.experiments.session import Session
from mmrace.experiments.verdict import decide
from mmrace.runs.options import RunOptions
from mmrace.severity import word, worst_code
from mmrace.verdicts.grid import NOTHING, Cell, Column
from mmrace.verdicts.verdict import Rules

Fill = Callable[[Race, Column], Cell]


@dataclass(frozen=True)
class Matrix:
    """The cells of all races in all columns, row by row."""

    races: tuple[Race, ...]
    columns: tuple[Column, ...]
    cells: tuple[Cell, ...]

    @property
    def exit_code(self) -> int:
        """Exit code of all cells together."""
        return worst_code(cell.code for cell in self.cells)


def races_of(names: Sequence[str], repro: Race | None) -> list[Race]:
    """Return the named races and a reproducer's race.

    Without either, all races that need no kernel configuration of their own.
    """
    races = [*map(load_race, names), *([repro] if repro else [])]
    return races or [race for race in map(load_race, race_names()) if race.shared]


def columns_of(
    trees: Iterable[str], series: Sequence[str], before: Sequence[str]
) -> tuple[Column, ...]:
    """Return one column for each tree with each series; ``A+B`` stands for both series together."""
    return tuple(
        Column(tree, _split(one), tuple(before) or None) for tree in trees for one in series or [""]
    )


def slots_for(races: Iterable[Race], machine: str | None) -> int:
    """Number of guests for this host's cores, one core for each vCPU; at least one."""
    needed = max(load_machine(machine or race.machine).cpus for race in races)
    return max(1, len(os.sched_getaffinity(0)) // needed)


def outcomes(session: Session, options: RunOptions, count: int) -> Fill:
    """Return a function that fills a cell with the outcome of ``count`` runs of each path."""

    def fill(race: Race, column: Column) -> Cell:
        built = session.build(column.tree, column.series, options, race)
        workloads = race.paths(built.kernel.release).decided.values()
        done = run_workloads(session, built, race, workloads, options, count)
        if done.error:
            raise done.error
        if not done.made:
            return Cell(race.name, column, NOTHING, done.not_run[0].why, 3)
        code = done.exit_code
        judged = [run.judgement() for run in done.made]
        worst = next(one for one in judged if one.outcome.exit_code == code)
        same = sum(one.outcome is worst.outcome for one in judged)
        title = worst.title if worst.signature_matched else f"{worst.title} (foreign)"
        parts = (
            f"{same} of {len(judged)}" if len(judged) > 1 else "",
            title if worst.title else "",
        )
        text = " ".join(filter(None, parts))
        return Cell(race.name, column, str(worst.outcome), text, code, done.made)

    return fill


def verdicts(session: Session, options: RunOptions, rules: Rules, attack: float) -> Fill:
    """Return a function that fills a cell with the verdict over all paths of a race.

    ``attack``: seconds of the attack on a kernel that the pairs call FIXED, 0 for none.
    """

    def fill(race: Race, column: Column) -> Cell:
        before, after = column.before or (), column.series
        done = decide(
            session, column.tree, before, after, race, options, rules, attack=attack, ahead=1
        )
        statement, attacked = done.statement, done.attacked
        paths = [
            f"{one.path}: before {one.before.failures} of {one.before.runs}, "
            f"after {one.after.failures} of {one.after.runs}, p = {one.p_value:.2g}"
            for one in statement.paths
        ]
        told = [done.learnt.trouble] if done.learnt.trouble else [*paths, done.attack_words]
        return Cell(
            race.name,
            column,
            str(statement.verdict),
            "; ".join(filter(None, told)),
            statement.exit_code,
            done.runs,
            attacked.document(attacked.keep_witness()) if attacked else None,
        )

    return fill


def run_matrix(
    session: Session,
    races: Sequence[Race],
    columns: Sequence[Column],
    options: RunOptions,
    count: int | None,
    alpha: float,
    attack: float,
) -> Matrix:
    """Fill a matrix: verdicts at ``alpha`` where columns have series beneath, else outcomes.

    ``count``: pairs per path (default 60), or runs (default 1). ``attack``: seconds of each
    attack, 0 for none.
    """
    if any(column.before for column in columns):
        rules = Rules(alpha=alpha, pairs=count or 60, seed=options.seed or 0)
        fill = verdicts(session, options, rules, attack)
        return fill_matrix(session, races, columns, fill, options)
    fill = outcomes(session, options, count or 1)
    return fill_matrix(session, races, columns, fill, options)


def fill_matrix(
    session: Session,
    races: Sequence[Race],
    columns: Sequence[Column],
    fill: Fill,
    options: RunOptions,
) -> Matrix:
    """Build each kernel once, then fill the cells, as many at a time as there are slots.

    A cell that cannot be filled holds the error; the other cells are still filled.
    """
    session.at_once(
        [
            partial(_build_ahead, session, race, column, options)
            for race in races
            for column in columns
        ]
    )

    def cell(race: Race, column: Column) -> Cell:
        try:
            return fill(race, column)
        except MmraceError as error:
            return Cell(race.name, column, word(error, NOTHING), error.message, error.exit_code)

    with ThreadPoolExecutor(session.executor.slots) as pool:
        waiting: list[Future[Cell]] = [
            pool.submit(with_event_loop, partial(cell, race, column))
            for race in races
            for column in columns
        ]
        try:
            cells = tuple(one.result() for one in waiting)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            session.executor.close()
            raise
    return Matrix(tuple(races), tuple(columns), cells)


def _build_ahead(session: Session, race: Race, column: Column, options: RunOptions) -> None:
    """Build a column's kernels before any guest runs; errors are left to the cells."""
    try:
        session.build(column.tree, column.before or column.series, options, race)
        if column.before:
            session.build(column.tree, (*column.before, *column.series), options, race)
    except MmraceError as error:
        session.note(f"{column.tree} {' + '.join(column.series)}: {error.message}")


def _split(series: str) -> tuple[str, ...]:
    return tuple(name for name in series.split("+") if name not in ("", "none"))
