# SPDX-License-Identifier: GPL-2.0-only
"""``bisect``: which commit or which patch, when the test fails only now and then."""

from pathlib import Path
from typing import Any

import click

from mmrace.answers.answer import Answer
from mmrace.answers.bisection import bisection
from mmrace.bisect.case import Commands
from mmrace.bisect.search import Costs
from mmrace.cli.app import App
from mmrace.cli.command import command
from mmrace.cli.options import (
    COMMAND,
    DURATION,
    FILE,
    WITNESS,
    gathered,
    refuse,
    subject_options,
    tree_option,
    witness_option,
)
from mmrace.cli.runoptions import place_options, run_options
from mmrace.cli.session import open_session
from mmrace.definitions.race import Race, load_race
from mmrace.definitions.witness import Witness
from mmrace.errors import UserError
from mmrace.experiments.bisection import Limits, bisect
from mmrace.experiments.range import Range, bisect_range
from mmrace.experiments.work import Work
from mmrace.runs.options import RunOptions

_ENDS = (
    click.option("--good", help="A revision that holds."),
    click.option("--bad", help="A revision that fails."),
    click.option("--series", help="Bisect the patches of a series on --tree."),
    click.option("--before", multiple=True, help="Series beneath --series; repeatable."),
    click.option("--fix", is_flag=True, help="Find the patch of --series that ends the failure."),
    click.option("--enough", is_flag=True, help="Find the fewest patches that end the failure."),
)
_LIMITS = (
    click.option(
        "--delta",
        type=click.FloatRange(0, 0.5, min_open=True),
        default=0.05,
        help="Highest probability of a wrong culprit.",
    ),
    click.option(
        "--runs", "most", type=click.IntRange(1), default=5000,
        help="Maximum number of runs.",
    ),
    click.option("--log", type=FILE, help="File that keeps the runs. [default: in mmrace's home]"),
)  # fmt: skip


@command("bisect")
@click.option(
    "--repo", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Git repository."
)
@subject_options("Race to run on each kernel.")
@tree_option(required=False)
@gathered("ends", dict, *_ENDS)
@click.option("--workload", help="Workload. [default: the one of the race's first path]")
@witness_option
@gathered("limits", Limits, *_LIMITS)
@click.option("--deadline", type=DURATION, default="10m", help="Maximum time of a run of ARGV.")
@click.option("--build-cost", type=DURATION, help="Assumed time to build a revision.")
@click.option("--run-cost", type=DURATION, help="Assumed time of a run.")
@place_options
@run_options("20s")
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
def bisect_command(
    app: App,
    repo: Path | None,
    race: Race | None,
    tree: str | None,
    ends: dict[str, Any],
    workload: str | None,
    witness: Witness | None,
    limits: Limits,
    deadline: float,
    build_cost: float | None,
    run_cost: float | None,
    argv: tuple[str, ...],
    options: RunOptions,
) -> Answer:
    """Find the commit that brings or ends a failure, even an intermittent one.

    \b
    bisect --race R --tree REPO --good A --bad B     kernels of a repository
    bisect --race R --tree T --series S              patches of a series
    bisect --repo REPO --good A --bad B -- ARGV...   anything, by a command

    If the bad revision is the older one, bisect finds the commit that ends the failure. ARGV runs
    in a clone of REPO; it is NOT sandboxed and has all your rights. Its exit codes are those of
    `git bisect run`: 0 is good, 125 skips the revision, 128 and above ends the bisection, any other
    is bad. The same command continues a bisection that was killed; `git bisect replay` reads its
    log.
    """
    session = open_session(app)
    good, bad = ends["good"], ends["bad"]
    if argv:
        if not (repo and good and bad) or race or tree or ends["series"] or witness:
            raise UserError("a command takes --repo, --good and --bad; omit race, tree and series")
        refuse("a command", COMMAND)
        made = Commands(app.home, argv, deadline, Costs(build_cost or 2, 0, run_cost or 1))
        return bisection(bisect(session, made.commits(repo, good, bad), limits))
    if witness:
        refuse("bisect --witness", WITNESS)
    race = race or (load_race(witness.race) if witness else None)
    if not (race and tree) or repo:
        raise UserError(
            "nothing to run; name --race or --repro and --tree, or --repo and a command"
        )
    work = Work.choose(race, options, "", workload, witness)
    found = Range(tree, **ends)
    return bisection(bisect_range(session, work, found, limits, build_cost, run_cost), race.name)
