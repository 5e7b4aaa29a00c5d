# SPDX-License-Identifier: GPL-2.0-only
"""``check-series``: mmrace as one of b4's external checks of a series."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from mmrace.answers import b4
from mmrace.cli.app import App
from mmrace.cli.options import race_option, runs_option, tree_option
from mmrace.cli.runoptions import run_options
from mmrace.cli.session import open_session, report
from mmrace.definitions.race import load_race
from mmrace.errors import MmraceError
from mmrace.experiments import checking
from mmrace.runs.options import RunOptions


@click.command("check-series")
@click.argument("series", nargs=-1)
@tree_option()
@race_option()
@runs_option
@run_options("30s")
@click.pass_obj
def check_series(
    app: App,
    series: tuple[str, ...],
    tree: str,
    race_name: str | None,
    count: int,
    options: RunOptions,
) -> int:
    """Check a series for `b4 review`, and print the checks as the JSON list that b4 reads.

    \b
    git config b4.review-series-check-cmd 'mmrace check-series --tree debian:6.1'

    Without SERIES, checks the thread that b4 tracks, or the one whose cover letter b4 gives on
    standard input.
    """
    session = open_session(app)
    try:
        race = load_race(race_name) if race_name else None
        if not series:
            tracking = os.environ.get("B4_TRACKING_FILE", "")
            series, session = checking.asked_series(session, tracking, Path.cwd())
        done = checking.check_series(session, tree, series, race, options, count)
        checks = b4.checks(done, lambda race, runs: report(app, runs, race.title))
        code = done.exit_code
    except MmraceError as error:
        checks, code = b4.refused(error)
    click.echo(json.dumps(list(map(asdict, checks)), indent=1))
    return code
