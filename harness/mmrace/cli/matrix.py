# SPDX-License-Identifier: GPL-2.0-only
"""``matrix``: races on trees with series, in one table."""

import os
from collections.abc import Iterable, Sequence
from itertools import product

import click

from mmrace.cli.app import App, json_option
from mmrace.cli.duration import DURATION
from mmrace.cli.records import write_report
from mmrace.cli.running import exit_code, run_race
from mmrace.cli.tables import table
from mmrace.cli.verifying import campaign_of
from mmrace.definitions.machine import load_machine
from mmrace.definitions.race import Race, load_race, race_names
from mmrace.errors import BuildError, MmraceError, UserError
from mmrace.reports.report import Section
from mmrace.runs import campaign
from mmrace.runs.campaign import Built, Choice, Workbench
from mmrace.runs.trial import Boots
from mmrace.verdicts.grid import (
    NOTHING,
    BuiltFor,
    Cell,
    Column,
    Make,
    Wanted,
    fill,
    html,
    rows,
    worst,
)
from mmrace.verdicts.verdict import Arm, Rules


@click.command("matrix")
@click.option(
    "--race", "names", multiple=True, help="May be repeated. Default: those that share kernels."
)
@click.option("--tree", "trees", multiple=True, required=True, help="May be repeated.")
@click.option("--series", multiple=True, help="One column each; A+B are both. Default: none.")
@click.option("--before", multiple=True, help="Series beneath: cells are verdicts then.")
@click.option("--for", "seconds", type=DURATION, default="20s", show_default=True)
@click.option("--runs", "count", type=click.IntRange(1), help="Of a cell; of a verdict: pairs.")
@click.option("--alpha", type=float, default=0.001, show_default=True, help="Of a verdict.")
@click.option("--machine", help="Another machine of qemu/machines.")
@click.option("--accel", type=click.Choice(["auto", "kvm", "tcg"]), default="auto")
@click.option("--steer/--no-steer", default=None, help="Default: when the race has windows.")
@click.option("--ltp", help="An LTP source added by `mmrace tree add`.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help="Guests at once. Default: so many that each virtual CPU has a core of its own.",
)
@json_option
@click.pass_obj
def matrix(
    app: App,
    names: tuple[str, ...],
    trees: tuple[str, ...],
    series: tuple[str, ...],
    before: tuple[str, ...],
    seconds: float,
    count: int | None,
    alpha: float,
    machine: str | None,
    accel: str,
    steer: bool | None,
    ltp: str | None,
    jobs: int | None,
) -> int:
    """Run races on all combinations of trees and series: a table of outcomes, or of verdicts.

    A race whose timing is disturbed is another race: by default there are no more guests than the
    host has cores for their virtual CPUs.
    """
    races = [load_race(name) for name in names]
    races = races or [race for race in map(load_race, race_names()) if race.shared]
    columns = [
        Column(tree, split(one), before or None) for tree in trees for one in series or ("",)
    ]
    choice = Choice(machine=machine, accel=accel, seconds=seconds, steer=steer, ltp=ltp)
    at_once = jobs or default_jobs(races, machine)
    app.plain = at_once > 1
    kernels = _kernels(app, columns, {race.own_config for race in races})
    make = (
        _verdict(app, count or 60, alpha, choice) if before else _outcome(app, count or 1, choice)
    )
    cells = fill(races, columns, kernels, make, at_once)
    runs = [run for cell in cells for run in cell.runs]
    app.document({"jobs": at_once, "cells": [cell.as_json() for cell in cells]})
    app.out.print(_table(races, columns, cells))
    if runs:
        section = Section("Matrix", html(races, columns, cells))
        page, _ = write_report(app, runs, "mmrace matrix", sections=[section])
        app.note(f"report: {page}")
    return worst([cell.code for cell in cells])


def split(series: str) -> tuple[str, ...]:
    """Names of a column's series."""
    return tuple(name for name in series.split("+") if name not in ("", "none"))


def default_jobs(races: Iterable[Race], machine: str | None) -> int:
    """Guests that the host's cores can carry, a core for each virtual CPU; one at least."""
    needed = max(load_machine(machine or race.machine).cpus for race in races)
    return max(1, len(os.sched_getaffinity(0)) // needed)


def _kernels(
    app: App, columns: Iterable[Column], configs: Iterable[tuple[str, ...]]
) -> dict[Wanted, Built | MmraceError]:
    """Build each kernel of the table once; what does not build is kept for its cells."""
    made: dict[Wanted, Built | MmraceError] = {}
    for column, own in product(columns, sorted(configs)):
        before = column.before or ()
        for series in {before, (*before, *column.series)} if before else {column.series}:
            wanted = (column.tree, series, own)
            if wanted in made:
                continue
            try:
                made[wanted] = campaign.build(
                    app.home, column.tree, series, own, app.step, app.intake
                )
            except (BuildError, UserError) as error:
                app.note(f"{column.tree} {' + '.join(series)}: {error.message}")
                made[wanted] = error
    return made


def _outcome(app: App, count: int, choice: Choice) -> Make:
    def make(race: Race, column: Column, built: BuiltFor) -> Cell:
        bench, workload = Workbench(app.home, app.step), race.default_workloads()[0]
        done = run_race(bench, built(column.series), race, [workload], choice, count)
        if done.not_run:
            return Cell(race.name, column, NOTHING, done.not_run[0].why, 3)
        judged = [run.judgement() for run in done.runs]
        code = exit_code(done.runs)
        worst = next(one for one in judged if one.outcome.exit_code == code)
        same = sum(one.outcome is worst.outcome for one in judged)
        detail = worst.title if worst.signature_matched else f"{worst.title} (foreign)"
        words = [f"{same} of {count}" if count > 1 else "", detail if worst.title else ""]
        said = " ".join(word for word in words if word)
        return Cell(race.name, column, str(worst.outcome), said, code, done.runs)

    return make


def _verdict(app: App, pairs: int, alpha: float, choice: Choice) -> Make:
    def make(race: Race, column: Column, built: BuiltFor) -> Cell:
        before = column.before or ()
        kernels = {Arm.BEFORE: built(before), Arm.AFTER: built((*before, *column.series))}
        bench, workload = Workbench(app.home, app.step), race.default_workloads()[0]
        trial = Boots(bench, race, workload, choice)
        done = campaign_of(app, Rules(alpha=alpha, pairs=pairs), kernels, trial)
        said = done.said
        detail = (
            f"before {said.before.failures} of {said.before.runs}, "
            f"after {said.after.failures} of {said.after.runs}, p = {said.p_value:.2g}"
        )
        runs = tuple(one.run for _, one in done.trials if one.run)
        word = str(said.verdict)
        return Cell(race.name, column, word, detail, said.verdict.exit_code, runs)

    return make


def _table(races: Sequence[Race], columns: Sequence[Column], cells: Sequence[Cell]) -> object:
    lines = [
        (name, *(f"{cell.word}\n{cell.detail}".strip() for cell in row))
        for name, row in rows(races, columns, cells)
    ]
    return table(("race", *(column.title for column in columns)), lines)


COMMANDS = (matrix,)
