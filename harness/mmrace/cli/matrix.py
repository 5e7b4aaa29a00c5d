# SPDX-License-Identifier: GPL-2.0-only
"""``matrix``: races on trees with series, in one table."""

import click

from mmrace.cli.app import App, json_option
from mmrace.cli.options import Place, place_options, reproducer_options, run_options, tree_option
from mmrace.cli.printing import table
from mmrace.cli.session import open_session, report
from mmrace.definitions.race import Race, load_race, race_names
from mmrace.experiments.matrix import (
    Matrix,
    columns_of,
    fill_matrix,
    outcomes,
    slots_for,
    verdicts,
)
from mmrace.reports.report import Section
from mmrace.runs.options import RunOptions
from mmrace.verdicts.grid import html, rows
from mmrace.verdicts.verdict import Rules


@click.command("matrix")
@click.option("--race", "names", multiple=True, help="Race; repeatable. [default: all, or --repro]")
@reproducer_options
@tree_option(multiple=True)
@click.option("--series", multiple=True, help="One column each; A+B are both. [default: none]")
@click.option("--before", multiple=True, help="Series beneath: cells are verdicts then.")
@click.option("--runs", "count", type=click.IntRange(1), help="Runs, or pairs a path. [1, or 60]")
@click.option(
    "--alpha", type=float, default=0.001, show_default=True, help="Probability of a wrong FIXED."
)
@click.option(
    "--jobs", type=click.IntRange(1), help="Guests at a time. [default: a core for each vCPU]"
)
@place_options
@run_options("20s")
@json_option
@click.pass_obj
def matrix(
    app: App,
    names: tuple[str, ...],
    repro: Race | None,
    trees: tuple[str, ...],
    series: tuple[str, ...],
    before: tuple[str, ...],
    count: int | None,
    alpha: float,
    jobs: int | None,
    place: Place,
    options: RunOptions,
) -> int:
    """Run races on all combinations of trees and series: a table of outcomes, or of verdicts.

    Guests that share cores disturb each other's timing: by default there are no more guests than
    the host has cores for their vCPUs.
    """
    races = [*map(load_race, names), *([repro] if repro else [])]
    races = races or [race for race in map(load_race, race_names()) if race.shared]
    session = open_session(app, jobs or slots_for(races, options.machine), place)
    if before:
        rules = Rules(alpha=alpha, pairs=count or 60, seed=options.seed or 0)
        fill = verdicts(session, options, rules)
    else:
        fill = outcomes(session, options, count or 1)
    columns = columns_of(trees, series, before)
    done = fill_matrix(session, races, columns, fill, options)
    app.document({"jobs": session.executor.slots, "cells": [cell.as_json() for cell in done.cells]})
    _show(app, done)
    runs = [run for cell in done.cells for run in cell.runs]
    drawn = html(done.races, done.columns, done.cells)
    report(app, runs, "mmrace matrix", (), [Section("Matrix", drawn)])
    return done.exit_code


def _show(app: App, done: Matrix) -> None:
    lines = [
        (name, *(f"{cell.word}\n{cell.detail}".strip() for cell in row))
        for name, row in rows(done.races, done.columns, done.cells)
    ]
    app.out.print(table(("race", *(column.title for column in done.columns)), lines))


COMMANDS = (matrix,)
