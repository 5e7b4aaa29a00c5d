# SPDX-License-Identifier: GPL-2.0-only
"""``demo``, ``run``, ``again``, ``shell``: kernels that boot."""

import time

import click

from mmrace.answers import runs as answers
from mmrace.answers.answer import Answer
from mmrace.cli.app import App
from mmrace.cli.command import command
from mmrace.cli.options import (
    kernel_option,
    runs_option,
    series_option,
    subject_options,
    tree_option,
)
from mmrace.cli.runoptions import UNSTEERED, place_options, run_options
from mmrace.cli.session import open_session
from mmrace.definitions.race import Race
from mmrace.experiments.again import run_again
from mmrace.experiments.demo import demonstrate
from mmrace.experiments.running import run_races
from mmrace.runs.options import RunOptions
from mmrace.runs.record import find_run


@command("demo")
@tree_option(default="debian:6.1")
@run_options("60s", "Maximum race phase of a run that holds (guest seconds).", UNSTEERED)
def demo(app: App, tree: str, options: RunOptions) -> Answer:
    """Show races before and after their fixes: the bug put back, then fixed again.

    Each path of a race runs once on both kernels. The kernel with the fix runs 20 times as long as
    the other one took to fail, but not longer than --for.
    """
    started = time.monotonic()
    done = demonstrate(
        open_session(app, slots=2), tree, options, lambda one: app.note(answers.path_line(one))
    )
    return answers.demonstration(done, tree, time.monotonic() - started)


@command("run")
@subject_options()
@kernel_option
@series_option
@click.option(
    "--workload", "workloads", multiple=True, help="Workload; repeatable. [default: the race's]"
)
@runs_option
@place_options
@run_options("60s")
@click.option("--bisect-exit", is_flag=True, help="Exit with 0, 1 or 125, for `git bisect run`.")
def run_command(
    app: App,
    race: Race | None,
    tree: str,
    series: tuple[str, ...],
    workloads: tuple[str, ...],
    count: int,
    options: RunOptions,
    bisect_exit: bool,
) -> Answer:
    """Run a race's workloads, or a reproducer, on one kernel.

    Without --race and --repro, mmrace runs the races whose functions the series changes.
    """
    session = open_session(app)
    done = run_races(session, tree, series, race, workloads, options, count)
    return answers.new_runs(done, for_git=bisect_exit)


@command("again")
@click.argument("run")
def again(app: App, run: str) -> Answer:
    """Repeat RUN: same kernel, workload, machine, kernel parameters and seed."""
    return answers.new_runs(run_again(open_session(app), find_run(app.home, run)))


@click.command("shell")
@kernel_option
@series_option
@run_options("60s", without=("seconds", "at_most", *UNSTEERED, "ltp", "seed"))
@click.pass_obj
def shell(app: App, tree: str, series: tuple[str, ...], options: RunOptions) -> None:
    """Boot a kernel and hand over its console; Ctrl-] ends it."""
    session = open_session(app)
    session.planner.shell(session.build(tree, series, options), options)
