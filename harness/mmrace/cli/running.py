# SPDX-License-Identifier: GPL-2.0-only
"""``run``, ``again``, ``shell``: kernels that boot."""

import click

from mmrace.cli.app import App, error_document, json_option, kind_of
from mmrace.cli.options import (
    Place,
    chosen_race,
    place_options,
    race_option,
    reproducer_options,
    run_options,
    series_option,
    tree_option,
)
from mmrace.cli.printing import runs_table
from mmrace.cli.session import open_session
from mmrace.definitions.race import Race
from mmrace.errors import MmraceError
from mmrace.experiments.again import run_again
from mmrace.experiments.running import SKIP, Runs, run_races
from mmrace.runs.options import RunOptions
from mmrace.runs.record import find_run


def show(app: App, done: Runs) -> None:
    """Tell of runs; what kept others from being made is raised once they have been told."""
    app.document(done.document())
    app.out.print(runs_table(done.made))
    for item in done.not_run:
        app.out.print(f"{item.race}/{item.workload}: not run: {item.why}", markup=False)
    if done.error:
        raise done.error


@click.command("run")
@race_option()
@reproducer_options
@tree_option()
@series_option
@click.option(
    "--workload", "workloads", multiple=True, help="Workload; repeatable. [default: the race's]"
)
@click.option("--runs", "count", type=click.IntRange(1), default=1, show_default=True)
@place_options
@run_options("60s")
@click.option("--bisect-exit", is_flag=True, help="Exit 0, 1 or 125, for `git bisect run`.")
@json_option
@click.pass_obj
def run_command(
    app: App,
    race_name: str | None,
    repro: Race | None,
    tree: str,
    series: tuple[str, ...],
    workloads: tuple[str, ...],
    count: int,
    place: Place,
    options: RunOptions,
    bisect_exit: bool,
) -> int:
    """Run a race's workloads, or a reproducer, on one kernel.

    Without --race and --repro, runs the races whose functions the series changes.
    """
    try:
        race = chosen_race(race_name, repro)
        done = run_races(
            open_session(app, place=place), tree, series, race, workloads, options, count
        )
        show(app, done)
    except MmraceError as error:
        if not bisect_exit:
            raise
        # git would take any other code for a bad revision.
        app.note(f"{error.detail}\n{error.message}".strip())
        if not app.has_told:
            app.document(error_document(kind_of(error), error.message, SKIP))
        return SKIP
    return done.bisect_code if bisect_exit else done.exit_code


@click.command("again")
@click.argument("run")
@json_option
@click.pass_obj
def again(app: App, run: str) -> int:
    """Repeat RUN: same kernel, workload, machine, kernel parameters and seed."""
    done = run_again(open_session(app), find_run(app.home, run).spec())
    show(app, done)
    return done.exit_code


@click.command("shell")
@tree_option()
@series_option
@run_options("60s")
@click.pass_obj
def shell(app: App, tree: str, series: tuple[str, ...], options: RunOptions) -> None:
    """Boot a kernel and hand over its console; Ctrl-] ends it."""
    session = open_session(app)
    session.planner.shell(session.build(tree, series, options), options)


COMMANDS = (run_command, again, shell)
